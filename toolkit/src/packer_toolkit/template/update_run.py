"""Run an update of a repository, and undo one, for the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.template.blocking_files import require_writable
from packer_toolkit.template.clean_state import require_clean, require_commit
from packer_toolkit.template.journal import Journal
from packer_toolkit.template.project import Project
from packer_toolkit.template.source import describe_up_to_date
from packer_toolkit.template.undo import Undone
from packer_toolkit.template.update import choose_release, plan_update
from packer_toolkit.template.update_result import (
    describe_no_update,
    describe_update,
    format_result,
    format_undo_command,
    show_copy,
)
from packer_toolkit.text.paths import show_path


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
    project: Project,
    release: str | None,
    answers: Mapping[str, Any],
    *,
    trust: bool,
    dry_run: bool,
    echo: Callable[[str], None],
) -> UpdateResult:
    """Update a repository to a release.

    Args:
        project: The repository.
        release: Release to update to; None for the latest.
        answers: New answers to questions.
        trust: Whether the template may run its tasks and migrations.
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
        wanted = choose_release(project, release)
        if wanted == project.release and not answers:
            verdict = {**describe_no_update(project), "saved_meanwhile": {}, "dry_run": dry_run}
            return UpdateResult(verdict, [describe_up_to_date(wanted, release)])
        saved: dict[str, Path | None] = {}
        late = Undone()
        with plan_update(project, wanted, answers, trust) as plan:
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


def undo_update(folder: Path, dry_run: bool) -> tuple[Undone, Path | None]:
    """Undo the last update of the repository that a folder is in.

    Args:
        folder: The folder.
        dry_run: Whether nothing is changed.

    Returns:
        What was undone, and the folder of copies that earlier updates have kept, if there is one.

    Raises:
        SetupError: When the update is part of a commit, or cannot be undone yet.
    """
    journal = Journal.find(folder)
    with nullcontext() if dry_run else journal.lock():
        undone = journal.undo(dry_run) or Undone()
    return undone, journal.copies


def describe_copies(undone: Undone) -> list[str]:
    """Return a line for each copy of what the user saved into an update's files."""
    lines = []
    for path, copy in undone.copies.items():
        oid = undone.kept.get(path)
        show = f"git cat-file -p {oid}, or " if oid else ""
        lines.append(
            f"What you wrote into {show_path(path)} since is kept: {show}{show_copy(copy)}"
        )
    return lines


def _describe_saved(saved: Mapping[str, Path | None]) -> list[str]:
    """Return a line for each file that the user saved while the update was written."""
    return [
        f"You saved {show_path(path)} while the update was written, and it stays as you saved it; "
        + (f"the update's version is {show_copy(copy)}." if copy else "the update deletes it.")
        for path, copy in saved.items()
    ]
