"""A terminal of 80 columns: a program in it, and the screen that a person would see."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import pexpect  # type: ignore[import-untyped]
import pyte

COLUMNS, LINES = 80, 24

UP, DOWN = "\x1b[A", "\x1b[B"
ENTER, SPACE = "\r", " "
CTRL_C = "\x03"
# Erases the line; questions come with their default already typed in.
ERASE = "\x15"


class Terminal:
    """A program on a pseudo-terminal; a context manager that ends it."""

    def __init__(
        self, *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Start a program.

        Args:
            command: the program and its arguments.
            cwd: where it runs.
            env: variables to set beside the present ones.
        """
        self._screen = pyte.HistoryScreen(COLUMNS, LINES, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        with warnings.catch_warnings():
            # pytest-xdist has a thread of its own, and Python 3.12 warns of each fork beside one.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded")
            self._child = pexpect.spawn(
                str(command[0]),
                [str(part) for part in command[1:]],
                cwd=str(cwd),
                env={**os.environ, **(env or {}), "TERM": "xterm-256color"},
                dimensions=(LINES, COLUMNS),
                timeout=None,
            )
        # prompt_toolkit asks where the cursor is; a terminal answers.
        self._screen.write_process_input = self._child.send  # type: ignore[method-assign]

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.close(force=True)

    @property
    def screen(self) -> list[str]:
        """The lines on the screen, without blanks at their ends."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def cursor(self) -> tuple[int, int]:
        """Line and column of the cursor, from 0."""
        return self._screen.cursor.y, self._screen.cursor.x

    @property
    def everything(self) -> str:
        """All lines since the start, those that have left the screen too."""
        width = range(self._screen.columns)
        gone = ["".join(line[i].data for i in width) for line in self._screen.history.top]
        return "\n".join(line.rstrip() for line in [*gone, *self._screen.display])

    def send(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self._child.send(key)

    def wait_for(self, seen: str | Callable[[list[str]], bool], timeout: float = 60) -> list[str]:
        """Wait until the screen holds a text or fits a condition; return the screen.

        Raises:
            AssertionError: after TIMEOUT seconds, or when the program has ended without it.
        """
        fits = seen if callable(seen) else lambda screen: any(seen in line for line in screen)
        end = time.monotonic() + timeout
        running = True
        while not fits(self.screen):
            if not running or time.monotonic() > end:
                shown = "\n".join(self.screen)
                raise AssertionError(f"not on the screen: {seen}\n{shown}")
            running = self._read()
        return self.screen

    def wait_for_end(self, timeout: float = 60) -> int:
        """Wait until the program ends; return its exit code.

        Raises:
            AssertionError: when it still runs after TIMEOUT seconds, or a signal ended it.
        """
        end = time.monotonic() + timeout
        while self._read():
            assert time.monotonic() < end, "\n".join(self.screen)
        self._child.close()
        assert self._child.exitstatus is not None, f"ended by signal {self._child.signalstatus}"
        return int(self._child.exitstatus)

    def _read(self) -> bool:
        """Feed the screen with what has come; False when the program has ended."""
        try:
            self._stream.feed(self._child.read_nonblocking(65536, timeout=0.1))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True


def copier(*args: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Terminal:
    """Start `copier ARGS` on a terminal."""
    return Terminal(sys.executable, "-m", "copier", *args, cwd=cwd, env=env)
