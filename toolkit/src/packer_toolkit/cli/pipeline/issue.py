"""`packer-toolkit pipeline issue`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from packer_toolkit.cli.options import (
    artifacts_option,
    commit_option,
    dry_run_option,
    github_options,
    json_option,
    outcome_option,
    print_json,
)
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.github.actions import get_run_url, read_token, warn


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
    default=get_run_url,
    metavar="URL",
    help="Link to the workflow run.  [default: the run of GITHUB_RUN_ID]",
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
    meanwhile; one that was closed as "not planned" stays closed, and gets a comment.

    The token is read from GITHUB_TOKEN; it needs issues: write, and statuses: write to record the
    result as a commit status.

    A failure to update GitHub is only a warning, so that it does not hide the result of the build;
    --strict makes it an error.

    Exit code 0: updated, or a warning was printed.  3: the build report or the token is missing.
    4: with --strict, GitHub cannot be reached or refused the request.
    """
    from packer_toolkit.github.client import RepositoryAccess
    from packer_toolkit.pipeline import artifacts as build_artifacts
    from packer_toolkit.pipeline.issue import IssueChange, preview_issue
    from packer_toolkit.pipeline.issue_state import LastSuccess
    from packer_toolkit.pipeline.outcome import RunContext, collect_outcome
    from packer_toolkit.pipeline.record import record_result

    if artifacts is None and outcome is None and not report.exists():
        raise SetupError(f"{report} does not exist: build the image first, or give --outcome")
    if artifacts is None:
        files = build_artifacts.warn_about_rejected(build_artifacts.read_artifacts(Path(), report))
    else:
        files = build_artifacts.unpack_artifacts(artifacts)
    if outcome is None:
        outcome = "success" if files.report.get("exit_code") == 0 else "failure"
    if kind is None:
        kind = "release" if os.environ.get("GITHUB_REF_TYPE") == "tag" else "daily"
    name = repository.rpartition("/")[2].removeprefix("packer-ami-")
    run = RunContext(kind, name, version, run_url, commit)
    change = IssueChange("none")
    if outcome in ("success", "failure") and not dry_run:
        github = RepositoryAccess(repository, read_token(), api_url, timeout).connect()
        environment = {**os.environ, "GITHUB_REPOSITORY": repository}
        change = record_result(github, files, run, environment, succeeded=outcome == "success")
    elif outcome == "failure":
        change = preview_issue(collect_outcome(files, run), LastSuccess())
    if change.problem:
        warn(change.problem)
    if as_json:
        result = {
            "outcome": outcome,
            "action": change.action,
            "issue": change.number or None,
            "url": change.url or None,
            "text": change.text,
            "problem": change.problem or None,
        }
        print_json(result)
    elif dry_run and change.text:
        click.echo(change.text, nl=False)
    elif change.number:
        click.echo(f"{change.action} issue #{change.number}: {change.url}")
    elif not change.problem:
        click.echo(f"build: {outcome}; no issue to change")
    if change.problem and strict:
        raise RemoteError(change.problem)
