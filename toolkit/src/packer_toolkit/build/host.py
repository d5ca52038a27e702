"""What a build uses of its machine: terminal, programs, credentials for AWS, and the clock."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from packer_toolkit.aws.session import open_role_session
from packer_toolkit.process import Runner, run_program


class Clock(Protocol):
    """The functions of the module `time` that a build uses; tests replace them."""

    def monotonic(self) -> float:
        """Return seconds that only grow."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""

    def time(self) -> float:
        """Return the seconds since 1970."""


@dataclass(frozen=True)
class Host:
    """The machine of a build; tests replace its parts.

    Attributes:
        show: Prints Packer's output, which has its line breaks.
        echo: Prints a line of the toolkit.
        run_program: Runs a program.
        connect: Opens a session of AWS: role, name of the role's session, region.
        start: Starts a process.
        kill_group: Sends a signal to a process group.
        clock: Clock for times and pauses.
    """

    show: Callable[[str], None]
    echo: Callable[[str], None]
    run_program: Runner = run_program
    connect: Callable[[str, str, str], Any] = open_role_session
    start: Callable[..., Any] = subprocess.Popen
    kill_group: Callable[[int, int], None] = os.killpg
    clock: Clock = time


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
