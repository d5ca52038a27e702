"""`packer-toolkit` as the job of a workflow calls it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest

from packer_toolkit.cli.main import main


class Said(NamedTuple):
    """What a command wrote."""

    stdout: str
    stderr: str


@dataclass
class Toolkit:
    """`packer-toolkit` in a folder, with the environment of a job.

    Attributes:
        directory: the present folder.
        env: beside PATH and HOME.
    """

    directory: Path
    env: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        return [str(Path(sys.executable).with_name("packer-toolkit")), *arguments]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the whole environment."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME")}
        return {**kept, **self.env, **env}

    def run(self, *arguments: str, code: int = 0, **env: str) -> Said:
        """Run a command in this process, which is faster, and expect its exit code."""
        out, err = io.StringIO(), io.StringIO()
        ended: int | str | None = None
        with (
            mock.patch.dict(os.environ, self.environment(env), clear=True),
            mock.patch.object(sys, "argv", ["packer-toolkit", *arguments]),
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.chdir(self.directory)
            try:
                main()
            except SystemExit as exit_:
                ended = exit_.code
        assert ended == code, out.getvalue() + err.getvalue()
        assert "Traceback" not in err.getvalue()
        return Said(out.getvalue(), err.getvalue())
