"""Find paths that lead to the same file on file systems that ignore case or Unicode composition.

macOS's file systems do, and so do Windows' and folders of ext4 with casefold.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path


def fold_path(path: str) -> str:
    """Return a form of a path that is equal for all paths that may lead to the same file."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def is_one_file(root: Path, path: str, other: str) -> bool:
    """Check whether two different paths below a folder lead to the same file, link or folder."""
    if path == other or fold_path(path) != fold_path(other):
        return False
    try:
        first, second = (root / path).lstat(), (root / other).lstat()
    except OSError:
        return False
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def ignores_case(root: Path, path: str) -> bool:
    """Check whether the file system of a folder ignores case.

    Args:
        root: The folder.
        path: The path of a file below it, with a letter in it.
    """
    return is_one_file(root, path, path.swapcase())


def has_exact_name(place: Path) -> bool:
    """Check whether a file or folder has exactly this name, with the case of each letter."""
    try:
        return place.name in os.listdir(place.parent)
    except OSError:
        return False


def find_other_name(root: Path, path: str, known: Mapping[str, Collection[str]]) -> str | None:
    """Return the known path that leads to the same file as another path, if there is one.

    Args:
        root: The folder that the paths are below.
        path: The other path.
        known: Known paths by their folded form, as `group_by_fold` returns them.
    """
    return next(
        (item for item in known.get(fold_path(path), ()) if is_one_file(root, item, path)), None
    )


def group_by_fold(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return paths by their folded form."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(fold_path(path), []).append(path)
    return groups


def list_parents(path: str) -> list[str]:
    """Return the folders that a path is in, the topmost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def find_case_renames(before: Collection[str], after: Collection[str]) -> dict[str, str]:
    """Return old and new paths of files whose names change, but are equal when folded."""
    added = {fold_path(path): path for path in after if path not in before}
    return {
        path: added[fold_path(path)]
        for path in before
        if path not in after and fold_path(path) in added
    }


def find_collisions(before: Collection[str], after: Collection[str]) -> list[tuple[str, str]]:
    """Return pairs of paths of which a file system that ignores case can have only one.

    Args:
        before: The files before an update; their collisions are left out.
        after: The files after it.

    Returns:
        The path that the update adds, and the file that it collides with.
    """
    files = group_by_fold(after)
    collisions = [
        (path, item)
        for path in after
        if path not in before
        for place in (*list_parents(path), path)
        for item in files.get(fold_path(place), ())
        if item != place
    ]
    return sorted({(min(pair), max(pair)): pair for pair in collisions}.values())
