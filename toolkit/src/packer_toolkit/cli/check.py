"""`packer-toolkit check`."""

from __future__ import annotations

import os

import click

from packer_toolkit.checks.run import CHECKS, GROUPS, CheckResult, choose_checks, run_checks
from packer_toolkit.checks.tools import Finding
from packer_toolkit.cli.options import json_option, print_json
from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.github.runner_commands import print_command
from packer_toolkit.repository.settings import require_repository
from packer_toolkit.text.lines import format_count

_COLORS = {
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
    help="Run only this check or group; separate several with commas, or repeat the option.  "
    "[default: all checks]",
)
@click.option("--list", "is_list", is_flag=True, help="List the checks and groups; run no check.")
@json_option
def command(only: tuple[str, ...], is_list: bool, as_json: bool) -> None:
    """Run the checks that a pull request must pass.

    First installs the collections and roles of requirements.yml that are not installed yet.  Then
    all checks run, and the findings are printed with their file and line.

    Exit code 0: no findings.  1: findings.  3: a tool is missing.  4: a server that
    requirements.yml needs cannot be reached.
    """
    if is_list:
        _print_names(as_json)
        return
    names = [name for text in only for name in text.split(",") if name]
    for name in names:
        if name not in CHECKS and name not in GROUPS:
            known = ", ".join([*CHECKS, *GROUPS])
            raise click.BadParameter(f"{name} is not a check; the checks and groups are {known}")
    results = run_checks(require_repository(), choose_checks(names), _print_progress)
    count = sum(len(result.findings) for result in results)
    missing = [result.reason for result in results if result.status == "missing"]
    unreachable = [result.reason for result in results if result.status == "unreachable"]
    if as_json:
        print_json({"ok": not (count or missing or unreachable), "checks": results})
    else:
        _print_results(results)
    if count:
        names = [result.name for result in results if result.findings]
        raise CommandFailedError(
            f"{format_count(count, 'finding')} in {', '.join(names)}: fix them, and run the "
            "command again"
        )
    if missing:
        raise SetupError(
            f"some checks did not run: {', '.join(dict.fromkeys(missing))}; run `task check`, "
            "whose image has every tool, or install the missing tools"
        )
    if unreachable:
        raise RemoteError(
            f"some checks did not run: {', '.join(unreachable)}; check the network, a VPN or a "
            "proxy, and run the command again"
        )


def _print_progress(line: str) -> None:
    click.echo(f"packer-toolkit: {line}", err=True)


def _print_names(as_json: bool) -> None:
    if as_json:
        print_json({"checks": list(CHECKS), "groups": GROUPS})
        return
    for name in CHECKS:
        click.echo(name)
    for group, members in GROUPS.items():
        click.echo(f"{group}: {', '.join(members)}")


def _print_results(results: list[CheckResult]) -> None:
    from rich.console import Console
    from rich.table import Table

    for result in results:
        for finding in result.findings:
            place = f"{finding.place}: " if finding.place else ""
            click.echo(f"{place}{finding.message} ({result.name})")
            if os.environ.get("GITHUB_ACTIONS") == "true":
                print_command(_make_annotation(result.name, finding))
    table = Table("Check", "Result", "Findings", "Seconds")
    for column in table.columns[2:]:
        column.justify = "right"
    for result in results:
        status = f"[{_COLORS[result.status]}]{result.status}[/]"
        table.add_row(
            result.name,
            f"{status}: {result.reason}" if result.reason else status,
            str(len(result.findings)),
            f"{result.seconds:.1f}",
        )
    Console(highlight=False).print(table)


def _make_annotation(check: str, finding: Finding) -> str:
    """Return the workflow command that shows a finding at its line in a pull request.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """

    def escape(text: object, reserved: str = "") -> str:
        return "".join(
            f"%{ord(character):02X}" if character in "%\r\n" + reserved else character
            for character in str(text)
        )

    properties = {"file": finding.file, "line": finding.line, "title": check}
    options = ",".join(f"{key}={escape(each, ':,')}" for key, each in properties.items() if each)
    return f"::error {options}::{escape(finding.message)}"
