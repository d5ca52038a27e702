"""Open, update or close the issue about failed builds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import github_options
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.github.actions import run_url, token, warn

if TYPE_CHECKING:
    from github.Repository import Repository

    from packer_toolkit.pipeline.issue import Done
    from packer_toolkit.pipeline.outcome import Facts, FailedStep


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
@click.option("--run-url", default=run_url, help="Link to the run; made from GITHUB_* without it.")
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
    from packer_toolkit.github.client import Place
    from packer_toolkit.pipeline import issue as build_issue
    from packer_toolkit.pipeline import status as build_status
    from packer_toolkit.pipeline.artifacts import read, unpack, warn_about_refused
    from packer_toolkit.pipeline.issue import Done
    from packer_toolkit.pipeline.outcome import facts

    if bundle is None and outcome is None and not report.exists():
        raise SetupError(f"there is no {report}: give --outcome, or build first")
    records = unpack(bundle) if bundle is not None else warn_about_refused(read(Path(), report))
    if outcome is None:
        code = records.report.get("exit_code")
        outcome = "success" if code == 0 else "failure"
    if kind is None:
        kind = "release" if os.environ.get("GITHUB_REF_TYPE") == "tag" else "daily"
    name = repository.rpartition("/")[2].removeprefix("packer-ami-")
    place = Place(repository, token(), api_url, patience)

    def of_run(failed: list[FailedStep], log: list[str] | None = None, subject: str = "") -> Facts:
        return facts(
            records,
            kind=kind,
            name=name,
            version=version,
            run_url=run_url,
            commit=commit,
            failed=failed,
            log=log or (),
            subject=subject,
        )

    problem = ""
    if outcome in ("cancelled", "skipped"):
        done = Done("none")
    elif dry_run:
        done = build_issue.preview(of_run([]), {}) if outcome == "failure" else Done("none")
    else:
        github = place.connect()
        of_this_run = of_run([])
        if outcome == "failure":
            failed, log = _failed_steps(github, with_log=not records.report.get("builds"))
            of_this_run = of_run(failed, log, _rejected_subject(github, repository, log))
        done = Done("none")
        try:
            if outcome == "failure":
                good = _last_good(github)
                done = build_issue.failed(github, of_this_run, good)
            else:
                done = build_issue.succeeded(github, of_this_run)
        except RemoteError as error:
            problem = f"the issue about builds was not written: {error}"
        try:
            if commit:
                build_status.remember(github, commit, of_this_run, good=outcome == "success")
        except RemoteError as error:
            problem = "; ".join(filter(None, [problem, f"the build was not remembered: {error}"]))
    _say(done, outcome, problem, as_json=as_json, dry_run=dry_run)
    if problem and strict:
        raise RemoteError(problem)


def _say(done: Done, outcome: str, problem: str, *, as_json: bool, dry_run: bool) -> None:
    if problem:
        warn(problem)
    if as_json:
        shown = {
            "outcome": outcome,
            "action": done.action,
            "issue": done.number or None,
            "url": done.url or None,
            "text": done.text,
            "problem": problem or None,
        }
        click.echo(json.dumps(shown, indent=2))
    elif dry_run and done.text:
        click.echo(done.text, nl=False)
    elif done.number:
        click.echo(f"{done.action} issue #{done.number}: {done.url}")
    elif not problem:
        click.echo(f"build: {outcome}; no issue to change")


def _failed_steps(github: Repository, *, with_log: bool) -> tuple[list[FailedStep], list[str]]:
    """Return the steps of this run that failed, and why: for a build that left no report."""
    from packer_toolkit.github.client import speaking
    from packer_toolkit.pipeline.job_log import read_failure
    from packer_toolkit.pipeline.outcome import FailedStep

    number = os.environ.get("GITHUB_RUN_ID", "")
    if not number.isdigit():
        return [], []
    found: list[FailedStep] = []
    log: list[str] = []
    failed_jobs = []
    try:
        with speaking("read the run's jobs"):
            for job in github.get_workflow_run(int(number)).jobs():
                steps = [step.name for step in job.steps if step.conclusion == "failure"]
                if job.conclusion == "failure" or steps:
                    found += [FailedStep(job.name, step) for step in steps or ["not known"]]
                    failed_jobs.append(job)
        if with_log and failed_jobs:
            log = read_failure(failed_jobs[0])
    except RemoteError as error:
        click.echo(f"note: {error}", err=True)
    return found, log


def _rejected_subject(github: Repository, repository: str, log: list[str]) -> str:
    """Return the subject of this run when AWS has rejected it; empty otherwise."""
    from packer_toolkit.github import oidc

    if not oidc.REJECTED.search("\n".join(log)):
        return ""
    try:
        known = oidc.token_subject(os.environ)
        subject = None if known else oidc.read_subject(github, repository)
    except RemoteError as error:
        click.echo(f"note: {error}", err=True)
        return ""
    if subject is None:
        return known or ""
    # With claims of its own choice, only a token shows the subject.
    return "" if subject.claims else oidc.run_subject(os.environ, subject)


def _last_good(github: Repository) -> dict[str, object]:
    """Return what is remembered of the last good build; nothing when GitHub does not say."""
    from packer_toolkit.pipeline import status as build_status

    try:
        found = build_status.last_good(github)
    except RemoteError as error:
        click.echo(f"note: {error}", err=True)
        return {}
    if found is None:
        return {}
    parents = {name: {"id": number} for name, number in found.parents.items()}
    return {"parents": parents, "url": found.url, "commit": found.commit[:12]}
