"""Run a program: its exit code, its output, and the line of the output that matters."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMED_OUT, NOT_EXECUTABLE, NOT_ON_PATH = 124, 126, 127
_POLL_SECONDS = 0.2


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
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE if text else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=check_signals is not None,
        )
    except FileNotFoundError as error:
        missing = f"{name} is not on PATH" if error.filename == name else f"no {error.filename}"
        return Completed(NOT_ON_PATH, stderr=missing)
    except OSError as error:
        return Completed(NOT_EXECUTABLE, stderr=f"{name} cannot be executed: {error.strerror}")
    end = time.monotonic() + (float("inf") if timeout is None else timeout)
    try:
        while True:
            try:
                wait = _POLL_SECONDS if check_signals else timeout
                out, err = process.communicate(text or None, wait)
                return Completed(process.returncode, out, err)
            except subprocess.TimeoutExpired:
                text = ""
                if time.monotonic() >= end:
                    return Completed(
                        TIMED_OUT, stderr=f"{name} timed out after {timeout:g} seconds"
                    )
                if check_signals:
                    check_signals()
    finally:
        _stop(process, is_group=check_signals is not None)


def _stop(process: subprocess.Popen[str], *, is_group: bool) -> None:
    """Stop a process that still runs, and close its streams."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            if is_group:
                os.killpg(process.pid, signal.SIGTERM)
            else:
                process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()
