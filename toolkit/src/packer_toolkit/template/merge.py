"""The merge of three trees: what the template was, what the team made of it, what it is now.

Rules, for each file:

* Only one side changed it: that side's version.
* Both did: merged by lines, where git can; else a conflict, and both versions stand in the file.
* The team deleted it: it stays deleted.
* The release removes it and the team changed it: a conflict, and the team's version stays.
* It is no text, or a link on one side: a conflict, and the team's version stays.
* The release renamed it: the team's changes move with it, but a submodule stays where it is.
* What the team renamed is the team's.
* The release has a file where one of the team's stands in the way: a conflict, the team's stays.

Each conflict is one in git's own index, so that `git status`, editors and `git add` know it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from packer_toolkit.git.command import Git
from packer_toolkit.template.trees import SUBMODULE, Entry, Tree

Kind = Literal["both changed", "both added", "removed", "no text", "in the way"]

_REASONS: Mapping[Kind, str] = {
    "both changed": "both changed the same lines; they are marked in the file",
    "both added": "both added this file; where they differ is marked in it",
    "removed": "the release removes it, and you changed it; yours stays",
    "no text": "both changed it, and it cannot be merged by lines; yours stays",
    "in the way": "the release has a file here, where one of yours is in the way; yours stays",
}
# Copier's labels: https://copier.readthedocs.io/en/stable/updating/
_LABELS = ("before updating", "last update", "after updating")
# How alike two files must be to count as one that was renamed; git's own default.
_RENAMED = "-M50%"


@dataclass(frozen=True)
class Conflict:
    """A file for a person to decide on.

    Attributes:
        path: where it is, from the project's folder.
        kind: what happened.
        base: the file as the last release rendered it, if it did.
        ours: the team's.
        theirs: the new release's, if it has it.
    """

    path: str
    kind: Kind
    base: Entry | None
    ours: Entry | None
    theirs: Entry | None

    @property
    def reason(self) -> str:
        """What happened, for a person."""
        return _REASONS[self.kind]


@dataclass
class Merged:
    """What a merge comes to.

    Attributes:
        tree: the resulting files; those with conflicts between lines hold both versions.
        conflicts: by path.
        kept_deleted: files that the team deleted and the release changed.
        renamed: files of the template that were renamed with the team's changes in them.
    """

    tree: Tree
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    kept_deleted: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


def merge(
    git: Git, base: Tree, ours: Tree, theirs: Tree, renames: Iterable[tuple[str, str]] = ()
) -> Merged:
    """Merge two trees with what they have in common.

    Args:
        git: git in a repository that holds all three, and gets the merged files.
        base: the template as it was.
        ours: the team's files.
        theirs: the template as it is.
        renames: old and new paths of what the template renamed.
    """
    merged = Merged({})
    base, ours = dict(base), dict(ours)
    for before, after in renames:
        if before not in ours or ours[before] == base[before] or after in ours:
            continue  # Nothing of the team's to move, or their own file at the new path.
        if ours[before].mode == SUBMODULE:
            continue  # .gitmodules names its path.
        base[after], ours[after] = base.pop(before), ours.pop(before)
        merged.renamed[before] = after
    for path in sorted({*base, *ours, *theirs}):
        was, mine, new = base.get(path), ours.get(path), theirs.get(path)
        result = mine
        if mine in (was, new):
            result = new
        elif was == new:
            pass
        elif mine is None:
            merged.kept_deleted.append(path)
        else:
            result, conflict = _merge_file(git, path, was, mine, new)
            if conflict:
                merged.conflicts[path] = conflict
        if result:
            merged.tree[path] = result
    _clear_the_way(merged, ours, theirs)
    return merged


def template_renames(git: Git, base: str, theirs: str) -> list[tuple[str, str]]:
    """Return old and new paths of what the template renamed between two tree objects."""
    command = ["diff-tree", "-r", "-z", _RENAMED, "--diff-filter=R", "--name-status", base, theirs]
    parts = iter(git.fields(*command))
    return [(next(parts), next(parts)) for _ in parts]


def _set_aside(merged: Merged, path: str, theirs: Entry) -> None:
    """Leave a file of the release out, because one of the team's stands in the way."""
    merged.tree.pop(path, None)
    merged.conflicts[path] = Conflict(path, "in the way", None, None, theirs)


def _merge_file(
    git: Git, path: str, was: Entry | None, mine: Entry, new: Entry | None
) -> tuple[Entry, Conflict | None]:
    """Merge a file that both sides changed, or added."""
    if new is None:
        return mine, Conflict(path, "removed", was, mine, new)
    if not (mine.is_file and new.is_file and (was is None or was.is_file)):
        return mine, Conflict(path, "no text", was, mine, new)
    mode = new.mode if was and was.mode == mine.mode else mine.mode
    if mine.oid == new.oid or (was and was.oid == new.oid):
        return Entry(mode, mine.oid), None
    if was and was.oid == mine.oid:
        return Entry(mode, new.oid), None
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as folder:
        files = []
        for name, entry in zip(_LABELS, (mine, was, new), strict=True):
            file = Path(folder, name.replace(" ", "-"))
            file.write_bytes(git.raw("cat-file", "blob", entry.oid) if entry else b"")
            files.append(str(file))
        labels = [part for label in _LABELS for part in ("-L", label)]
        done = git.run("merge-file", "-p", "-q", *labels, "--", *files)
    # The exit code is the number of conflicts; 128 and more is a failure: it is no text.
    if done.returncode > 127:
        return mine, Conflict(path, "no text", was, mine, new)
    oid = git.text("hash-object", "-w", "--stdin", stdin=done.stdout)
    kind: Kind = "both changed" if was else "both added"
    return Entry(mode, oid), None if not done.returncode else Conflict(path, kind, was, mine, new)


def _clear_the_way(merged: Merged, ours: Tree, theirs: Tree) -> None:
    """Where one side has a file and the other a folder, keep the team's."""
    for path in sorted(merged.tree):
        for above in _parents(path):
            if path not in merged.tree or above not in merged.tree:
                continue
            dropped = above if path in ours else path
            if dropped in ours:
                # Cannot be: the team's own tree has no such pair.
                continue
            _set_aside(merged, dropped, theirs[dropped])


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
