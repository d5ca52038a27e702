"""The loopback server: routes, paging, orders for faults, and a record of every request."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from rig.github.routes import ROUTES, Answer, Call, RefusalError
from rig.github.state import Repository

# What a request's path begins with -> with what the API's addresses in its answer begin.  An
# upload has an address of its own, in each form.
_PREFIXES = {"/api/v3": "/api/v3", "/api/uploads": "/api/v3", "/uploads": "", "": ""}

_MESSAGES = {
    403: "Resource not accessible by integration",
    404: "Not Found",
    410: "Issues are disabled for this repo",
    422: "Validation Failed",
    429: "You have exceeded a secondary rate limit. Please wait before you try again.",
    500: "Server Error",
}


@dataclass(frozen=True)
class Request:
    """One request, as it came in.

    Attributes:
        method: GET, POST and so on.
        path: without prefix and query.
        prefix: "" for api.github.com, /api/v3 for an Enterprise Server; /uploads, /api/uploads.
        query: parameters, the last of each name.
        body: the JSON, or the bytes of an upload.
        token: what the request was authorized with.
        status: what it was answered.
    """

    method: str
    path: str
    prefix: str
    query: Mapping[str, str]
    body: Any
    token: str
    status: int

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


@dataclass
class Fault:
    """An order: some of the requests that match are answered with an error.

    Attributes:
        method: as in the request; empty for any.
        path: pattern that is searched for in the path.
        status: the answer; 0 closes the connection without one.
        first: how many of the matching requests are hit; None for all.
        skip: how many are let through before.
        headers: of the answer.
        message: in the answer; GitHub's own for the status when empty.
        html: instead of an answer of GitHub's, as of a proxy.
        delay: seconds until the answer; the request is carried out when `after` is set.
        after: the request is carried out, and only its answer is lost.
    """

    method: str
    path: str
    status: int
    first: int | None = None
    skip: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    html: str = ""
    delay: float = 0
    after: bool = False
    hits: int = 0

    def takes(self, method: str, path: str) -> bool:
        """Tell whether this request is hit, and count it."""
        if self.method not in ("", method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.first is not None and self.hits >= self.first:
            return False
        self.hits += 1
        return True


class GitHub:
    """The running stand-in.

    Usage::

        with GitHub() as github:
            repository = github.repository("globex/packer-ami-web")
            github.add_fault("POST", "/issues$", 500, first=1)
            ... GITHUB_API_URL=github.url, or github.enterprise_url ...
            assert repository.open_issues() == []
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        # token -> permission -> read or write; a token that is not listed may do anything.
        self.permissions: dict[str, Mapping[str, str]] = {}
        self._lock = threading.Lock()
        self._held: tuple[str, str, threading.Barrier] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> GitHub:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The API's address in the form of github.com: nothing before /repos."""
        return f"http://{self.host}"

    @property
    def enterprise_url(self) -> str:
        """The API's address in the form of an Enterprise Server."""
        return f"http://{self.host}/api/v3"

    def repository(self, full_name: str, **values: Any) -> Repository:
        """Return a repository, made when it is not there yet."""
        return self.repositories.setdefault(full_name, Repository(full_name, **values))

    def add_fault(self, method: str, path: str, status: int, **more: Any) -> Fault:
        """Order a fault."""
        order = Fault(method, path, status, **more)
        with self._lock:
            self.faults.append(order)
        return order

    def hold_calls(self, number: int, method: str, path: str) -> None:
        """Let the first NUMBER of the requests that match come in before any is carried out."""
        with self._lock:
            self._held = (method, path, threading.Barrier(number, timeout=30))

    def asked(self, method: str = "", path: str = "") -> list[Request]:
        """Return the requests of a method whose path has a pattern in it."""
        with self._lock:
            return [
                request
                for request in self.requests
                if method in ("", request.method) and re.search(path, request.path)
            ]

    # --- One request --------------------------------------------------------------------------

    def answer(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        """Answer one request, and record it."""
        split = urlsplit(handler.path)
        prefix = next(p for p in _PREFIXES if split.path.startswith(p + "/") or not p)
        path = split.path[len(prefix) :]
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        token = (handler.headers.get("Authorization") or "").rpartition(" ")[2]
        is_json = raw[:1] in (b"{", b"[") and "/assets" not in path
        body = json.loads(raw) if is_json else raw

        self._wait(method, path)
        with self._lock:
            fault = next((f for f in self.faults if f.takes(method, path)), None)
        if fault is None or fault.after:
            result = self._carry_out(handler, method, path, query, body, token, prefix)
        if fault is not None:
            time.sleep(fault.delay)
            message = fault.message or _MESSAGES.get(fault.status, "An error that was ordered")
            said = fault.html.encode() or {"message": message}
            result = Answer(fault.status, said, dict(fault.headers))
        with self._lock:
            shown = None if not raw else body
            self.requests.append(Request(method, path, prefix, query, shown, token, result.status))
        if result.status:
            self._send(handler, result, _PREFIXES[prefix])
        else:
            handler.close_connection = True

    def _wait(self, method: str, path: str) -> None:
        held = self._held
        if held and held[0] == method and re.search(held[1], path):
            held[2].wait()
            self._held = None

    def _carry_out(
        self,
        handler: BaseHTTPRequestHandler,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        token: str,
        prefix: str,
    ) -> Answer:
        for route in ROUTES:
            match = re.fullmatch(route.pattern, path)
            if route.method != method or not match:
                continue
            if not token and route.needs_token:
                return Answer(401, {"message": "Requires authentication"})
            granted = self.permissions.get(token)
            order = ("", "read", "write")
            if granted is not None:
                name, level = route.permission
                if order.index(granted.get(name, "")) < order.index(level):
                    return Answer(403, {"message": _MESSAGES[403]})
            full_name = "/".join(match.groupdict().get(part, "") for part in ("owner", "repo"))
            known = {name.lower(): found for name, found in self.repositories.items()}
            repository = known.get(full_name.lower())
            if repository is None and "repo" in match.groupdict():
                return Answer(404, {"message": "Not Found"})
            call = Call(
                self, repository or Repository(""), match, query, body, dict(handler.headers)
            )
            try:
                result = route.answer(call)
            except RefusalError as refusal:
                return Answer(refusal.status, {"message": str(refusal), **refusal.more})
            if isinstance(result.body, list):
                return self._page(result, f"http://{self.host}{prefix}{path}", query)
            return result
        return Answer(404, {"message": f"Not Found (the stand-in has no {method} {path})"})

    @staticmethod
    def _page(result: Answer, url: str, query: Mapping[str, str]) -> Answer:
        """Cut a list into pages, with the Link header that GitHub gives."""
        size = max(1, min(int(query.get("per_page", 30)), 100))
        page = int(query.get("page", 1))
        last = max(1, -(-len(result.body) // size))

        def link(number: int, relation: str) -> str:
            return f'<{url}?{urlencode({**query, "page": number})}>; rel="{relation}"'

        links = []
        if page < last:
            links += [link(page + 1, "next"), link(last, "last")]
        if page > 1:
            links += [link(1, "first"), link(page - 1, "prev")]
        items = result.body[(page - 1) * size : page * size]
        wrapped = {**result.wrap, result.key: items} if result.key else items
        return Answer(result.status, wrapped, {"Link": ", ".join(links)} if links else {})

    def _send(self, handler: BaseHTTPRequestHandler, result: Answer, form: str) -> None:
        if isinstance(result.body, bytes):
            raw = result.body
        else:
            uploads = "/api/uploads/" if form else "/uploads/"
            text = json.dumps(result.body).replace(f"{self.url}/repos/", f"{self.url}{form}/repos/")
            raw = text.replace(f"{self.url}/api/uploads/", f"{self.url}{uploads}").encode()
        if result.status == 204:
            raw = b""
        try:
            handler.send_response(result.status)
            for name, value in result.headers.items():
                handler.send_header(name, value)
            if not isinstance(result.body, bytes):
                handler.send_header("Content-Type", "application/json; charset=utf-8")
            handler.send_header("Content-Length", str(len(raw)))
            handler.end_headers()
            handler.wfile.write(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked did not wait for the answer


def _handler(github: GitHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet: the second would wait for the client's word

        def do_GET(self) -> None:
            github.answer(self, "GET")

        def do_POST(self) -> None:
            github.answer(self, "POST")

        def do_PATCH(self) -> None:
            github.answer(self, "PATCH")

        def do_PUT(self) -> None:
            github.answer(self, "PUT")

        def do_DELETE(self) -> None:
            github.answer(self, "DELETE")

        def log_message(self, *args: Any) -> None:
            """Say nothing; `requests` is the record."""

    return Handler
