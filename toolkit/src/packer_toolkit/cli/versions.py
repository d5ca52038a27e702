"""`packer-toolkit versions`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from packer_toolkit.environment.versions import PINNED, ToolVersion, compare_versions
from packer_toolkit.errors import CommandFailedError


@click.command
@click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")
@click.option(
    "--pinned",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Compare with this versions.env instead of the image's own.",
)
def command(as_json: bool, pinned: Path | None) -> None:
    """Show the versions of everything in the toolkit.

    Inside the image each is compared with the version that it was built for, and a difference is an
    error (exit code 1).  Outside there is nothing to compare with: you see what is on PATH.

    \b
    Examples:
      packer-toolkit versions
      packer-toolkit versions --json | jq -r '.tools[] | select(.ok | not) | .name'
    """
    found = compare_versions(pinned or PINNED)
    compared = found[0].pinned is not None
    bad = [each for each in found if not each.ok]
    if as_json:
        click.echo(json.dumps({"ok": not bad, "tools": [asdict(each) for each in found]}, indent=2))
    else:
        _table(found)
    if bad and compared:
        names = ", ".join(each.name for each in bad)
        raise CommandFailedError(
            f"not what versions.env pins: {names}; build the image again, or pull it"
        )


def _table(found: list[ToolVersion]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("tool", "pinned", "here", ""):
        table.add_column(column, overflow="fold")
    for each in found:
        note = each.problem or ("" if each.ok else "differs")
        table.add_row(each.name, each.pinned or "-", each.actual or "-", note)
    Console().print(table)
