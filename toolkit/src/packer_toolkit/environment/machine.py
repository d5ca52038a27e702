"""The machine that the doctor checks, and the results of its checks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packer_toolkit.process import Completed, run_program


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes:
        name: The subject of the check.
        state: ok; missing: a build fails without it; skipped: it does not matter on this machine.
        found: What is on this machine, or why the check was skipped.
        fix: The next step, when something is missing.
    """

    name: str
    state: str
    found: str
    fix: str | None = None


@dataclass(frozen=True)
class Machine:
    """The machine and the repository that the doctor checks.

    Attributes:
        root: The repository, None outside of one.
        values: Its settings and the environment.
        environ: The environment alone.
    """

    root: Path | None
    values: Mapping[str, str]
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def is_container(self) -> bool:
        """Whether this is a container of the toolkit image."""
        return bool(self.environ.get("PACKER_TOOLKIT_VERSION"))

    def run(self, *command: str) -> Completed:
        """Run a program with English messages, for 30 seconds at most."""
        return run_program(command, env={**self.environ, "LC_ALL": "C"}, timeout=30)

    def has_program(self, name: str) -> bool:
        """Report whether a program is on PATH."""
        import shutil

        return shutil.which(name, path=self.environ.get("PATH")) is not None


def report_ok(name: str, found: str) -> Check:
    """Return the result of a check that found nothing to fix."""
    return Check(name, "ok", found)


def report_missing(name: str, found: str, fix: str) -> Check:
    """Return the result of a check that found something to fix."""
    return Check(name, "missing", found, fix)


def report_skipped(name: str, reason: str) -> Check:
    """Return the result of a check that was skipped."""
    return Check(name, "skipped", reason)
