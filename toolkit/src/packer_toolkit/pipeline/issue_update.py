"""Update the issue about failed builds, and the recorded status, after a workflow run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import click
from github.Repository import Repository

from packer_toolkit.errors import RemoteError
from packer_toolkit.github import oidc
from packer_toolkit.github.client import Place, speaking
from packer_toolkit.pipeline import issue, status
from packer_toolkit.pipeline.artifacts import Records
from packer_toolkit.pipeline.job_log import read_failure
from packer_toolkit.pipeline.outcome import Facts, FailedStep, facts


@dataclass(frozen=True)
class WorkflowRun:
    """A workflow run that has built, or tried to.

    Attributes:
        records: Its build artifacts.
        outcome: success, failure, cancelled or skipped.
        kind: daily or release.
        version: Of the image.
        url: Link to the run.
        commit: SHA of the built commit.
    """

    records: Records
    outcome: str
    kind: str
    version: str
    url: str
    commit: str

    def describe(
        self,
        repository: str,
        failed: Sequence[FailedStep] = (),
        log: Sequence[str] = (),
        subject: str = "",
    ) -> Facts:
        """Return what the issue shows of this run.

        Args:
            repository: On GitHub, as owner/name.
            failed: Steps of the workflow that failed.
            log: Lines of the workflow's log.
            subject: Of the OIDC token, if AWS rejected it.
        """
        return facts(
            self.records,
            kind=self.kind,
            name=repository.rpartition("/")[2].removeprefix("packer-ami-"),
            version=self.version,
            run_url=self.url,
            commit=self.commit,
            failed=failed,
            log=log,
            subject=subject,
        )


def preview_issue(run: WorkflowRun, place: Place) -> issue.Done:
    """Return the issue that a first failure of a run would open; change nothing."""
    if run.outcome != "failure":
        return issue.Done("none")
    return issue.preview(run.describe(place.repository), {})


def update_issue(run: WorkflowRun, place: Place) -> tuple[issue.Done, str]:
    """Open, update or close the issue, and record the status of the commit's build.

    Args:
        run: The workflow run.
        place: The repository on GitHub.

    Returns:
        What was done, and what GitHub refused or did not answer; "" if nothing.

    Raises:
        SetupError: When the repository or the token is missing.
    """
    done = issue.Done("none")
    if run.outcome in ("cancelled", "skipped"):
        return done, ""
    github = place.connect()
    outcome = run.describe(place.repository)
    is_failure = run.outcome == "failure"
    if is_failure:
        steps, log = _read_failed_steps(github, with_log=not run.records.report.get("builds"))
        subject = _find_rejected_subject(github, place.repository, log)
        outcome = run.describe(place.repository, steps, log, subject)
    problems = []
    try:
        if is_failure:
            done = issue.failed(github, outcome, _read_last_success(github))
        else:
            done = issue.succeeded(github, outcome)
    except RemoteError as error:
        problems.append(f"the issue about builds was not written: {error}")
    try:
        if run.commit:
            status.remember(github, run.commit, outcome, good=not is_failure)
    except RemoteError as error:
        problems.append(f"the build was not remembered: {error}")
    return done, "; ".join(problems)


def _read_failed_steps(github: Repository, *, with_log: bool) -> tuple[list[FailedStep], list[str]]:
    """Return the failed steps of this run, and lines of its log, for a build without a report."""
    number = os.environ.get("GITHUB_RUN_ID", "")
    if not number.isdigit():
        return [], []
    failed_steps: list[FailedStep] = []
    failed_jobs = []
    log: list[str] = []
    try:
        with speaking("read the run's jobs"):
            for job in github.get_workflow_run(int(number)).jobs():
                steps = [step.name for step in job.steps if step.conclusion == "failure"]
                if job.conclusion == "failure" or steps:
                    failed_steps += [FailedStep(job.name, step) for step in steps or ["not known"]]
                    failed_jobs.append(job)
        if with_log and failed_jobs:
            log = read_failure(failed_jobs[0])
    except RemoteError as error:
        _print_note(error)
    return failed_steps, log


def _find_rejected_subject(github: Repository, repository: str, log: Sequence[str]) -> str:
    """Return the subject of this run's OIDC token if AWS rejected it; "" otherwise."""
    if not oidc.REJECTED.search("\n".join(log)):
        return ""
    try:
        token_subject = oidc.token_subject(os.environ)
        subject = None if token_subject else oidc.read_subject(github, repository)
    except RemoteError as error:
        _print_note(error)
        return ""
    if subject is None:
        return token_subject or ""
    # Where the repository has chosen its own claims, only a token shows the subject.
    return "" if subject.claims else oidc.run_subject(os.environ, subject)


def _read_last_success(github: Repository) -> dict[str, object]:
    """Return what is recorded of the last successful build; empty if GitHub does not answer."""
    try:
        last = status.last_good(github)
    except RemoteError as error:
        _print_note(error)
        return {}
    if last is None:
        return {}
    parents = {name: {"id": number} for name, number in last.parents.items()}
    return {"parents": parents, "url": last.url, "commit": last.commit[:12]}


def _print_note(error: RemoteError) -> None:
    click.echo(f"note: {error}", err=True)
