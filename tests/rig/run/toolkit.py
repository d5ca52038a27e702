"""Run `packer-toolkit`: in this process, which is faster, or as the job of a workflow calls it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from packer_toolkit.cli.main import main
from rig.run.result import Result


def run_toolkit(
    repository: Path | None,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    clear: bool = False,
    stdin: str = "",
) -> Result:
    """Run `packer-toolkit ARGUMENTS` without a process of its own.

    Args:
        repository: The working directory; None is the present one.
        arguments: The command and its options.
        env: Variables to set beside the present ones.
        clear: Whether the command gets no other variables.
        stdin: Text for standard input.

    Raises:
        Exception: An error of the program that no user should see.
    """
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, env or {}, clear=clear))
        os.environ.setdefault("PACKER_TOOLKIT_TRACEBACK", "1")
        stack.enter_context(mock.patch.object(sys, "argv", ["packer-toolkit", *arguments]))
        stack.enter_context(mock.patch.object(sys, "stdin", io.StringIO(stdin)))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(_working_directory(repository))
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Result(code, _read(out), _read(err))


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    printed: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return printed.decode("utf-8", "replace").replace("\r\n", "\n")


@contextlib.contextmanager
def _working_directory(folder: Path | None) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder or before)
    try:
        yield
    finally:
        os.chdir(before)


@dataclass
class Toolkit:
    """`packer-toolkit` in a folder, with the environment of a job.

    Attributes:
        directory: The working directory.
        env: Variables beside PATH and HOME.
    """

    directory: Path
    env: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a process of its own."""
        return [str(Path(sys.executable).with_name("packer-toolkit")), *arguments]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the whole environment."""
        retained = {name: os.environ[name] for name in ("PATH", "HOME")}
        return {**retained, **self.env, **env}

    def run(self, *arguments: str, code: int = 0, **env: str) -> Result:
        """Run a command, and expect its exit code."""
        result = run_toolkit(self.directory, *arguments, env=self.environment(env), clear=True)
        assert result.code == code, result.output
        return result
