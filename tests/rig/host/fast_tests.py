"""Tells the fast tests from the others, and keeps them fast.

`pytest -m "not integration"` runs without Packer, Docker, a server, or a program other than git.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence

import pytest

# Fixtures that start something.  Other fixtures build on them.
_SLOW_FIXTURES = {
    "docker_engine", "ec2_of_the_worker", "github", "packer", "planned_roles", "template",
    "terraform",
}  # fmt: skip
# Folders whose subject is rendered by Copier, or runs in processes of its own.
_SLOW_FOLDERS = {"rendered", "rig_selftest", "template", "workflows"}
_ALLOWED_PROGRAMS = {"git"}


class _Guard:
    """Records what a fast test starts.

    Attributes:
        is_active: Whether a fast test runs.
        started: Programs that it started, and the connections that it opened.
    """

    def __init__(self) -> None:
        self.is_active = False
        self.started: list[str] = []
        sys.addaudithook(self._record)

    def _record(self, event: str, args: Sequence[object]) -> None:
        if not self.is_active:
            return
        if event == "socket.connect":
            self.started.append(f"a connection to {args[1]!r}")
        elif event == "subprocess.Popen":
            command = args[1] if isinstance(args[1], (list, tuple)) else [args[0]]
            program = os.path.basename(str(command[0]))
            if program not in _ALLOWED_PROGRAMS:
                self.started.append(program)


_GUARD = _Guard()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start something; those that are already marked stay so."""
    for item in items:
        folder = item.path.relative_to(item.config.rootpath / "tests").parts[0]
        if folder in _SLOW_FOLDERS or _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("integration")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a fast test that starts a program or opens a connection."""
    _GUARD.is_active = item.get_closest_marker("integration") is None
    _GUARD.started.clear()
    try:
        yield
    finally:
        _GUARD.is_active = False
    if _GUARD.started:
        pytest.fail(f"it starts {', '.join(_GUARD.started)}: mark it with pytest.mark.integration")
