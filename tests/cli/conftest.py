"""How the tests of the command line call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from packer_toolkit.cli.main import group
from packer_toolkit.errors import ToolkitError


@dataclass(frozen=True)
class CommandResult:
    """How a command ended.

    Attributes:
        code: Its exit code.
        stdout: What it printed to standard output.
        stderr: What it printed to standard error.
        error: The line of an error; "" without one.
    """

    code: int
    stdout: str
    stderr: str
    error: str = ""

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.stdout)


@pytest.fixture
def call() -> Callable[..., CommandResult]:
    """Return a function that runs `packer-toolkit ARGUMENTS` in this process."""

    def run(*arguments: str, stdin: str = "", **env: str) -> CommandResult:
        runner = CliRunner(env=env)
        result = runner.invoke(group, list(arguments), input=stdin, standalone_mode=False)
        error = result.exception
        if isinstance(error, ToolkitError):
            return CommandResult(error.code, result.stdout, result.stderr, str(error))
        if error and hasattr(error, "exit_code"):
            return CommandResult(error.exit_code, result.stdout, result.stderr, str(error))
        if error:
            raise error
        return CommandResult(result.return_value or 0, result.stdout, result.stderr)

    return run
