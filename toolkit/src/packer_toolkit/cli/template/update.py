"""`packer-toolkit template-update`."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import (
    answers_file_option,
    answers_options,
    collect_answers,
    trust_option,
)
from packer_toolkit.text.paths import show_path

if TYPE_CHECKING:
    from packer_toolkit.template.journal import Undone


@click.command("template-update")
@click.option("--to", "release", metavar="VERSION", help="A release other than the newest.")
@answers_options
@answers_file_option
@trust_option
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option(
    "--undo",
    is_flag=True,
    help="Take the last update back, also one that was killed; with "
    "--dry-run, say what that would come to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(
    release: str | None,
    data: tuple[str, ...],
    answers: Path | None,
    answers_file: str | None,
    trust: bool,
    dry_run: bool,
    undo: bool,
    as_json: bool,
) -> int:
    """Take the template's newest release, and say how it went.

    Nothing is committed or staged: look at git diff, and commit it.  Where the release and the
    team changed the same, the file is a conflict, as after git merge.  What you save meanwhile is
    in the file afterwards, or in a copy that is named.

    Exit code 0: taken, without conflicts, or up to date.  1: taken, with conflicts to resolve, or
    with files that you saved meanwhile.  3: the update cannot be done; nothing was changed, or it
    was undone.  4: the template cannot be read.
    """
    from packer_toolkit.template.blocking_files import require_writable
    from packer_toolkit.template.clean_state import require_clean, require_commit
    from packer_toolkit.template.journal import Journal, Undone, find_project
    from packer_toolkit.template.kept_copies import show_copy
    from packer_toolkit.template.source import describe_up_to_date
    from packer_toolkit.template.update import choose_release, plan_update
    from packer_toolkit.template.update_result import (
        describe_no_update,
        describe_update,
        format_result,
        format_undo_command,
    )

    if undo:
        if release or data or answers:
            raise click.UsageError(
                "--undo takes the last update back: no --to, --data or --answers"
            )
        _undo(dry_run, as_json)
        return 0
    project = find_project(Path.cwd(), answers_file)
    journal = Journal(project)
    with journal.lock() if not dry_run else nullcontext():
        require_commit(project)
        if dry_run:
            journal.require_settled()
        else:
            journal.require_unlocked()
            name_copies(journal.settle())
        require_clean(project)
        given = collect_answers(data, answers)
        wanted = choose_release(project, release)
        if wanted == project.release and not given:
            if as_json:
                verdict = {
                    **describe_no_update(project),
                    "saved_meanwhile": {},
                    "dry_run": dry_run,
                }
                click.echo(json.dumps(verdict, indent=2))
            else:
                click.echo(describe_up_to_date(wanted, release))
            return 0
        saved: dict[str, Path | None] = {}
        with plan_update(project, wanted, given, trust) as plan:
            require_writable(plan)
            is_written = bool(plan.changes) and not dry_run
            if is_written:
                click.echo(
                    f"If this is interrupted, go back with: {format_undo_command(project)}",
                    err=True,
                )
                saved = journal.write(plan)
            if as_json:
                more = {path: copy and str(copy) for path, copy in saved.items()}
                verdict = {
                    **describe_update(plan),
                    "saved_meanwhile": more,
                    "dry_run": dry_run,
                }
                click.echo(json.dumps(verdict, indent=2))
            else:
                for line in format_result(plan, is_written=not dry_run):
                    click.echo(line)
        late = journal.copy_saved_aside() if is_written else Undone()
        name_copies(late)
    for path, copy in saved.items():
        update = f"the update's version is {show_copy(copy)}" if copy else "the update deletes it"
        click.echo(
            f"You saved {show_path(path)} while the update was written, and it stays as you saved "
            f"it; {update}.",
            err=True,
        )
    return int(bool(plan.conflicts or saved or late.copies))


def _undo(dry_run: bool, as_json: bool) -> None:
    from packer_toolkit.template.journal import Journal, Undone
    from packer_toolkit.template.kept_copies import show_copy

    journal = Journal.find(Path.cwd())
    with journal.lock() if not dry_run else nullcontext():
        undone = journal.undo(dry_run) or Undone()
    if as_json:
        answer: dict[str, object] = {
            "release": undone.release,
            "files": undone.paths,
            "kept": dict(undone.kept),
        }
        copies = {path: str(copy) for path, copy in undone.copies.items()}
        answer |= {"copies": copies, "reason": undone.reason, "dry_run": dry_run}
        click.echo(json.dumps(answer, indent=2))
        return
    if undone.reason:
        what = "would be deleted" if dry_run else "was deleted"
        click.echo(f"Nothing to take back: {undone.reason}. The record of the update {what}.")
        name_copies(undone)
        return
    if not undone.release:
        click.echo("Nothing to take back: no update is open.")
        if journal.copies:
            click.echo(
                f"What earlier updates have kept is in {show_copy(journal.copies)}; delete "
                "it when you do not need it.",
                err=True,
            )
        return
    files = f"{len(undone.paths)} {'file' if len(undone.paths) == 1 else 'files'}"
    if dry_run:
        click.echo(f"Would take back {files}, to {undone.release}:")
        for path in undone.paths:
            more = "; what you wrote into it since would be kept" if path in undone.kept else ""
            click.echo(f"  {show_path(path)}{more}")
        return
    click.echo(f"Taken back: {files}, as they were at {undone.release}.")
    name_copies(undone)


def name_copies(undone: Undone) -> None:
    """Name the copies of what the user saved into an update's files."""
    from packer_toolkit.template.kept_copies import show_copy

    for path, copy in undone.copies.items():
        oid = undone.kept.get(path)
        show = f"git cat-file -p {oid}, or " if oid else ""
        click.echo(
            f"What you wrote into {show_path(path)} since is kept: {show}{show_copy(copy)}",
            err=True,
        )
