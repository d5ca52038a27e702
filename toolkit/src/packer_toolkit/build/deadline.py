"""Stops a build before its credentials expire, so that it can still clean up.

The session of a role that was assumed with another role's session expires after at most an hour:
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from packer_toolkit.errors import SetupError

# Lifetime that the workflow requested for the role; credentials in the environment do not have it.
SECONDS = "PACKER_CREDENTIALS_SECONDS"
# Time at which that lifetime ends, such as 1795662000 or 2026-11-25T03:00:00Z: the role is assumed
# before the toolkit image is pulled and the run is planned.
EXPIRE_AT = "PACKER_CREDENTIALS_EXPIRE_AT"

# Of an hour: a warning at 45 minutes, and the stop at 55, which leaves five for the clean-up.
_WARN_AT = 0.75
_CLEAN_UP = 1 / 12
_LONGEST_CLEAN_UP = 300.0


@dataclass(frozen=True)
class Deadline:
    """When to warn, to stop the build, and when the credentials expire, in seconds from now."""

    warn: float
    stop: float
    end: float

    @classmethod
    def of(cls, seconds: float) -> Deadline:
        """Return the deadline for credentials that expire in so many seconds."""
        margin = min(_LONGEST_CLEAN_UP, seconds * _CLEAN_UP)
        return cls(seconds * _WARN_AT, seconds - margin, seconds)


def find_deadline(
    environment: Mapping[str, str], expires_at: str | None, since_start: float = 0.0
) -> Deadline | None:
    """Find the deadline of a build: the earliest expiration that is known.

    Args:
        environment: Environment of the build.
        expires_at: Expiration that the credentials have, such as 2026-11-25T03:00:00Z.
        since_start: Seconds since the start of the build, which are part of the lifetime that the
            workflow requested.

    Returns:
        The deadline; None if no expiration is known.

    Raises:
        SetupError: If a setting is not valid, or the credentials have expired.
    """
    ends = []
    now = datetime.now(timezone.utc)
    if expires := read_credentials_expiry(environment):
        if expires <= now:
            raise SetupError(
                f"the credentials expired at {expires:%Y-%m-%dT%H:%M:%SZ} ({EXPIRE_AT}); start the "
                "workflow run again"
            )
        ends.append((expires - now).total_seconds())
    if text := environment.get(SECONDS, "").strip():
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise SetupError(f'{SECONDS} is "{text}"; set it to a number of seconds, such as 3600')
        ends.append(seconds - since_start)
    if expires_at:
        end = datetime.fromisoformat(expires_at.replace("Z", "+00:00"))
        ends.append((end - now).total_seconds())
    return Deadline.of(max(0.0, min(ends))) if ends else None


def read_credentials_expiry(environment: Mapping[str, str]) -> datetime | None:
    """Return when the credentials expire, as the workflow sets it; None if it does not.

    Raises:
        SetupError: If the value is not a time.
    """
    text = environment.get(EXPIRE_AT, "").strip()
    if not text:
        return None
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            return datetime.fromtimestamp(float(text), timezone.utc)
        return datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text)).astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise SetupError(
            f'{EXPIRE_AT} is "{text}"; set it to a time, such as 2026-11-25T03:00:00Z'
        ) from None


@contextlib.contextmanager
def enforce_deadline(
    deadline: Deadline | None, warn: Callable[[str], None], stop: Callable[[str], None]
) -> Iterator[None]:
    """Warn, and stop the build in time, while the block runs.

    Args:
        deadline: The deadline; None for no deadline.
        warn: Function that gets a line, in a thread of its own.
        stop: Function that gets a line and stops the build, in a thread of its own.
    """
    if deadline is None:
        yield
        return
    margin = _format_minutes(deadline.end - deadline.stop)
    warning = (
        f"the credentials expire in {_format_minutes(deadline.end - deadline.warn)}; the build is "
        f"stopped {margin} before that, unless it has ended"
    )
    reason = f"stopped before the credentials expire, in {margin}: the clean-up needs them, too"
    timers = [
        threading.Timer(deadline.warn, warn, [warning]),
        threading.Timer(deadline.stop, stop, [reason]),
    ]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def _format_minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
