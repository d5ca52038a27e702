"""The clock of a build, and how it waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """The functions of the module `time` that a build uses; tests replace them."""

    def monotonic(self) -> float:
        """Return seconds that only grow."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""

    def time(self) -> float:
        """Return the seconds since 1970."""


def format_time(seconds: float) -> str:
    """Format a time as in tags and reports, such as 2026-11-25T03:00:00Z.

    Args:
        seconds: Seconds since 1970.
    """
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def wait(clock: Clock, seconds: float, should_stop: Callable[[], bool]) -> None:
    """Wait for some seconds, or until waiting should stop."""
    until = clock.monotonic() + seconds
    while not should_stop() and clock.monotonic() < until:
        clock.sleep(0.05)
