"""Signals that ask the command to end, without leaving temporary files or AWS resources behind."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from packer_toolkit.errors import InterruptedBySignalError


class TerminatedBySignal(BaseException):
    """The command received SIGTERM or SIGHUP."""


@contextlib.contextmanager
def handle_signals(handler: Callable[[int], None], numbers: Sequence[int]) -> Iterator[None]:
    """Call a handler for signals until the end of the block.

    A SIGHUP that `nohup` has set to be ignored stays ignored.

    Args:
        handler: Function that gets the number of a signal.
        numbers: Numbers of the signals.
    """
    before = {
        number: signal.signal(number, lambda number, _: handler(number))
        for number in numbers
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


@contextlib.contextmanager
def raise_on_termination() -> Iterator[None]:
    """Raise an exception for SIGTERM and SIGHUP, so that Python removes its temporary folders.

    Raises:
        TerminatedBySignal: If one of them was received; a second signal ends the process.
    """

    def stop(number: int) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise TerminatedBySignal(number)

    with handle_signals(stop, [signal.SIGTERM, signal.SIGHUP]):
        yield


@dataclass
class ReceivedSignals:
    """The signals that a build has received: the first one stops it, the second one forces that.

    Attributes:
        numbers: Numbers of the signals, oldest first.
        on_signal: Function that gets the number of a signal; it is called for each one.
    """

    numbers: list[int] = field(default_factory=list)
    on_signal: Callable[[int], None] = lambda _: None

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Record SIGINT, SIGTERM and SIGHUP until the end of the block."""
        with handle_signals(self.receive, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]):
            yield

    @property
    def has_any(self) -> bool:
        """Whether a signal was received."""
        return bool(self.numbers)

    @property
    def is_forced(self) -> bool:
        """Whether the build has to end without waiting for anything."""
        return len(self.numbers) > 1

    @property
    def exit_code(self) -> int:
        """128 + N of the first signal; 0 without one."""
        return 128 + self.numbers[0] if self.numbers else 0

    def receive(self, number: int) -> None:
        """Record a signal; the third one ends the process immediately."""
        self.numbers.append(number)
        if len(self.numbers) > 2:
            os.write(2, b"packer-toolkit: terminated; leftover resources were not checked\n")
            os._exit(self.exit_code)
        self.on_signal(number)

    def check(self) -> None:
        """Raise an error if a signal was received.

        Raises:
            InterruptedBySignalError: If a signal was received.
        """
        if self.numbers:
            raise InterruptedBySignalError(
                "interrupted by a signal before Packer ran; nothing was started", self.exit_code
            )
