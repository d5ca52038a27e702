"""Session Manager of Systems Manager, which moto lacks: sessions that forward a port.

A session's URL names the instance's address in its query; the stand-in of session-manager-plugin
connects there.  https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartSession.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rig.aws.faults import error_answer

ACTIONS = ("StartSession", "TerminateSession")
Answer = tuple[int, list[tuple[str, str]], bytes]


@dataclass
class SessionManager:
    """All sessions of a rig.

    Attributes:
        find_agent: Returns address and port of sshd behind the agent of an instance; None when
            the agent has not registered.
        open: IDs of the sessions that have not been terminated.
    """

    find_agent: Callable[[str], tuple[str, int] | None]
    open: list[str] = field(default_factory=list)

    def answer(self, call: dict[str, Any]) -> Answer:
        """Answer a call."""
        params = call["params"]
        if call["action"] == "StartSession":
            return self._start(params["Target"], call["region"])
        session = params["SessionId"]
        if session not in self.open:
            return _error("DoesNotExistException", f"Session {session} does not exist.")
        self.open.remove(session)
        return _json({"SessionId": session})

    def _start(self, instance_id: str, region: str) -> Answer:
        place = self.find_agent(instance_id)
        if place is None:
            return _error("TargetNotConnected", f"{instance_id} is not connected.")
        session = f"rig-{uuid.uuid4().hex[:17]}"
        self.open.append(session)
        url = f"wss://ssmmessages.{region}.amazonaws.com/v1/data-channel/{session}"
        query = f"role=publish_subscribe&rig={place[0]}:{place[1]}"
        return _json({
            "SessionId": session,
            "TokenValue": "token-of-the-rig",
            "StreamUrl": f"{url}?{query}",
        })  # fmt: skip


def _json(data: dict[str, str]) -> Answer:
    return 200, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(data).encode()


def _error(code: str, message: str) -> Answer:
    status, content_type, body = error_answer("json", code, 400, message)
    return status, [("Content-Type", content_type)], body
