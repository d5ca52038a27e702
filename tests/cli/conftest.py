"""How the tests of the command line call it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rig.run.result import Result
from rig.run.toolkit import run_toolkit


@pytest.fixture
def call() -> Callable[..., Result]:
    """Return a function that runs `packer-toolkit ARGUMENTS` in this process."""

    def run(*arguments: str, stdin: str = "", **env: str) -> Result:
        return run_toolkit(None, *arguments, env=env, stdin=stdin)

    return run
