"""`packer-toolkit pipeline issue`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import (
    artifacts_option,
    commit_option,
    dry_run_option,
    github_options,
    json_option,
    outcome_option,
)
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.github.actions import run_url, token, warn

if TYPE_CHECKING:
    from packer_toolkit.pipeline.issue import Done


@click.command()
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    default="build-report.json",
    show_default=True,
    metavar="FILE",
    help="Build report; a build that stopped early has none.",
)
@artifacts_option
@outcome_option
@click.option(
    "--kind",
    type=click.Choice(["daily", "release"]),
    envvar="PACKER_BUILD_KIND",
    show_envvar=True,
    help="Build kind.  [default: release for a tag, otherwise daily]",
)
@click.option(
    "--version",
    envvar="PACKER_BUILD_VERSION",
    default="",
    show_envvar=True,
    metavar="VERSION",
    help="Image version.",
)
@click.option(
    "--run-url",
    default=run_url,
    metavar="URL",
    help="Link to the workflow run.  [default: from GITHUB_RUN_ID and others]",
)
@commit_option
@github_options
@dry_run_option
@click.option("--strict", is_flag=True, help="Exit with 4 if GitHub cannot be updated.")
@json_option
def command(
    report: Path,
    artifacts: str | None,
    outcome: str | None,
    kind: str | None,
    version: str,
    run_url: str,
    commit: str,
    repository: str,
    api_url: str,
    timeout: float,
    dry_run: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Open, update or close the issue about failed builds.

    A failed daily or release build opens one issue.  Further failures are added as comments, and
    the next successful build closes it.  The next failure also reopens an issue that a user closed
    meanwhile, except one that was closed as "not planned": there it only comments.

    The token is read from GITHUB_TOKEN; it needs issues: write, and statuses: write to record the
    result at the commit.

    A failure to update GitHub is only a warning, so that it does not hide the result of the build;
    --strict makes it an error.

    Exit code 0: updated, or a warning was printed.  3: the build report or the token is missing.
    4: with --strict, GitHub cannot be reached or refused the request.
    """
    from packer_toolkit.github.client import Place
    from packer_toolkit.pipeline.artifacts import read, unpack, warn_about_refused
    from packer_toolkit.pipeline.issue_update import WorkflowRun, preview_issue, update_issue

    if artifacts is None and outcome is None and not report.exists():
        raise SetupError(f"there is no {report}: give --outcome, or build first")
    records = unpack(artifacts) if artifacts is not None else None
    if records is None:
        records = warn_about_refused(read(Path(), report))
    if outcome is None:
        outcome = "success" if records.report.get("exit_code") == 0 else "failure"
    if kind is None:
        kind = "release" if os.environ.get("GITHUB_REF_TYPE") == "tag" else "daily"
    run = WorkflowRun(records, outcome, kind, version, run_url, commit)
    place = Place(repository, token(), api_url, timeout)
    done, problem = (preview_issue(run, place), "") if dry_run else update_issue(run, place)
    if problem:
        warn(problem)
    if as_json:
        _print_json(done, outcome, problem)
    elif dry_run and done.text:
        click.echo(done.text, nl=False)
    elif done.number:
        click.echo(f"{done.action} issue #{done.number}: {done.url}")
    elif not problem:
        click.echo(f"build: {outcome}; no issue to change")
    if problem and strict:
        raise RemoteError(problem)


def _print_json(done: Done, outcome: str, problem: str) -> None:
    result = {
        "outcome": outcome,
        "action": done.action,
        "issue": done.number or None,
        "url": done.url or None,
        "text": done.text,
        "problem": problem or None,
    }
    click.echo(json.dumps(result, indent=2))
