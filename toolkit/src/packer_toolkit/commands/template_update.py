"""`packer-toolkit template-update`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from packer_toolkit.errors import SetupError
from packer_toolkit.template.git import GitError
from packer_toolkit.template.options import (
    answers_file_option,
    answers_options,
    collect_answers,
    trust_option,
)
from packer_toolkit.template.project import Project, printable


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
    team changed the same, the file is a conflict, as after git merge.

    Exit code 0: taken, without conflicts, or up to date.  1: taken, with conflicts to resolve.
    3: the update cannot be done, and nothing was changed.  4: the template cannot be read.
    """
    from packer_toolkit.template import report
    from packer_toolkit.template.journal import Journal
    from packer_toolkit.template.source import up_to_date
    from packer_toolkit.template.update import planned, require_seen, target

    if undo:
        if release or data or answers:
            raise click.UsageError(
                "--undo takes the last update back: no --to, --data or --answers"
            )
        _undo(dry_run, as_json)
        return 0
    project = Project.at(Path.cwd(), answers_file)
    journal = Journal(project)
    if journal.unfinished:
        raise SetupError(
            f"an update was interrupted here; take it back first: {report.way_back(project)}"
        )
    project.require_commit()
    if journal.open and project.uncommitted():
        raise SetupError(
            "the last update is not committed yet; finish and commit it, or take it back: "
            f"{report.way_back(project)}"
        )
    project.require_clean()
    given = collect_answers(data, answers)
    wanted = target(project, release)
    if wanted == project.release and not given:
        if as_json:
            click.echo(json.dumps({**report.nothing(project), "dry_run": dry_run}, indent=2))
        else:
            click.echo(up_to_date(wanted, release))
        return 0
    with planned(project, wanted, given, trust) as plan:
        require_seen(plan)
        if not dry_run and plan.changes:
            click.echo(
                f"If this is interrupted, go back with: {report.way_back(project)}", err=True
            )
            try:
                journal.write(plan)
            except (OSError, GitError) as error:
                reason = error.reason if isinstance(error, GitError) else error
                raise SetupError(
                    f"the update cannot be written ({reason}); everything is as it was"
                ) from None
        if as_json:
            click.echo(json.dumps({**report.as_json(plan), "dry_run": dry_run}, indent=2))
        else:
            for line in report.lines(plan, done=not dry_run):
                click.echo(line)
    return int(bool(plan.conflicts))


def _undo(dry_run: bool, as_json: bool) -> None:
    from packer_toolkit.template.journal import Journal, Undone

    undone = Journal.near(Path.cwd()).undo(dry_run) or Undone("", [], {})
    if as_json:
        answer = {"release": undone.release, "files": undone.paths, "kept": dict(undone.kept)}
        click.echo(json.dumps({**answer, "dry_run": dry_run}, indent=2))
        return
    if not undone.release:
        click.echo("Nothing to take back: no update is open.")
        return
    files = f"{len(undone.paths)} {'file' if len(undone.paths) == 1 else 'files'}"
    if dry_run:
        click.echo(f"Would take back {files}, to {undone.release}:")
        for path in undone.paths:
            more = "; what you wrote into it since would be kept" if path in undone.kept else ""
            click.echo(f"  {printable(path)}{more}")
        return
    click.echo(f"Taken back: {files}, as they were at {undone.release}.")
    for path, oid in undone.kept.items():
        click.echo(
            f"What you wrote into {printable(path)} since is kept: git cat-file -p {oid}",
            err=True,
        )
