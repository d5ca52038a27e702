"""What a repository looks like to the byte: files, modes, index, HEAD and references."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rig.repositories.template import git


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


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and bytes of all that lies in a folder; git's own files are left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] == ".git":
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[str(name)] = (mode, os.fsencode(path.readlink()))
        else:
            found[str(name)] = (mode, b"" if path.is_dir() else path.read_bytes())
    return found
