"""Compare the files of a render with those of a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git

FileState = Literal["missing", "same", "different", "in the way", "ignored"]


def compare_files(folder: Path, render: Path, answers_file: str) -> dict[str, FileState]:
    """Return the state in a folder of each file of a render.

    Args:
        folder: The folder that is adopted.
        render: The files of the template.
        answers_file: Path of the answers file, which is left out.
    """
    states = {
        path: _compare_file(folder, render, path)
        for file in sorted(render.rglob("*"))
        if not file.is_dir() or file.is_symlink()
        if (path := file.relative_to(render).as_posix()) != answers_file
    }
    missing = [path for path, state in states.items() if state == "missing"]
    for path in Git(folder).filter_ignored(missing):
        states[path] = "ignored"
    return states


def _compare_file(folder: Path, render: Path, path: str) -> FileState:
    file = folder / path
    for parent in list(file.parents)[: path.count("/")]:
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            return "in the way"
    if not os.path.lexists(file):
        return "missing"
    if file.is_dir() or file.is_symlink() or not file.is_file():
        return "in the way"
    return "same" if file.read_bytes() == (render / path).read_bytes() else "different"


def find_nearest_release(
    folder: Path,
    tags: Sequence[str],
    render: Callable[[str], Path],
    answers_file: str,
    report: Callable[[str], None],
) -> str:
    """Return the release that is most similar to a folder.

    A copy of an older release must be compared with that release: compared with the newest one, the
    later changes of the template would count as edits of the team, and never change.

    Args:
        folder: The folder that is adopted.
        tags: Of the releases, the oldest first.
        render: Renders a release for the found answers; raises SetupError when that is impossible.
        answers_file: Path of the answers file.
        report: Called with a line for the user.
    """
    report(f"Comparing with {len(tags)} releases.")
    renders: dict[str, Path] = {}
    for tag in tags:
        with suppress(SetupError):
            renders[tag] = render(tag)
    states = {tag: compare_files(folder, files, answers_file) for tag, files in renders.items()}
    copies = {
        path
        for tag, files in renders.items()
        for path, state in states[tag].items()
        # A README.md that the team wrote is not a copy of the template's, and must not count.
        if state == "same" or (state == "different" and _is_copy(folder / path, files / path))
    }
    if not copies:
        return tags[-1]
    scores = {
        tag: _count_differences(folder, files, copies, states[tag])
        for tag, files in renders.items()
    }
    for tag, score in scores.items():
        report(f"Compared with {tag}: {score} {'line differs' if score == 1 else 'lines differ'}.")
    # Of several, the oldest: files that only a newer one has come with the next update, where the
    # user sees them and may delete them. With the newest one as baseline they would count as
    # deleted, and never come.
    return min(scores, key=lambda tag: scores[tag])


def _count_differences(
    folder: Path, render: Path, copies: set[str], states: Mapping[str, FileState]
) -> int:
    """Count the lines that differ in the copies.

    The same files count for every release, with all lines of one that a release does not have. A
    file that the folder does not have counts for none: either the team deleted it, or the release
    that has it is newer than the copy.
    """
    pairs = [
        (_count_lines(folder / path), _count_lines(render / path))
        for path in copies
        if states.get(path) != "same"
    ]
    return sum((one - other).total() + (other - one).total() for one, other in pairs)


def _is_copy(file: Path, original: Path) -> bool:
    """Report whether two files have at least half of their lines in common."""
    one, other = _count_lines(file), _count_lines(original)
    return 2 * (one & other).total() >= max(one.total(), other.total())


def _count_lines(file: Path) -> Counter[bytes]:
    """Return how often each line is in a file; a missing file has no lines."""
    return Counter(file.read_bytes().splitlines() if file.is_file() else [])
