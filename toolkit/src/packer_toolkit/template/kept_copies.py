"""Copies of what users saved into files of an update."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from packer_toolkit.template.file_changes import exists, find_blocking_file
from packer_toolkit.text.paths import show_path


def choose_copy(folder: Path, path: str) -> Path:
    """Return where a copy of a file goes below a folder, and create the folders that it needs."""
    copy, number = folder / path, 1
    while exists(copy) or find_blocking_file(folder, copy.relative_to(folder).as_posix()):
        number += 1
        copy = folder / str(number) / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    return copy


def show_copy(copy: Path) -> str:
    """Return the path of a copy for the user: from the current folder if it is below that."""
    with contextlib.suppress(ValueError):
        copy = copy.relative_to(Path.cwd())
    return shlex.quote(show_path(str(copy)))
