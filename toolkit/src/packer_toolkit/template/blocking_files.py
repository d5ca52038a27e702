"""Untracked files that an update would overwrite, and other reasons why it must not be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.template.file_changes import find_blocking_file
from packer_toolkit.template.hidden_changes import require_seen_by_git
from packer_toolkit.template.path_names import find_other_name, group_by_fold
from packer_toolkit.template.trees import Tree
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.text.paths import join_paths


def require_writable(plan: UpdatePlan) -> None:
    """Make sure that an update overwrites no file that git does not have.

    Raises:
        SetupError: It would overwrite an untracked file, or changes that git is set to ignore.
    """
    if plan.blocking_files:
        files = "file" if len(plan.blocking_files) == 1 else "files"
        raise SetupError(
            f"untracked {files} {join_paths(plan.blocking_files)} would be overwritten by the "
            "release; rename, or git add --force and commit"
        )
    if plan.collisions:
        new, old = plan.collisions[0]
        raise SetupError(
            f"{join_paths([new])} and {join_paths([old])} are the same file on this file system, "
            "which ignores case; rename or remove yours and commit that, or update on a machine "
            "whose file system does not"
        )
    changed = [path for path in plan.changes if path in plan.before]
    added = [path for path in plan.changes if path not in plan.before]
    require_seen_by_git(plan.project, changed, added)


def find_blocking_files(folder: Path, before: Tree, after: Tree) -> list[str]:
    """Find the untracked files, ignored ones included, that an update would overwrite now.

    Args:
        folder: The project's folder.
        before: The project's files.
        after: Its files after the update.

    Returns:
        Their paths, sorted.
    """
    blocking: set[str] = set()
    names = group_by_fold(before)

    def is_tracked(path: str) -> bool:
        # Another name of a tracked file: the update renames it, or it is a collision.
        return path in before or find_other_name(folder, path, names) is not None

    for path in after:
        if path in before and after[path] == before[path]:
            continue
        file = find_blocking_file(folder, path)
        paths = [file.relative_to(folder).as_posix()] if file else _list_files(folder, path)
        blocking.update(path for path in paths if not is_tracked(path))
    return sorted(blocking)


def _list_files(folder: Path, path: str) -> Iterator[str]:
    """Yield the files and links at a path, or below it if it is a folder."""
    place = folder / path
    if place.is_symlink() or place.is_file():
        yield path
        return
    for parent, folders, files in os.walk(place):
        for name in [*files, *(name for name in folders if Path(parent, name).is_symlink())]:
            yield f"{path}/{Path(parent, name).relative_to(place).as_posix()}"
