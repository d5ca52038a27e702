"""Compute an update in a temporary folder, and run it: write what was computed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.answers_file import parse_answers
from packer_toolkit.template import render
from packer_toolkit.template.allowed_changes import require_harmless
from packer_toolkit.template.blocking_files import find_blocking_files, require_writable
from packer_toolkit.template.journal import Journal
from packer_toolkit.template.merge import Conflict, Merged, find_renames, merge_trees
from packer_toolkit.template.project import (
    Project,
    require_clean,
    require_commit,
    require_committed_answers,
)
from packer_toolkit.template.project_copy import ProjectCopy
from packer_toolkit.template.sandbox import build_small_environment
from packer_toolkit.template.source import (
    clone_template,
    describe_up_to_date,
    find_newest_release,
    find_release,
    is_release,
)
from packer_toolkit.template.trees import Entry, Tree, read_tree
from packer_toolkit.template.undo import Undone, describe_copies
from packer_toolkit.template.update_plan import AnswerChanges, UpdatePlan, UpdateRequest
from packer_toolkit.template.update_result import (
    describe_no_update,
    describe_update,
    format_result,
    format_undo_command,
    show_copy,
)
from packer_toolkit.text.paths import show_path


def choose_release(project: Project, wanted: str | None) -> str:
    """Return the tag of the release to update to.

    Args:
        project: The repository.
        wanted: The release that the user asked for; None for the newest.

    Raises:
        SetupError: There is no such release, or it is older than the present one.
        RemoteError: The template cannot be read.
    """
    source, file = project.source, project.answers_file
    release = find_release(source, wanted, file) if wanted else find_newest_release(source, file)
    present = project.version
    if wanted is None and release.version < present and not is_release(project.release):
        # Created from a commit that no release has yet.
        return project.release
    if release.version < present:
        raise SetupError(
            f"this repository is at {project.release}, and {release.tag} is older; updates only go "
            "forward; to go back, revert the commit of the update with git revert COMMIT"
        )
    return release.tag


@contextmanager
def plan_update(
    project: Project,
    release: str,
    request: UpdateRequest,
    clone: Path | None = None,
    render_update: render.Renderer | None = None,
) -> Iterator[UpdatePlan]:
    """Compute an update; its objects are in a temporary folder until the block ends.

    Args:
        project: The repository; uncommitted changes are left out.
        release: The template's release to update to.
        request: What the user asks for.
        clone: The template on this machine; None to fetch it first.
        render_update: Renders both releases; None for Copier in a process of its own.

    Yields:
        The update.

    Raises:
        SetupError: The update cannot be computed.
        RemoteError: The template cannot be fetched.
    """
    if project.version:
        require_committed_answers(project)
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
        options = render.RenderOptions(
            present=project.release,
            release=release,
            data=dict(request.answers),
            trust=request.trust,
            source=project.source,
            clone=str(clone or clone_template(project.source, Path(scratch, "template.git"))),
            answers_file=project.answers_file,
        )
        planner = _Planner(project, Path(scratch))
        plan = planner.plan(options, render_update or render.render_update)
        require_harmless(plan.sandbox, plan.before, plan.after)
        yield plan


@dataclass(frozen=True)
class UpdateResult:
    """The result of an update.

    Attributes:
        verdict: What `--json` prints.
        lines: The verdict for the user.
        notes: Lines about files that the user saved meanwhile.
        is_clean: Whether there is nothing to resolve.
    """

    verdict: Mapping[str, Any]
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_clean: bool = True


def update_repository(
    project: Project, request: UpdateRequest, *, dry_run: bool, echo: Callable[[str], None]
) -> UpdateResult:
    """Update a repository.

    Args:
        project: The repository.
        request: What the user asks for.
        dry_run: Whether nothing is written.
        echo: Prints a line that cannot wait for the result, such as how to undo an interrupted
            update.

    Raises:
        SetupError: When the update cannot be done; nothing was changed, or it was undone.
        RemoteError: When the template cannot be read.
    """
    journal = Journal(project)
    with nullcontext() if dry_run else journal.lock():
        require_commit(project)
        if dry_run:
            journal.require_settled()
        else:
            journal.require_unlocked()
            for line in describe_copies(journal.settle()):
                echo(line)
        require_clean(project)
        wanted = choose_release(project, request.release)
        if wanted == project.release and not request.answers:
            verdict = {**describe_no_update(project), "saved_meanwhile": {}, "dry_run": dry_run}
            return UpdateResult(verdict, [describe_up_to_date(wanted, request.release)])
        saved: dict[str, Path | None] = {}
        late = Undone()
        with plan_update(project, wanted, request) as plan:
            require_writable(plan)
            if plan.changes and not dry_run:
                echo(f"If this is interrupted, undo it with: {format_undo_command(project)}")
                saved = journal.write(plan)
                late = journal.copy_saved_aside()
            copies = {path: copy and str(copy) for path, copy in saved.items()}
            verdict = {**describe_update(plan), "saved_meanwhile": copies, "dry_run": dry_run}
            return UpdateResult(
                verdict,
                format_result(plan, is_written=not dry_run),
                [*describe_copies(late), *_describe_saved(saved)],
                not (plan.conflicts or saved or late.copies),
            )


def _describe_saved(saved: Mapping[str, Path | None]) -> list[str]:
    return [
        f"You saved {show_path(path)} while the update was written, and it stays as you saved it; "
        + (f"the update's version is {show_copy(copy)}." if copy else "the update deletes it.")
        for path, copy in saved.items()
    ]


class _Planner:
    """A temporary folder, with a copy of the project and both renders of the template."""

    def __init__(self, project: Project, scratch: Path) -> None:
        self._project = project
        # A default answer may be computed from the folder's name.
        name = project.folder.name or "project"
        home = scratch / "home"
        home.mkdir()
        self._env = build_small_environment(home)
        self._copy = ProjectCopy(project, scratch / "project" / name, scratch, self._env)
        self._git = self._copy.git
        self._merged = Merged({})
        self._written = ""
        self._steps = render.RenderSteps(
            merge=self._merge,
            # Templates know by this name, which is Copier's own, that answers are recorded ones.
            old=scratch / "copier._main.old_copy.packer-toolkit" / name,
            new=scratch / "new" / name,
        )

    def plan(self, options: render.RenderOptions, render_update: render.Renderer) -> UpdatePlan:
        """Compute the update."""
        self._copy.create()
        before = read_tree(self._git, self._project.tree)
        render_update(self._copy.folder, self._steps, options, self._env)
        after = self._merged.tree
        if self._steps.migrations:
            # Those after the merge have worked on its files.
            if self._copy.has_changes(self._written):
                after = read_tree(self._git, self._copy.snapshot(self._copy.folder, after))
            self._take_over_conflicts(after)
        return UpdatePlan(
            project=self._project,
            release=options.release,
            sandbox=self._git,
            before=before,
            after=after,
            after_tree=self._copy.write_tree(after),
            merged=self._merged,
            answers=self._compare_answers(),
            blocking_files=find_blocking_files(self._project.folder, before, after),
        )

    def _merge(self) -> None:
        """Merge both renders with the project, and write the result into the copy."""
        before = read_tree(self._git, self._project.tree)
        ours = dict(before)
        if self._steps.migrations and self._copy.has_changes(self._project.tree):
            ours = read_tree(self._git, self._copy.snapshot(self._copy.folder, before))
        old, new = (self._copy.snapshot(self._steps.old), self._copy.snapshot(self._steps.new))
        base, theirs = read_tree(self._git, old), read_tree(self._git, new)
        renames = find_renames(self._git, old, new)
        for old_path, new_path in renames:
            if old_path not in ours and new_path in ours and new_path not in before:
                # A migration has renamed it already.
                base[new_path] = base.pop(old_path)
        # The answers are Copier's: not merged, but written by the new release.
        answers_file = self._project.answers_file
        for tree in (base, ours):
            tree.pop(answers_file, None)
        answers = theirs.pop(answers_file, None)
        self._merged = merge_trees(self._git, base, ours, theirs, renames)
        if answers:
            self._merged.tree[answers_file] = answers
        # Migrations after the update work on the merged files.
        self._written = self._copy.write_tree(self._merged.tree)
        self._git.text("read-tree", "--reset", "-u", self._written)

    def _take_over_conflicts(self, after: Tree) -> None:
        """Add the conflicts that migrations left in the index, and drop those they solved."""
        for path in {*self._merged.conflicts} & {*self._merged.tree} - {*after}:
            del self._merged.conflicts[path]
        stages: dict[str, dict[str, Entry]] = {}
        for line in self._git.fields("ls-files", "--unmerged", "-z"):
            meta, _, path = line.partition("\t")
            mode, oid, stage = meta.split(" ")
            stages.setdefault(path, {})[stage] = Entry(mode, oid)
        for path, sides in stages.items():
            if path not in self._merged.conflicts:
                base, ours, theirs = (sides.get(stage) for stage in "123")
                self._merged.conflicts[path] = Conflict(path, "both changed", base, ours, theirs)

    def _compare_answers(self) -> AnswerChanges:
        old = self._project.answers
        file = self._steps.new / self._project.answers_file
        new = parse_answers(file.read_bytes(), "the new answers file") if file.exists() else {}
        questions = [name for name in {**old, **new} if not name.startswith("_")]
        return {
            "new": {name: new[name] for name in questions if name not in old},
            "changed": {
                name: [old[name], new[name]]
                for name in questions
                if name in old and name in new and old[name] != new[name]
            },
            "gone": {name: old[name] for name in questions if name not in new},
        }
