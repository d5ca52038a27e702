"""`packer-toolkit template update`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packer_toolkit.cli.options import (
    answers_file_option,
    collect_answers,
    data_options,
    dry_run_option,
    json_option,
    trust_option,
    vcs_ref_option,
)
from packer_toolkit.cli.template.undo import run_undo

if TYPE_CHECKING:
    from packer_toolkit.template.update_plan import UpdateRequest


def update_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every update to a command: its arguments `request` and `answers_file`."""

    @functools.wraps(command)
    def call(
        release: str | None,
        data: tuple[str, ...],
        data_file: Path | None,
        trust: bool,
        **arguments: Any,
    ) -> Any:
        from packer_toolkit.template.update_plan import UpdateRequest

        request = UpdateRequest(release, collect_answers(data, data_file), trust)
        return command(request=request, **arguments)

    return vcs_ref_option("--to")(data_options(answers_file_option(trust_option(call))))


@click.command()
@update_options
@dry_run_option
@click.option("--undo", is_flag=True, hidden=True, help="Use `template undo`.")
@json_option
def command(
    request: UpdateRequest, answers_file: str | None, dry_run: bool, undo: bool, as_json: bool
) -> int:
    """Update this repository to the latest template release.

    Nothing is committed or staged: review `git diff`, and commit the update.  Where the release and
    the team changed the same lines, the file has a conflict, as after `git merge`.  Changes that
    you save while the update runs stay in the file, or in a copy whose path is printed.  Recorded
    answers are kept, and new questions get their defaults, unless --data sets them.

    Exit code 0: updated without conflicts, or up to date.  1: updated, with conflicts to resolve,
    or with files that you saved meanwhile.  3: the update is not possible; nothing was changed,
    or it was undone.  4: the template cannot be read.
    """
    from packer_toolkit.template.journal import find_project
    from packer_toolkit.template.update import update_repository

    if undo:
        if request.release or request.answers:
            raise click.UsageError(
                "--undo undoes the last update: it takes no --vcs-ref, --data or --data-file"
            )
        run_undo(dry_run, as_json)
        return 0
    result = update_repository(
        find_project(Path.cwd(), answers_file),
        request,
        dry_run=dry_run,
        echo=lambda line: click.echo(line, err=True),
    )
    if as_json:
        click.echo(json.dumps(result.verdict, indent=2))
    else:
        for line in result.lines:
            click.echo(line)
    for line in result.notes:
        click.echo(line, err=True)
    return int(not result.is_clean)
