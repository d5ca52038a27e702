"""An update that was computed and not written yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from packer_toolkit.git.command import Git
from packer_toolkit.template.merge import Conflict, Merged
from packer_toolkit.template.path_names import find_case_renames, find_collisions, ignores_case
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import Tree

FileChange = Literal["added", "changed", "deleted"]


class AnswerChanges(TypedDict):
    """How an update changes the recorded answers, by question.

    Attributes:
        new: Questions that the release asks for the first time -> the answer.
        changed: Recorded answers that differ -> [before, after].
        gone: Answers to questions that are no longer asked.
    """

    new: dict[str, Any]
    changed: dict[str, list[Any]]
    gone: dict[str, Any]


@dataclass(frozen=True)
class UpdateRequest:
    """What the user asks of an update.

    Attributes:
        release: Release to update to; None for the latest.
        answers: New answers to questions.
        trust: Whether the template may run its code, whatever Copier's settings are.
    """

    release: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False


@dataclass
class UpdatePlan:
    """An update that was computed and not written yet.

    Attributes:
        project: The repository.
        release: The release to update to.
        sandbox: Git in a temporary repository that has all objects.
        before: The project's files.
        after: Its files after the update; conflicts between lines are marked in them.
        after_tree: The same as a tree object of the sandbox.
        merged: The merge, with its conflicts.
        answers: How the recorded answers change.
        blocking_files: Untracked files that the update would overwrite.
        changes: What happens to each path.
        case_renames: Old and new paths that are one on this file system, which ignores case.
        collisions: A new path and a file, of which this file system can have only one.
    """

    project: Project
    release: str
    sandbox: Git
    before: Tree
    after: Tree
    after_tree: str
    merged: Merged
    answers: AnswerChanges
    blocking_files: list[str]
    changes: dict[str, FileChange] = field(init=False)
    case_renames: dict[str, str] = field(default_factory=dict)
    collisions: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if ignores_case(self.project.folder, self.project.answers_file):
            self.case_renames = find_case_renames(self.before, self.after)
            self.collisions = find_collisions(self.before, self.after)
        before, after = self.before, self.after
        self.changes = {
            path: "added" if path not in before else "changed" if path in after else "deleted"
            for path in sorted({*before, *after})
            if before.get(path) != after.get(path)
        }

    @property
    def conflicts(self) -> list[Conflict]:
        """The conflicts, by path."""
        return [self.merged.conflicts[path] for path in sorted(self.merged.conflicts)]

    @property
    def added(self) -> list[str]:
        """The paths at which the project has no file yet."""
        return [path for path in self.changes if path not in self.before]

    def list_ignored(self) -> list[str]:
        """Return the new files that git would ignore, and so leave out of the next commit."""
        text = b"".join(os.fsencode(path) + b"\0" for path in self.added)
        process = self.project.git.run("check-ignore", "-z", "--stdin", stdin=text)
        return sorted(os.fsdecode(path) for path in process.stdout.split(b"\0") if path)

    def format_diff(self, color: bool = False) -> str:
        """Return what the update changes, as git shows it."""
        options = ["-c", "core.quotePath=false", "diff", "--no-ext-diff", "--no-textconv"]
        options += ["--color=always" if color else "--color=never", "--no-renames"]
        return self.sandbox.text(*options, self.project.tree, self.after_tree)
