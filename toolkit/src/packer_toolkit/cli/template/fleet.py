"""`packer-toolkit fleet`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from packer_toolkit.errors import CommandFailedError
from packer_toolkit.github.actions import token

if TYPE_CHECKING:
    from packer_toolkit.template.fleet import Fleet, FleetRow


@click.command("fleet")
@click.option(
    "--organization",
    metavar="NAME",
    default="",
    help="Look at the repositories of an organisation or a person on GitHub.",
)
@click.option(
    "--prefix",
    default="packer-ami-",
    show_default=True,
    help="How the names of the repositories begin.",
)
@click.option(
    "--repository",
    "repositories",
    multiple=True,
    metavar="OWNER/NAME",
    help="Look at this one, too; may be given several times.",
)
@click.option(
    "--list",
    "file",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Look at those of a file: OWNER/NAME in each line, # begins a remark.  - is stdin.",
)
@click.option(
    "--local",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Look at the clones in a folder instead; nothing of GitHub is asked.",
)
@click.option(
    "--workflows",
    "with_workflows",
    is_flag=True,
    help="Name workflows that GitHub has disabled, too: one more request for each repository.",
)
@click.option("--behind", "only_behind", is_flag=True, help="Show only those that are behind.")
@click.option(
    "--api-url",
    envvar="GITHUB_API_URL",
    default="https://api.github.com",
    help="The API; https://HOST/api/v3 on an Enterprise Server.  [GITHUB_API_URL]",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=600,
    show_default=True,
    help="Seconds after which nothing is tried again: rate limits of GitHub and git's questions "
    "to other servers included.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
def command(
    organization: str,
    prefix: str,
    repositories: tuple[str, ...],
    file: IO[str] | None,
    folder: Path | None,
    with_workflows: bool,
    only_behind: bool,
    api_url: str,
    patience: float,
    as_json: bool,
) -> int:
    """Show which repository is at which release of the template.

    On GitHub it reads with GITHUB_TOKEN, which needs to read contents: two requests for each
    repository.  A template elsewhere is asked for its releases by git, on this machine and with its
    access; the address is the one that the repository has recorded, and it is printed before.
    For --workflows the token must be able to read actions, too.

    Exit code 0: all were read.  1: some could not be, and are named; the others are shown.  3:
    there is nothing to look at.  4: GitHub cannot be reached.
    """
    from packer_toolkit.github.client import client
    from packer_toolkit.template.fleet import TagLister
    from packer_toolkit.template.github_fleet import GitHubFleet
    from packer_toolkit.template.local_fleet import LocalFleet

    listed = [*repositories, *(_lines(file) if file else [])]
    if folder and (organization or listed):
        raise click.UsageError("--local looks at clones; --organization and the like at GitHub")
    if not (folder or organization or listed):
        raise click.UsageError("give --organization, --repository, --list or --local")
    tags = TagLister(patience, _announce)
    if folder:
        # Git's processes wait for the disk: a few at a time is enough.
        local = LocalFleet(folder, prefix, tags)
        found, left_out = _read(local, at_once=2), 0
    else:
        connect = partial(client, token(), api_url, patience)
        remote = GitHubFleet(connect, api_url, tags, organization, prefix, listed)
        remote.with_workflows = with_workflows
        # GitHub asks for few requests at the same time:
        # https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
        found, left_out = _read(remote, at_once=4), remote.archived
    shown = [row for row in found if row.behind] if only_behind else found
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in shown], indent=2))
    else:
        _show(shown)
    sys.stdout.flush()
    click.echo(_summary(found, left_out), err=True)
    failed = [row.name for row in found if row.failed]
    if failed:
        names = ", ".join(failed[:5]) + (f" and {len(failed) - 5} more" if failed[5:] else "")
        raise CommandFailedError(f"could not be read: {names}; the table says why")
    return 0


def _announce(address: str) -> None:
    click.echo(f"packer-toolkit: asking {address} for its releases", err=True)


def _lines(file: IO[str]) -> list[str]:
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


def _show(rows: Sequence[FleetRow]) -> None:
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


def _summary(rows: Sequence[FleetRow], archived: int) -> str:
    parts = {
        "up to date": sum(row.behind == 0 for row in rows),
        "behind": sum(bool(row.behind) for row in rows),
        "without a known release": sum(row.behind is None and not row.failed for row in rows),
        "could not be read": sum(row.failed for row in rows),
        "archived and left out": archived,
    }
    counts = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{len(rows)} {'repository' if len(rows) == 1 else 'repositories'}: {counts or 'none'}"
