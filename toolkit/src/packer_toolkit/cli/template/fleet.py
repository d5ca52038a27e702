"""`packer-toolkit template fleet`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from packer_toolkit.cli.options import (
    api_url_option,
    json_option,
    renamed_option,
    timeout_option,
)
from packer_toolkit.errors import CommandFailedError
from packer_toolkit.github.actions import read_token

if TYPE_CHECKING:
    from packer_toolkit.template.fleet import Fleet, FleetRow


@click.command()
@click.option(
    "--organization",
    metavar="NAME",
    default="",
    help="Read the repositories of this organization or user on GitHub.",
)
@click.option(
    "--prefix",
    default="packer-ami-",
    show_default=True,
    metavar="TEXT",
    help="Read only repositories whose names begin with this.",
)
@click.option(
    "--repository",
    "repositories",
    multiple=True,
    metavar="OWNER/NAME",
    help="Also read this repository; may be repeated.",
)
@renamed_option(
    "--from-file",
    "file",
    former=("--list",),
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Read the repositories listed in FILE: one OWNER/NAME per line, # starts a comment.  - "
    "reads standard input.",
)
@click.option(
    "--local",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Read the clones in this folder instead, without GitHub.",
)
@click.option(
    "--workflows",
    "with_workflows",
    is_flag=True,
    help="Also show workflows that GitHub has disabled, with one more request per repository.",
)
@click.option(
    "--behind", "only_behind", is_flag=True, help="Show only repositories with an older release."
)
@api_url_option
@timeout_option(600)
@json_option
def command(
    organization: str,
    prefix: str,
    repositories: tuple[str, ...],
    file: IO[str] | None,
    folder: Path | None,
    with_workflows: bool,
    only_behind: bool,
    api_url: str,
    timeout: float,
    as_json: bool,
) -> int:
    """Show which template release each repository has.

    Reads GitHub with the token in GITHUB_TOKEN, with two requests per repository; the token needs
    contents: read, and for --workflows actions: read.  If a template is on another server, git on
    this machine lists its releases, with its own access and within --timeout; the URL that the
    repository records is printed first.

    Exit code 0: all repositories were read.  1: some could not be read; their names are
    printed.  3: there is no repository to read.  4: GitHub cannot be reached.
    """
    from packer_toolkit.github.client import create_client
    from packer_toolkit.template.fleet import LocalFleet, TagLister

    listed = [*repositories, *(_read_lines(file) if file else [])]
    if folder and (organization or listed):
        raise click.UsageError(
            "--local cannot be combined with --organization, --repository and --from-file, "
            "which read GitHub"
        )
    if not (folder or organization or listed):
        raise click.UsageError("give --organization, --repository, --from-file or --local")
    tags = TagLister(timeout, _print_query)
    if folder:
        # Git's processes wait for the disk: a few at a time is enough.
        local = LocalFleet(folder, prefix, tags)
        rows, archived = _read(local, at_once=2), 0
    else:
        from packer_toolkit.template.github_fleet import GitHubFleet

        connect = partial(create_client, read_token(), api_url, timeout)
        remote = GitHubFleet(connect, api_url, tags, organization, prefix, listed)
        remote.with_workflows = with_workflows
        # GitHub asks for few requests at the same time:
        # https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
        rows, archived = _read(remote, at_once=4), remote.archived
    printed_rows = [row for row in rows if row.behind] if only_behind else rows
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in printed_rows], indent=2))
    else:
        _print_table(printed_rows)
    sys.stdout.flush()
    click.echo(_format_counts(rows, archived), err=True)
    failed = [row.name for row in rows if row.failed]
    if failed:
        names = ", ".join(failed[:5]) + (f" and {len(failed) - 5} more" if failed[5:] else "")
        raise CommandFailedError(f"could not be read: {names}; the table has the reasons")
    return 0


def _print_query(address: str) -> None:
    click.echo(f"packer-toolkit: listing the releases of {address}", err=True)


def _read_lines(file: IO[str]) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in file)
    return [line for line in lines if line]


def _read(fleet: Fleet, at_once: int) -> list[FleetRow]:
    """Read all, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from packer_toolkit.template.fleet import read_fleet

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        names = fleet.list_names()
        task = bar.add_task("Reading repositories", total=len(names))
        return list(read_fleet(fleet, names, threads=at_once, advance=lambda: bar.advance(task)))


def _print_table(rows: Sequence[FleetRow]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # For a file or another program: one line each, whatever its length.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 10_000)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("Repository", "Release", "Newest", "Behind", "Updated", "Remark"):
        table.add_column(column, overflow="fold", justify="right" if column == "Behind" else "left")
    for row in rows:
        behind = "" if row.behind is None else str(row.behind)
        table.add_row(row.name, row.release, row.newest, behind, row.updated[:10], row.problem)
    console.print(table)


def _format_counts(rows: Sequence[FleetRow], archived: int) -> str:
    parts = {
        "up to date": sum(row.behind == 0 for row in rows),
        "behind": sum(bool(row.behind) for row in rows),
        "without a known release": sum(row.behind is None and not row.failed for row in rows),
        "could not be read": sum(row.failed for row in rows),
        "archived and left out": archived,
    }
    counts = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{len(rows)} {'repository' if len(rows) == 1 else 'repositories'}: {counts or 'none'}"
