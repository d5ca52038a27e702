"""Record the result of a build on GitHub: in the issue and in a status of the commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from github.Repository import Repository
from github.WorkflowJob import WorkflowJob

from packer_toolkit.errors import RemoteError
from packer_toolkit.github import oidc
from packer_toolkit.github.client import translate_github_errors
from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.issue import IssueChange, record_failure, record_success
from packer_toolkit.pipeline.issue_state import LastSuccess
from packer_toolkit.pipeline.job_log import read_failure
from packer_toolkit.pipeline.outcome import FailedStep, RunContext, collect_outcome
from packer_toolkit.pipeline.status import find_last_success, record_status


@dataclass(frozen=True)
class RecordedResult:
    """What was recorded, and why something was not.

    Attributes:
        change: What was done to the issue.
        problem: Why the issue or the status was not written; empty when both were.
    """

    change: IssueChange
    problem: str = ""


def record_result(
    repository: Repository,
    artifacts: BuildArtifacts,
    run: RunContext,
    environment: Mapping[str, str],
    *,
    succeeded: bool,
    note: Callable[[str], None],
) -> RecordedResult:
    """Record the result of a build in the issue, and in a status of the commit.

    Args:
        repository: The repository on GitHub.
        artifacts: The artifacts of the build.
        run: What the run knows about the build.
        environment: Environment variables of the job.
        succeeded: Whether the run succeeded.
        note: Prints a message about information that GitHub did not return.
    """
    change, problems = IssueChange("none"), []
    if not succeeded:
        run = find_causes(repository, artifacts, run, environment, note)
    outcome = collect_outcome(artifacts, run)
    try:
        if succeeded:
            change = record_success(repository, outcome)
        else:
            change = record_failure(repository, outcome, _find_last_success(repository, note))
    except RemoteError as error:
        problems.append(f"the issue about failed builds was not updated: {error}")
    try:
        if run.commit:
            record_status(repository, run.commit, outcome, succeeded=succeeded)
    except RemoteError as error:
        problems.append(f"the status of the commit was not written: {error}")
    return RecordedResult(change, "; ".join(problems))


def find_causes(
    repository: Repository,
    artifacts: BuildArtifacts,
    run: RunContext,
    environment: Mapping[str, str],
    note: Callable[[str], None],
) -> RunContext:
    """Add to a failed run what GitHub knows about the failure.

    Args:
        repository: The repository on GitHub.
        artifacts: The artifacts of the build; without a report, the log of the failed job is read.
        run: What the run knows already.
        environment: Environment variables of the job.
        note: Prints a message about information that GitHub did not return.
    """
    run_id = environment.get("GITHUB_RUN_ID", "")
    steps: list[FailedStep] = []
    log: list[str] = []
    failed_jobs: list[WorkflowJob] = []
    try:
        if run_id.isdigit():
            with translate_github_errors("read the run's jobs"):
                for job in repository.get_workflow_run(int(run_id)).jobs():
                    names = [step.name for step in job.steps if step.conclusion == "failure"]
                    if job.conclusion == "failure" or names:
                        steps += [FailedStep(job.name, name) for name in names or ["unknown"]]
                        failed_jobs.append(job)
        if failed_jobs and not artifacts.report.get("builds"):
            log = read_failure(failed_jobs[0])
    except RemoteError as error:
        note(str(error))
    subject = ""
    if oidc.REJECTED.search("\n".join(log)):
        try:
            subject = _find_subject(repository, environment)
        except RemoteError as error:
            note(str(error))
    return replace(run, failed_steps=steps, log=log, rejected_subject=subject)


def _find_subject(repository: Repository, environment: Mapping[str, str]) -> str:
    """Return the OIDC subject of this run; empty when it cannot be known."""
    if sent := oidc.read_token_subject(environment):
        return sent
    subject = oidc.read_subject(repository, environment.get("GITHUB_REPOSITORY", ""))
    # With customized claims, only a token shows the subject.
    return "" if subject.claims else oidc.compose_run_subject(environment, subject)


def _find_last_success(repository: Repository, note: Callable[[str], None]) -> LastSuccess:
    try:
        status = find_last_success(repository)
    except RemoteError as error:
        note(str(error))
        status = None
    if status is None:
        return LastSuccess()
    parents = {name: {"id": image} for name, image in status.base_images.items()}
    return LastSuccess(parents, status.url, status.commit[:12])
