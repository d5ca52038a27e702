"""Whose key signs a call, and whether it still counts.  Signatures themselves are not checked."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

ACCOUNT = "123456789012"  # moto's account for keys that belong to no role
STATIC_KEY = "AKIARIGRIGRIGRIGRIG0"
STATIC_SECRET = "rig/secret/that/opens/nothing/0000000000"  # noqa: S105 - opens nothing

_ISSUED = {"AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetSessionToken",
           "GetFederationToken", "CreateAccessKey"}  # fmt: skip
_KEY = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
_EXPIRATION = re.compile(rb"(<Expiration>)([^<]+)(</Expiration>)")
_ARN = re.compile(rb"<Arn>([^<]+)</Arn>")


@dataclass
class Key:
    """One access key that the rig knows.

    Attributes:
        principal: ARN.
        expires: Unix time, or None for keys without an end.
        calls_left: The key expires after so many more calls; None is never.
        session: Whether STS issued it.
    """

    principal: str
    expires: float | None = None
    calls_left: int | None = None
    session: bool = False


@dataclass
class Credentials:
    """All keys of a rig, and what was ordered for those to come.

    Attributes:
        session_seconds: Lifetime of sessions from STS, instead of what the caller asks for; AWS
            itself never gives less than 900.
        session_calls: Sessions expire without notice after so many calls: the `Expiration` that
            STS tells keeps promising more.
    """

    keys: dict[str, Key] = field(default_factory=dict)
    session_seconds: float | None = None
    session_calls: int | None = None

    def reset(self) -> None:
        """Forget all but the static key."""
        self.keys = {STATIC_KEY: Key(f"arn:aws:iam::{ACCOUNT}:user/rig")}
        self.session_seconds = self.session_calls = None

    def principal(self, access_key: str | None) -> str | None:
        """Name the owner of a key."""
        key = self.keys.get(access_key or "")
        return key.principal if key else None

    def account(self, access_key: str | None) -> str:
        """Return the account of the owner of a key."""
        return (self.principal(access_key) or f"::::{ACCOUNT}").split(":")[4] or ACCOUNT

    def refusal(self, access_key: str | None) -> str | None:
        """Count a call of a key; return the kind of fault when it is refused."""
        if access_key is None:
            return None
        key = self.keys.get(access_key)
        if key is None:
            return "unknown-key"
        if key.expires is not None and time.time() >= key.expires:
            return "expire"
        if key.calls_left is not None:
            if key.calls_left <= 0:
                return "expire"
            key.calls_left -= 1
        return None

    def take_note(self, call: dict[str, Any], body: bytes) -> bytes:
        """Learn the keys that an answer hands out; return the answer with their lifetime."""
        if call["action"] not in _ISSUED or not (found := _KEY.search(body)):
            return body
        expires = None
        if told := _EXPIRATION.search(body):
            expires = datetime.fromisoformat(told[2].decode().replace("Z", "+00:00")).timestamp()
            if self.session_seconds is not None:
                expires = time.time() + self.session_seconds
                text = datetime.fromtimestamp(expires, timezone.utc).isoformat()
                body = _EXPIRATION.sub(rb"\g<1>" + text[:19].encode() + rb"Z\g<3>", body)
        arn = _ARN.search(body)
        self.keys[found[1].decode()] = Key(
            principal=arn[1].decode() if arn else (self.principal(call["access_key"]) or ""),
            expires=expires,
            calls_left=self.session_calls if told else None,
            session=told is not None,
        )
        return body
