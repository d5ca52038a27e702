"""Run any program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rig.run.result import Result


def run_program(
    *command: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str = "",
    timeout: float = 300,
) -> Result:
    """Run a program without a terminal.

    Args:
        command: The program and its arguments.
        cwd: The working directory; by default the present one.
        env: Variables to set beside the present ones, or to remove (None).
        stdin: Text for standard input.
        timeout: Seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: If it was killed.
    """
    variables = {**os.environ, **(env or {})}
    process = subprocess.run(
        command,
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=timeout,
        check=False,
    )
    return Result(process.returncode, process.stdout, process.stderr)
