"""Services that moto lacks, and that speak REST with JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from rig.aws.faults import error_answer

Answer = tuple[int, list[tuple[str, str]], bytes]


class RefusalError(Exception):
    """A service refuses a request.

    Args:
        code: Name of the exception in the API reference.
        message: Its message.
        status: HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        account, region: Of the caller.
        path: The parts of the path after the first one.
        query: Parameters of the URL.
        body: The JSON body.
    """

    account: str
    region: str
    path: list[str]
    query: dict[str, str]
    body: dict[str, Any]


class Service:
    """A service whose methods are named by HTTP method and first part of the path."""

    def answer(self, environ: dict[str, Any], call: dict[str, Any], account: str) -> Answer:
        """Answer a request.

        Args:
            environ: Of WSGI.
            call: The decoded call, see `rig.aws.record.read_call`.
            account: ID of the caller's account.
        """
        first, *path = unquote(environ["PATH_INFO"]).strip("/").split("/")
        name = f"{environ['REQUEST_METHOD'].lower()}_{first.replace('-', '_')}"
        method: Callable[[Request], Answer] | None = getattr(self, name, None)
        if method is None:
            raise NotImplementedError(f"{call['service']}: {call['action']}")
        body = environ["wsgi.input"].read()
        request = Request(
            account=account,
            region=call["region"],
            path=path,
            query=dict(parse_qsl(environ.get("QUERY_STRING", ""))),
            body=json.loads(body or b"{}"),
        )
        try:
            return method(request)
        except RefusalError as refusal:
            status, kind, text = error_answer("json", refusal.code, refusal.status, str(refusal))
            return status, [("Content-Type", kind), ("X-Amzn-ErrorType", refusal.code)], text


def answer_json(data: dict[str, Any], status: int = 200) -> Answer:
    """Return a successful answer."""
    return status, [("Content-Type", "application/json")], json.dumps(data).encode()
