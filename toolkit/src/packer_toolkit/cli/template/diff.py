"""`packer-toolkit template diff`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import json_option
from packer_toolkit.cli.template.update import update_options
from packer_toolkit.git.addresses import hide_secret
from packer_toolkit.text.paths import join_paths, show_path

if TYPE_CHECKING:
    from packer_toolkit.template.update_plan import UpdateRequest


@click.command()
@update_options
@json_option
def command(request: UpdateRequest, answers_file: str | None, as_json: bool) -> int:
    """Show what an update would change in this repository.

    Nothing is changed: the update is rendered in a temporary folder.  The diff is printed to
    standard output; files that would conflict, and everything else, to standard error.

    Exit code 0: no conflicts.  1: at least one file would have a conflict.  3: the update is not
    possible.  4: the template cannot be read.
    """
    from packer_toolkit.template.journal import find_project
    from packer_toolkit.template.project import find_uncommitted, require_commit
    from packer_toolkit.template.source import describe_up_to_date
    from packer_toolkit.template.update import choose_release, plan_update
    from packer_toolkit.template.update_result import (
        describe_no_update,
        describe_update,
        format_result,
    )

    project = find_project(Path.cwd(), answers_file)
    require_commit(project)
    changed = find_uncommitted(project)
    if changed:
        click.echo(f"Uncommitted changes are left out: {join_paths(changed)}", err=True)
    target = choose_release(project, request.release)
    if target == project.release and not request.answers:
        if as_json:
            click.echo(json.dumps({**describe_no_update(project), "diff": ""}, indent=2))
        else:
            click.echo(describe_up_to_date(target, request.release), err=True)
        return 0
    with plan_update(project, target, request) as plan:
        if as_json:
            diff = printable_diff(hide_secret(plan.format_diff(), project.source))
            click.echo(json.dumps({**describe_update(plan), "diff": diff}, indent=2))
            return int(bool(plan.conflicts))
        is_color = sys.stdout.isatty()
        text = hide_secret(plan.format_diff(is_color), project.source)
        if text:
            click.echo(text.encode("utf-8", "surrogateescape"), color=is_color)
        sys.stdout.flush()
        for line in format_result(plan, is_written=False):
            click.echo(line, err=True)
    return int(bool(plan.conflicts))


def printable_diff(text: str) -> str:
    """Return a diff for JSON, in which bytes that are not UTF-8 are escaped."""
    return "\n".join(
        line if line.isprintable() else _escape_line(line) for line in text.split("\n")
    )


def _escape_line(line: str) -> str:
    raw = line.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return show_path(line)
