"""The signals of a test run: as in a terminal, however the run was started.

A shell starts its background jobs with SIGINT ignored, `nohup` with SIGHUP, and some supervisors
block signals or ignore SIGCHLD.  A child process inherits that, so a test that interrupts a child
would wait forever, or see another exit code.
"""

from __future__ import annotations

import signal
from types import FrameType


def set_handlers() -> None:
    """Let this process, and with it each child that it starts, receive the signals of tests."""
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    # A run under `nohup` goes on when its terminal is closed.  A handler, unlike an ignored signal,
    # is not inherited by a child.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _ignore)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame
