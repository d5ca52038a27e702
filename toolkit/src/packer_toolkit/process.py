"""Run a program, and stop it after a timeout or a signal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMED_OUT, NOT_EXECUTABLE, NOT_ON_PATH = 124, 126, 127
_POLL_SECONDS = 0.2
# From SIGTERM to SIGKILL.
_GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class Completed:
    """A program that has ended, or could not be started.

    Attributes:
        code: Exit code; `TIMED_OUT`, `NOT_EXECUTABLE` and `NOT_ON_PATH` as a shell reports them.
        stdout: Standard output.
        stderr: Standard error.
    """

    code: int
    stdout: str = ""
    stderr: str = ""

    @property
    def line(self) -> str:
        """The first line of the output of a success, the last one of the error of a failure."""
        text = self.stdout if self.code == 0 else self.stderr.strip() or self.stdout
        lines = text.strip().splitlines() or [f"exit code {self.code}" if self.code else ""]
        return lines[0] if self.code == 0 else lines[-1]


Runner = Callable[..., Completed]
"""What `run_program` is; tests pass a function of their own."""


def run_program(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    text: str = "",
    timeout: float | None = None,
    check_signals: Callable[[], None] | None = None,
) -> Completed:
    """Run a program without a terminal, and return how it ended.

    Args:
        command: The program and its arguments.
        folder: The working directory.
        env: The whole environment; None for that of this process.
        text: Standard input.
        timeout: Seconds after which the program is stopped.
        check_signals: Called several times a second. When it raises, the program is stopped
            together with the programs that it has started.
    """
    name = str(command[0])
    began = time.monotonic()
    try:
        with start_program(
            [str(part) for part in command],
            is_group=check_signals is not None,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE if text else subprocess.DEVNULL,
            text=True,
            errors="replace",
        ) as process:
            while True:
                try:
                    wait = _POLL_SECONDS if check_signals else timeout
                    out, err = process.communicate(text or None, wait)
                    return Completed(process.returncode, out, err)
                except subprocess.TimeoutExpired:
                    text = ""
                    if timeout is not None and time.monotonic() - began >= timeout:
                        message = f"{name} timed out after {timeout:g} seconds"
                        return Completed(TIMED_OUT, stderr=message)
                    if check_signals:
                        check_signals()
    except FileNotFoundError as error:
        missing = f"{name} is not on PATH" if error.filename == name else f"no {error.filename}"
        return Completed(NOT_ON_PATH, stderr=missing)
    except OSError as error:
        return Completed(NOT_EXECUTABLE, stderr=f"{name} cannot be executed: {error.strerror}")


@contextlib.contextmanager
def start_program(
    command: Sequence[str], *, is_group: bool, **options: Any
) -> Iterator[subprocess.Popen[Any]]:
    """Start a program, and stop it if it still runs at the end of the block.

    Args:
        command: The program and its arguments.
        is_group: Whether the programs that it has started are stopped with it; then it has no
            terminal.
        options: Further arguments of `subprocess.Popen`.
    """
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=is_group,
        **options,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                for number in (signal.SIGTERM, signal.SIGKILL):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        if is_group:
                            os.killpg(process.pid, number)
                        else:
                            process.send_signal(number)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_GRACE_SECONDS)
