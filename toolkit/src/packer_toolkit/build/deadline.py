"""Credentials end; a build must not go on until then, because it could not clean up any more.

A role that was assumed with another role's session ends after an hour, whatever it is asked for:
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

# What the workflow asked for when it assumed the role; environment credentials do not tell.
SECONDS = "PACKER_CREDENTIALS_SECONDS"
# When these seconds end, such as 1795662000 or 2026-11-25T03:00:00Z: the role is assumed before the
# toolkit image is pulled and the plan is made.
EXPIRE_AT = "PACKER_CREDENTIALS_EXPIRE_AT"

# Of an hour: a word at 45 minutes, and the end at 55, which leaves five for the clean-up.
_WARN_AT = 0.75
_CLEAN_UP = 1 / 12
_LONGEST_CLEAN_UP = 300.0


@dataclass(frozen=True)
class Deadline:
    """When a build is warned and stopped, in seconds from now, and when its credentials end."""

    warn: float
    stop: float
    end: float

    @classmethod
    def of(cls, seconds: float) -> Deadline:
        """Return the deadline of credentials that live for so many seconds from now."""
        margin = min(_LONGEST_CLEAN_UP, seconds * _CLEAN_UP)
        return cls(seconds * _WARN_AT, seconds - margin, seconds)


def deadline(
    environment: Mapping[str, str], expires_at: str | None, since_start: float = 0.0
) -> Deadline | None:
    """Find out when the credentials end.

    Args:
        environment: of the build.
        expires_at: what the credentials tell, such as 2026-11-25T03:00:00Z.
        since_start: seconds since the build began, which count for what the workflow asked for.

    Returns:
        None when nobody knows; then nothing is stopped.

    Raises:
        SetupError: when a setting is not valid, or the credentials have expired.
    """
    ends = []
    now = datetime.now(timezone.utc)
    if expires := expiry(environment):
        if expires <= now:
            raise SetupError(
                f"the credentials expired at {expires:%Y-%m-%dT%H:%M:%SZ} ({EXPIRE_AT}); start the "
                "run again"
            )
        ends.append((expires - now).total_seconds())
    if told := environment.get(SECONDS, "").strip():
        try:
            seconds = float(told)
        except ValueError:
            raise SetupError(f'{SECONDS} is "{told}": give a number of seconds') from None
        if not 0 < seconds < float("inf"):
            raise SetupError(f'{SECONDS} is "{told}": give a number of seconds')
        ends.append(seconds - since_start)
    if expires_at:
        end = datetime.fromisoformat(expires_at.replace("Z", "+00:00"))
        ends.append((end - now).total_seconds())
    return Deadline.of(max(0.0, min(ends))) if ends else None


def expiry(environment: Mapping[str, str]) -> datetime | None:
    """Return when the credentials expire, as the workflow noted it; None when it did not.

    Raises:
        SetupError: when it is not a time.
    """
    noted = environment.get(EXPIRE_AT, "").strip()
    if not noted:
        return None
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", noted):
            return datetime.fromtimestamp(float(noted), timezone.utc)
        return datetime.fromisoformat(re.sub("[zZ]$", "+00:00", noted)).astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise SetupError(
            f'{EXPIRE_AT} is "{noted}": give a time, such as 2026-11-25T03:00:00Z'
        ) from None


@contextlib.contextmanager
def watched(
    until: Deadline | None, warn: Callable[[str], None], stop: Callable[[str], None]
) -> Iterator[None]:
    """Warn and stop in time while the block runs.

    Args:
        until: the deadline; without one nothing happens.
        warn: called with a line, in a thread of its own.
        stop: likewise.
    """
    if until is None:
        yield
        return
    timers = [
        threading.Timer(
            until.warn,
            warn,
            [
                f"the credentials end in {_minutes(until.end - until.warn)}; the build is stopped "
                f"{_minutes(until.end - until.stop)} before that, unless it is done"
            ],
        ),
        threading.Timer(
            until.stop,
            stop,
            [
                f"stopped before the credentials end, in {_minutes(until.end - until.stop)}: the "
                "clean-up needs them too"
            ],
        ),
    ]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
