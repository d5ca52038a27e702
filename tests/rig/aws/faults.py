"""Faults in the API that a test can order, in the words that the real services use."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

# kind -> protocol -> (code, HTTP status, message).
# https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
KINDS: dict[str, dict[str, tuple[str, int, str]]] = {
    "throttle": {
        "ec2": ("RequestLimitExceeded", 503, "Request limit exceeded."),
        "query": ("Throttling", 400, "Rate exceeded"),
        "json": ("ThrottlingException", 400, "Rate exceeded"),
    },
    "error": {
        "ec2": ("InternalError", 500, "An internal error has occurred"),
        "query": ("InternalFailure", 500, "The request processing has failed"),
        "json": ("InternalServerError", 500, "An error occurred on the server side."),
    },
    "deny": {
        "ec2": (
            "UnauthorizedOperation",
            403,
            "You are not authorized to perform this operation.",
        ),
        "query": ("AccessDenied", 403, "User is not authorized to perform this action"),
        "json": ("AccessDeniedException", 400, "User is not authorized to perform this action"),
    },
    "expire": {
        "ec2": ("RequestExpired", 400, "Request has expired."),
        "query": ("ExpiredToken", 403, "The security token included in the request is expired"),
        "json": (
            "ExpiredTokenException",
            400,
            "The security token included in the request is expired",
        ),
    },
    "unknown-key": {
        "ec2": (
            "AuthFailure",
            401,
            "AWS was not able to validate the provided access credentials",
        ),
        "query": ("InvalidClientTokenId", 403, "The security token included is invalid."),
        "json": ("UnrecognizedClientException", 400, "The security token included is invalid."),
    },
}


@dataclass
class Fault:
    """One order: what happens to which of the calls to come.

    Attributes:
        action: Name of the action, or `*`.
        kind: One of KINDS, `custom` (code, status and message given) or `hold`.
        at: Numbers of the calls of that action, counted from the order on, first is 1.
        first: The first so many calls.
        every: Every so manieth call.
        where: Parameters that the call must have, compared by equality.
        after: Carry the call out first, and only then answer with the fault.
        code, status, message: Of a custom fault.
    """

    action: str
    kind: str
    at: tuple[int, ...] = ()
    first: int = 0
    every: int = 0
    where: dict[str, Any] = field(default_factory=dict)
    after: bool = False
    code: str = ""
    status: int = 400
    message: str = ""
    seen: int = 0
    hits: int = 0
    # Only of `hold`: the call has come; it may go on.
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.kind not in {*KINDS, "custom", "hold"}:
            raise ValueError(f"no fault of kind {self.kind!r}; there are {sorted(KINDS)}")
        if not (self.at or self.first or self.every):
            self.every = 1

    def meets(self, call: dict[str, Any]) -> bool:
        """Count a call, and tell whether this is one for the fault."""
        if self.action not in ("*", call["action"]):
            return False
        if any(call["params"].get(name) != value for name, value in self.where.items()):
            return False
        self.seen += 1
        hit = (
            self.seen in self.at
            or self.seen <= self.first
            or (self.every > 0 and self.seen % self.every == 0)
        )
        self.hits += hit
        return hit

    def answer(self, protocol: str) -> tuple[int, str, bytes]:
        """Form the answer: status, content type and body."""
        if self.kind == "custom":
            return error_answer(protocol, self.code, self.status, self.message)
        return kind_answer(self.kind, protocol)


def kind_answer(kind: str, protocol: str) -> tuple[int, str, bytes]:
    """Form the answer of a named kind of fault."""
    return error_answer(protocol, *KINDS[kind]["query" if protocol == "rest" else protocol])


def error_answer(protocol: str, code: str, status: int, message: str) -> tuple[int, str, bytes]:
    """Write an error as a protocol of AWS wants it."""
    if protocol == "json":
        text = json.dumps({"__type": code, "message": message})
        return status, "application/x-amz-json-1.1", text.encode()
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    request = "00000000-0000-4000-8000-000000000000"
    if protocol == "ec2":
        text = (
            f"<Response><Errors><Error>{error}</Error></Errors>"
            f"<RequestID>{request}</RequestID></Response>"
        )
    else:
        kind = "Sender" if status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{kind}</Type>{error}</Error>"
            f"<RequestId>{request}</RequestId></ErrorResponse>"
        )
    return status, "text/xml", b'<?xml version="1.0" encoding="UTF-8"?>' + text.encode()
