"""Merge three trees: the template's old release, the team's files, the template's new release.

Rules, for each file:

* One side changed it: that side's version.
* Both changed it: merged by lines where git can; else a conflict, with both versions in the file.
* The team deleted it: it stays deleted.
* The release removes it and the team changed it: a conflict, and the team's version stays.
* It is binary, or a link on one side: a conflict, and the team's version stays.
* The release renamed it: the team's changes move with it, but a submodule stays where it is.
* What the team renamed is the team's.
* The release's file is blocked by one of the team's: a conflict, and the team's file stays.

Each conflict becomes one in git's index, so that `git status`, editors and `git add` know it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from packer_toolkit.git.command import Git
from packer_toolkit.template.path_names import list_parents
from packer_toolkit.template.trees import SUBMODULE, Entry, Tree

ConflictKind = Literal["both changed", "both added", "removed", "no text", "in the way"]
"""Why a file is a conflict; `--json` prints these values."""

# The cause of a conflict, and what the update leaves in the file.
_REASONS: Mapping[ConflictKind, tuple[str, str]] = {
    "both changed": ("both changed the same lines", "they are marked in the file"),
    "both added": ("both added this file", "the differences are marked in it"),
    "removed": ("the release removes it, and you changed it", "yours stays"),
    "no text": ("both changed it, and it cannot be merged by lines", "yours stays"),
    "in the way": ("the release has a file here, which conflicts with yours", "yours stays"),
}
# Copier's labels: https://copier.readthedocs.io/en/stable/updating/
_LABELS = ("before updating", "last update", "after updating")
# The similarity from which two files count as one that was renamed; git's default.
_RENAMED = "-M50%"


@dataclass(frozen=True)
class Conflict:
    """A file for the user to decide on.

    Attributes:
        path: Its path below the project's folder.
        kind: Why it is a conflict.
        base: The file as the last release rendered it, if it did.
        ours: The team's file.
        theirs: The new release's file, if it has one.
    """

    path: str
    kind: ConflictKind
    base: Entry | None
    ours: Entry | None
    theirs: Entry | None

    @property
    def cause(self) -> str:
        """Why it is a conflict, for the user."""
        return _REASONS[self.kind][0]

    @property
    def reason(self) -> str:
        """Why it is a conflict, and what the update leaves in the file, for the user."""
        return "; ".join(_REASONS[self.kind])


@dataclass
class Merged:
    """The result of a merge.

    Attributes:
        tree: The resulting files; those with conflicts between lines hold both versions.
        conflicts: The conflicts, by path.
        kept_deleted: Files that the team deleted and the release changed.
        renamed: Files of the template that were renamed with the team's changes in them.
    """

    tree: Tree
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    kept_deleted: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


def merge_trees(
    git: Git, base: Tree, ours: Tree, theirs: Tree, renames: Iterable[tuple[str, str]] = ()
) -> Merged:
    """Merge two trees that have a common base.

    Args:
        git: Git in a repository that has all three, and gets the merged files.
        base: The files of the template's old release.
        ours: The team's files.
        theirs: The files of the template's new release.
        renames: Old and new paths of what the template renamed.
    """
    merged = Merged({})
    base, ours = dict(base), dict(ours)
    edited = {path for path, entry in ours.items() if entry != base.get(path)}
    for old_path, new_path in renames:
        if old_path not in edited or new_path in ours or _has_other_kind(new_path, edited):
            continue  # No changes of the team to move, or a file or folder at the new path.
        if ours[old_path].mode == SUBMODULE:
            continue  # .gitmodules names its path.
        base[new_path], ours[new_path] = base.pop(old_path), ours.pop(old_path)
        merged.renamed[old_path] = new_path
    for path in sorted({*base, *ours, *theirs}):
        old, mine, new = base.get(path), ours.get(path), theirs.get(path)
        result = mine
        if mine in (old, new):
            result = new
        elif old == new:
            pass
        elif mine is None:
            merged.kept_deleted.append(path)
        else:
            result, conflict = _merge_file(git, path, old, mine, new)
            if conflict:
                merged.conflicts[path] = conflict
        if result:
            merged.tree[path] = result
    _reject_blocked_files(merged, ours, theirs)
    return merged


def find_renames(git: Git, base: str, theirs: str) -> list[tuple[str, str]]:
    """Return old and new paths of what the template renamed between two tree objects."""
    command = ["diff-tree", "-r", "-z", _RENAMED, "--diff-filter=R", "--name-status", base, theirs]
    parts = iter(git.fields(*command))
    return [(next(parts), next(parts)) for _ in parts]


def _merge_file(
    git: Git, path: str, base: Entry | None, ours: Entry, theirs: Entry | None
) -> tuple[Entry, Conflict | None]:
    if theirs is None:
        return ours, Conflict(path, "removed", base, ours, theirs)
    if not (ours.is_file and theirs.is_file and (base is None or base.is_file)):
        return ours, Conflict(path, "no text", base, ours, theirs)
    mode = theirs.mode if base and base.mode == ours.mode else ours.mode
    if ours.oid == theirs.oid or (base and base.oid == theirs.oid):
        return Entry(mode, ours.oid), None
    if base and base.oid == ours.oid:
        return Entry(mode, theirs.oid), None
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as folder:
        files = []
        for name, entry in zip(_LABELS, (ours, base, theirs), strict=True):
            file = Path(folder, name.replace(" ", "-"))
            file.write_bytes(git.raw("cat-file", "blob", entry.oid) if entry else b"")
            files.append(str(file))
        labels = [part for label in _LABELS for part in ("-L", label)]
        process = git.run("merge-file", "-p", "-q", *labels, "--", *files)
    # The exit code is the number of conflicts; 128 and more is a failure: it is a binary file.
    if process.returncode > 127:
        return ours, Conflict(path, "no text", base, ours, theirs)
    oid = git.text("hash-object", "-w", "--stdin", stdin=process.stdout)
    kind: ConflictKind = "both changed" if base else "both added"
    conflict = Conflict(path, kind, base, ours, theirs) if process.returncode else None
    return Entry(mode, oid), conflict


def _reject_blocked_files(merged: Merged, ours: Tree, theirs: Tree) -> None:
    """Leave the release's file out where one side has a file and the other a folder."""
    for path in sorted(merged.tree):
        for above in list_parents(path):
            if path not in merged.tree or above not in merged.tree:
                continue
            rejected = above if path in ours else path
            merged.tree.pop(rejected)
            merged.conflicts[rejected] = Conflict(
                rejected, "in the way", None, None, theirs[rejected]
            )


def _has_other_kind(path: str, files: Collection[str]) -> bool:
    """Check whether a path is a folder of some files, or is below one of them."""
    return any(file.startswith(f"{path}/") or path.startswith(f"{file}/") for file in files)
