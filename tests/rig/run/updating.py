"""The commands on updates, run in this process, and what a repository looks like to the byte."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from packer_toolkit.cli.main import group
from packer_toolkit.errors import ToolkitError
from rig.repositories.template import git


@dataclass(frozen=True)
class Answer:
    """How a command ended.

    Attributes:
        code: its exit code.
        stdout: what it printed.
        stderr: what it printed there; for an error, its one line.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """What it printed, as JSON."""
        answer: dict[str, Any] = json.loads(self.stdout)
        return answer


def toolkit(repository: Path, *arguments: str) -> Answer:
    """Run `packer-toolkit ARGUMENTS` in a repository, without a process of its own."""
    with contextlib.chdir(repository) if hasattr(contextlib, "chdir") else _chdir(repository):
        result = CliRunner().invoke(group, list(arguments), standalone_mode=False)
    if isinstance(result.exception, ToolkitError):
        return Answer(result.exception.code, result.stdout, str(result.exception))
    if result.exception:
        raise result.exception
    return Answer(result.return_value or 0, result.stdout, result.stderr)


@contextlib.contextmanager
def _chdir(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@dataclass(frozen=True)
class File:
    """A file or link as it lies on the disk.

    Attributes:
        mode: all of its mode.
        content: its bytes; where a link leads to.
    """

    mode: int
    content: bytes

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def executable(self) -> bool:
        """Whether its owner may execute it."""
        return bool(self.mode & stat.S_IXUSR)


def files(folder: Path) -> dict[str, File]:
    """Return every file and link below a folder, git's own left out; ignored ones are there."""
    found = {}
    for place, folders, names in os.walk(folder):
        here = Path(place)
        if here == folder and ".git" in folders:
            folders.remove(".git")
        for name in [*names, *(item for item in folders if (here / item).is_symlink())]:
            path = here / name
            mode = path.lstat().st_mode
            content = os.fsencode(path.readlink()) if stat.S_ISLNK(mode) else path.read_bytes()
            found[os.fsdecode(path.relative_to(folder))] = File(mode, content)
        folders[:] = [item for item in folders if not (here / item).is_symlink()]
    return {path: item for path, item in found.items() if path != ".git"}


def state(repository: Path) -> Mapping[str, object]:
    """Return all that an undone update must leave as it was: files, folders, index, HEAD, refs."""
    return {
        "files": files(repository),
        "folders": sorted(
            str(path.relative_to(repository))
            for path in repository.rglob("*")
            if path.is_dir() and not path.is_symlink() and ".git" not in path.parts
        ),
        "index": git(repository, "ls-files", "--stage", "-z", "--", ":/"),
        "status": git(repository, "status", "--porcelain", "-z", "--ignored"),
        "head": git(repository, "rev-parse", "HEAD"),
        "refs": git(repository, "for-each-ref"),
        "config": git(repository, "config", "--local", "--list"),
    }


def unmerged(repository: Path) -> list[str]:
    """Return the files that git's index has as conflicts."""
    listing = git(repository, "ls-files", "-u", "-z").split("\0")
    return sorted({line.partition("\t")[2] for line in listing if line})
