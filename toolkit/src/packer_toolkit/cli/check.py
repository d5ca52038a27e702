"""`packer-toolkit check`."""

from __future__ import annotations

import json
import os

import click

from packer_toolkit.checks import run as checks
from packer_toolkit.checks.run import Result
from packer_toolkit.checks.tools import Finding
from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.github.runner_commands import print_command
from packer_toolkit.repository.settings import require_repository

_COLOURS = {
    "passed": "green",
    "failed": "red",
    "skipped": "yellow",
    "missing": "red",
    "unreachable": "red",
}


@click.command()
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Run this check or group only; several with commas, or by repeating the option.",
)
@click.option("--list", "listed", is_flag=True, help="Name the checks and groups, and run none.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(only: tuple[str, ...], listed: bool, as_json: bool) -> None:
    """Check everything that a pull request is checked for.

    First installs what requirements.yml names and is not installed yet.  All checks run, then what
    they found is told, with file and line.  Exit code: 0 when nothing was found, 1 when something
    was, 3 when a tool is missing, 4 when a server of requirements.yml cannot be reached.
    """
    if listed:
        _list(as_json)
        return
    names = [name for text in only for name in text.split(",") if name]
    for name in names:
        if name not in checks.CHECKS and name not in checks.GROUPS:
            known = ", ".join([*checks.CHECKS, *checks.GROUPS])
            raise click.BadParameter(f"there is no check {name}; there are {known}")
    results = checks.run(require_repository(), checks.chosen(names), _report)
    found = sum(len(result.findings) for result in results)
    missing = [result.reason for result in results if result.status == "missing"]
    unreachable = [result.reason for result in results if result.status == "unreachable"]
    if as_json:
        entries = [result.as_json() for result in results]
        ok = not found and not missing and not unreachable
        click.echo(json.dumps({"ok": ok, "checks": entries}, indent=2))
    else:
        _tell(results)
    if found:
        where = ", ".join(result.name for result in results if result.findings)
        raise CommandFailedError(f"{found} finding{'s' if found > 1 else ''} of {where}")
    if missing:
        reasons = ", ".join(dict.fromkeys(missing))
        raise SetupError(f"not everything was checked: {reasons}; use task check, or install it")
    if unreachable:
        raise RemoteError(f"not everything was checked: {', '.join(unreachable)}")


def _report(line: str) -> None:
    click.echo(f"packer-toolkit: {line}", err=True)


def _list(as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"checks": list(checks.CHECKS), "groups": checks.GROUPS}, indent=2))
        return
    for name in checks.CHECKS:
        click.echo(name)
    for group, members in checks.GROUPS.items():
        click.echo(f"{group}: {', '.join(members)}")


def _tell(results: list[Result]) -> None:
    from rich.console import Console
    from rich.table import Table

    for result in results:
        for finding in result.findings:
            place = f"{finding.place}: " if finding.place else ""
            click.echo(f"{place}{finding.message} ({result.name})")
            if os.environ.get("GITHUB_ACTIONS") == "true":
                print_command(_annotation(result.name, finding))
    table = Table("Check", "Result", "Findings", "Seconds")
    for column in table.columns[2:]:
        column.justify = "right"
    for result in results:
        shown = f"[{_COLOURS[result.status]}]{result.status}[/]"
        table.add_row(
            result.name,
            f"{shown}: {result.reason}" if result.reason else shown,
            str(len(result.findings)),
            f"{result.seconds:.1f}",
        )
    Console(highlight=False).print(table)


def _annotation(check: str, finding: Finding) -> str:
    """Return the workflow command that shows a finding at its line of a pull request.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """

    def escaped(text: object, more: str = "") -> str:
        return "".join(
            f"%{ord(sign):02X}" if sign in "%\r\n" + more else sign for sign in str(text)
        )

    given = {"file": finding.file, "line": finding.line, "title": check}
    options = ",".join(f"{key}={escaped(each, ':,')}" for key, each in given.items() if each)
    return f"::error {options}::{escaped(finding.message)}"
