"""A web server for one test, on this machine's own address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Answers what a subclass says, and writes no log."""

    def do_GET(self) -> None:
        """Hand a request on."""
        self.get()

    def do_PUT(self) -> None:
        """Hand a request on."""
        self.put()

    def get(self) -> None:
        """Answer GET."""
        self.send(405, "")

    def put(self) -> None:
        """Answer PUT."""
        self.send(405, "")

    def send(self, status: int, body: str, **headers: str) -> None:
        """Answer with a text; of the headers' names, underscores become hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: Callable[..., Any]) -> Iterator[str]:
    """Serve with HANDLER; return address and port, as in a URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()
