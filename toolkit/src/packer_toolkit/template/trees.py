"""Trees of git: the files of a commit by path, and their lines for git's index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from packer_toolkit.git.command import Git

SUBMODULE = "160000"
_FILES = ("100644", "100755")


class Entry(NamedTuple):
    """A file, link or submodule in a tree: git's mode and object ID."""

    mode: str
    oid: str

    @property
    def is_file(self) -> bool:
        """Whether this is a regular file."""
        return self.mode in _FILES


Tree = dict[str, Entry]


def read_tree(git: Git, tree: str) -> Tree:
    """Return the files of a tree object, by path."""
    files = {}
    for line in git.fields("ls-tree", "-r", "-z", "--full-tree", tree):
        meta, _, path = line.partition("\t")
        mode, _, oid = meta.split(" ")
        files[path] = Entry(mode, oid)
    return files


def write_tree(git: Git, tree: Mapping[str, Entry], index: Path) -> str:
    """Create a tree object from files.

    Args:
        git: Git in the repository that gets the tree.
        tree: The files, by path.
        index: A file that does not exist; used as index and deleted.

    Returns:
        The object ID of the tree.
    """
    lines = (format_index_line(path, entry) for path, entry in sorted(tree.items()))
    with_index = git.with_env(GIT_INDEX_FILE=str(index))
    try:
        add_to_index(with_index, lines)
        return with_index.text("write-tree")
    finally:
        index.unlink(missing_ok=True)


def add_to_index(git: Git, lines: Iterable[bytes], *options: str) -> None:
    """Add, replace or remove entries of the index that git uses.

    Args:
        git: Git, with GIT_INDEX_FILE.
        lines: Lines as `format_index_line` returns them.
        options: Further options of git update-index.
    """
    text = b"".join(line + b"\0" for line in lines)
    git.raw("update-index", "-z", *options, "--index-info", stdin=text)


def format_index_line(path: str, entry: Entry, stage: int = 0) -> bytes:
    """Return a line for `git update-index --index-info`; mode 0 removes the path.

    Args:
        path: The path from the top of the repository.
        entry: What is at the path.
        stage: 0, or which side of a conflict the entry is.
    """
    line = f"{entry.mode} {entry.oid} {stage}\t{path}"
    return line.encode("utf-8", "surrogateescape")
