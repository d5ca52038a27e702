"""Open, update or close the issue about failed builds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import github_options
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.github.actions import get_run_url, read_token, warn

if TYPE_CHECKING:
    from packer_toolkit.pipeline.issue import IssueChange


@click.command()
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    default="build-report.json",
    show_default=True,
    help="The build report; a build that ended early has none.",
)
@click.option(
    "--bundle",
    envvar="PACKER_BUILD_BUNDLE",
    help="What `packer-toolkit bundle` printed, instead of files.  [PACKER_BUILD_BUNDLE]",
)
@click.option(
    "--outcome",
    type=click.Choice(["success", "failure", "cancelled", "skipped"]),
    envvar="PACKER_BUILD_OUTCOME",
    help="How the build ended; without it, the report says so.  [PACKER_BUILD_OUTCOME]",
)
@click.option(
    "--kind",
    type=click.Choice(["daily", "release"]),
    envvar="PACKER_BUILD_KIND",
    help="What was built; without it, a release for a tag and else daily.  [PACKER_BUILD_KIND]",
)
@click.option(
    "--version",
    envvar="PACKER_BUILD_VERSION",
    default="",
    help="Of the image.  [PACKER_BUILD_VERSION]",
)
@click.option(
    "--run-url", default=get_run_url, help="Link to the run; made from GITHUB_* without it."
)
@click.option("--commit", envvar="GITHUB_SHA", default="", help="That was built.  [GITHUB_SHA]")
@github_options
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
@click.option("--strict", is_flag=True, help="Exit with 4 when GitHub cannot be told.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    report: Path,
    bundle: str | None,
    outcome: str | None,
    kind: str | None,
    version: str,
    run_url: str,
    commit: str,
    repository: str,
    api_url: str,
    patience: float,
    dry_run: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Open, update or close the issue about failed builds.

    A failed daily or release build opens one issue; the next failure comments on it, the next good
    build closes it.  An issue that a person closed meanwhile is reopened by the next failure, or,
    when it was closed as "not planned", only commented.

    The token is read from GITHUB_TOKEN; it needs the permission issues: write, and statuses: write
    to remember good builds.

    That GitHub cannot be told is a warning and no error, because the build's own end counts;
    --strict makes it one.

    Exit code 0: done, or GitHub could not be told.  3: the call is wrong, or the token is missing.
    4: with --strict, GitHub could not be told.
    """
    from packer_toolkit.github.client import RepositoryAccess
    from packer_toolkit.pipeline.artifacts import (
        read_artifacts,
        unpack_artifacts,
        warn_about_rejected,
    )
    from packer_toolkit.pipeline.issue import IssueChange, preview_issue
    from packer_toolkit.pipeline.issue_state import LastSuccess
    from packer_toolkit.pipeline.outcome import RunContext, collect_outcome
    from packer_toolkit.pipeline.record import record_result

    if bundle is None and outcome is None and not report.exists():
        raise SetupError(f"{report} does not exist: give --outcome, or build first")
    if bundle is None:
        artifacts = warn_about_rejected(read_artifacts(Path(), report))
    else:
        artifacts = unpack_artifacts(bundle)
    if outcome is None:
        outcome = "success" if artifacts.report.get("exit_code") == 0 else "failure"
    if kind is None:
        kind = "release" if os.environ.get("GITHUB_REF_TYPE") == "tag" else "daily"
    name = repository.rpartition("/")[2].removeprefix("packer-ami-")
    run = RunContext(kind, name, version, run_url, commit)
    change, problem = IssueChange("none"), ""
    if outcome in ("success", "failure") and not dry_run:
        github = RepositoryAccess(repository, read_token(), api_url, patience).connect()
        environment = {**os.environ, "GITHUB_REPOSITORY": repository}
        result = record_result(
            github, artifacts, run, environment, succeeded=outcome == "success", note=_note
        )
        change, problem = result.change, result.problem
    elif outcome == "failure":
        change = preview_issue(collect_outcome(artifacts, run), LastSuccess())
    _print_change(change, outcome, problem, as_json=as_json, dry_run=dry_run)
    if problem and strict:
        raise RemoteError(problem)


def _note(message: str) -> None:
    click.echo(f"note: {message}", err=True)


def _print_change(
    change: IssueChange, outcome: str, problem: str, *, as_json: bool, dry_run: bool
) -> None:
    if problem:
        warn(problem)
    if as_json:
        result = {
            "outcome": outcome,
            "action": change.action,
            "issue": change.number or None,
            "url": change.url or None,
            "text": change.text,
            "problem": problem or None,
        }
        click.echo(json.dumps(result, indent=2))
    elif dry_run and change.text:
        click.echo(change.text, nl=False)
    elif change.number:
        click.echo(f"{change.action} issue #{change.number}: {change.url}")
    elif not problem:
        click.echo(f"build: {outcome}; no issue to change")
