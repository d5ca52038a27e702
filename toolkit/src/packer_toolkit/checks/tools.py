"""What the checks share: findings, running a tool, and the files of a repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# What others have made, and what tools keep; git ignores most of it anyway.
_FOREIGN = (".git", ".ansible", ".galaxy", ".task", ".venv", "node_modules", "packer_cache")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: path from the repository's root; None when the tool names none.
        line: from 1; None when the tool names none.
        message: what is wrong, in one line.
    """

    file: str | None
    line: int | None
    message: str

    @property
    def place(self) -> str:
        """FILE:LINE, as far as they are known."""
        return ":".join(str(part) for part in (self.file, self.line) if part is not None)


class MissingToolError(Exception):
    """The tool of a check is not on PATH; the message is its name."""


class SkippedError(Exception):
    """The check does not run; the message says why."""


def run(
    root: Path, *command: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the tool of a check.

    Args:
        root: the working directory.
        command: the tool and its arguments.
        env: further variables.

    Raises:
        MissingToolError: when the tool is not on PATH.
    """
    program = str(command[0])
    if not shutil.which(program):
        raise MissingToolError(program)
    return subprocess.run(
        [program, *map(str, command[1:])],
        cwd=root,
        env={
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "CHECKPOINT_DISABLE": "1",
            "NO_COLOR": "1",
            "PACKER_NO_COLOR": "1",
            **(env or {}),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def read_unplaced(result: subprocess.CompletedProcess[str]) -> list[Finding]:
    """Return what a tool said when none of it could be read: never a silent pass."""
    if not result.returncode:
        return []
    said = [line.strip() for line in f"{result.stdout}\n{result.stderr}".splitlines()]
    return [Finding(None, None, " ".join(filter(None, said)) or f"exit code {result.returncode}")]


def files(root: Path) -> list[str]:
    """Return the repository's files as paths from its root, without those that git ignores."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        result = subprocess.run(listing, cwd=root, capture_output=True, check=False)
        found = os.fsdecode(result.stdout).split("\0") if result.returncode == 0 else []
    except FileNotFoundError:
        found = []
    if not any(found):  # no repository: then all that is not known to be somebody else's
        found = [
            path.relative_to(root).as_posix()
            for path in root.rglob("*")
            if not set(path.relative_to(root).parts) & set(_FOREIGN)
        ]
    return sorted(name for name in set(found) if name and (root / name).is_file())


def without_links(root: Path, names: Iterable[str]) -> list[str]:
    """Leave out symbolic links: their targets are formatted elsewhere, or belong to others.

    Args:
        root: the repository.
        names: paths from its root. A folder on the way may be a link, too.
    """
    real = os.path.realpath(root)
    return [name for name in names if os.path.realpath(root / name) == os.path.join(real, name)]


def make_relative(root: Path, path: str) -> str:
    """Return a path from the root; one outside of it stays as it is."""
    absolute = Path(os.path.normpath(root / path))
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else path
