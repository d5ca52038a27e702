"""The machine as pytest found it, before the tests' own isolation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

# Taken at import, which conftest.py does first.  Tests get a HOME of their own; what builds tools
# needs the real one, because that is where Go and uv keep their caches.
HOST_ENV: Mapping[str, str] = MappingProxyType(dict(os.environ))


def in_ci() -> bool:
    """Tell whether a missing tool is a failure: CI has to run every test."""
    return HOST_ENV.get("CI", "").lower() in {"1", "true"}


def birth(pid: int) -> str | None:
    """Return when a process started, or None when it has ended; a reused pid differs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def path_without(folder: Path, *names: str) -> str:
    """Return a PATH with all programs of the present one but some.

    Args:
        folder: New folder for links to the programs.
        names: Programs to leave out, wherever they are installed.
    """
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(place).glob("*"):
            if program.name not in names:
                (folder / program.name).unlink(missing_ok=True)
                (folder / program.name).symlink_to(program)
    return str(folder)
