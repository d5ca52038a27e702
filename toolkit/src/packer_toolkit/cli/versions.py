"""`packer-toolkit versions`."""

from __future__ import annotations

from pathlib import Path

import click

from packer_toolkit.cli.options import json_option, print_json
from packer_toolkit.environment.versions import PINNED, ToolVersion, compare_versions
from packer_toolkit.errors import CommandFailedError


@click.command()
@click.option(
    "--pinned",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Compare with this versions.env.  [default: the one in the toolkit image]",
)
@json_option
def command(pinned: Path | None, as_json: bool) -> None:
    """Show the version of each tool in the toolkit.

    In the toolkit image, each version is compared with the one that versions.env pins.  Elsewhere,
    the versions of the tools on PATH are shown, and nothing is compared.

    Exit code 0: no difference.  1: a tool is missing or has another version than pinned.

    \b
    Examples:
      packer-toolkit versions
      packer-toolkit versions --json | jq -r '.tools[] | select(.ok | not) | .name'
    """
    tools = compare_versions(pinned or PINNED)
    is_compared = tools[0].pinned is not None
    differing = [each for each in tools if not each.ok]
    if as_json:
        print_json({"ok": not differing, "tools": tools})
    else:
        _print_table(tools)
    if differing and is_compared:
        names = ", ".join(each.name for each in differing)
        raise CommandFailedError(
            f"{names}: not the versions that versions.env pins; pull the image again, or rebuild it"
        )


def _print_table(tools: list[ToolVersion]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("tool", "pinned", "installed", ""):
        table.add_column(column, overflow="fold")
    for each in tools:
        note = each.problem or ("" if each.ok else "differs")
        table.add_row(each.name, each.pinned or "-", each.actual or "-", note)
    Console().print(table)
