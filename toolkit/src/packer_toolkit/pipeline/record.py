"""Record the result of a build on GitHub, and read there why a build without a report failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import requests
from github.Repository import Repository
from github.WorkflowJob import WorkflowJob

from packer_toolkit.errors import RemoteError
from packer_toolkit.github import oidc
from packer_toolkit.github.actions import print_note
from packer_toolkit.github.client import translate_github_errors
from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.issue import IssueChange, record_failure, record_success
from packer_toolkit.pipeline.outcome import FailedStep, RunContext, collect_outcome
from packer_toolkit.pipeline.status import find_last_success, record_status

_LARGEST = 5_000_000  # bytes that are read of a log
_LINES_BEFORE = 10
_SECONDS = 15

_ERROR = "##[error]"
# The time at the start of a line, marks of the runner other than errors, and colors.
_MARKS = re.compile(
    r"^\ufeff?\d{4}-\d{2}-\d{2}T[\d:.]+Z |"
    r"##\[(?:group|endgroup|debug|command|section)\]|\x1b\[[0-9;]*m"
)


def record_result(
    repository: Repository,
    artifacts: BuildArtifacts,
    run: RunContext,
    environment: Mapping[str, str],
    *,
    succeeded: bool,
) -> IssueChange:
    """Record the result of a build in the issue, and in a status of the commit.

    Args:
        repository: The repository on GitHub.
        artifacts: The artifacts of the build.
        run: What the run knows about the build.
        environment: Environment variables of the job.
        succeeded: Whether the run succeeded.

    Returns:
        What was done to the issue, and the problems with the issue and with the status.
    """
    change, problems = IssueChange("none"), []
    if not succeeded:
        run = find_causes(repository, artifacts, run, environment)
    outcome = collect_outcome(artifacts, run)
    try:
        if succeeded:
            change = record_success(repository, outcome)
        else:
            change = record_failure(repository, outcome, find_last_success(repository))
    except RemoteError as error:
        problems.append(f"the issue about failed builds was not updated: {error}")
    try:
        if run.commit:
            record_status(repository, run.commit, outcome, succeeded=succeeded)
    except RemoteError as error:
        problems.append(f"the status of the commit was not written: {error}")
    return replace(change, problem="; ".join(problems))


def find_causes(
    repository: Repository,
    artifacts: BuildArtifacts,
    run: RunContext,
    environment: Mapping[str, str],
) -> RunContext:
    """Add to a failed run what GitHub knows about the failure.

    Args:
        repository: The repository on GitHub.
        artifacts: The artifacts of the build; without a report, the log of the failed job is read.
        run: What the run knows already.
        environment: Environment variables of the job.
    """
    run_id = environment.get("GITHUB_RUN_ID", "")
    steps: list[FailedStep] = []
    failed_jobs: list[WorkflowJob] = []
    log, subject = list[str](), ""
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
        if oidc.REJECTED.search("\n".join(log)):
            subject = _find_subject(repository, environment)
    except RemoteError as error:
        print_note(str(error))
    return replace(run, failed_steps=steps, lines=log, rejected_subject=subject)


def read_failure(
    job: WorkflowJob, get: Callable[..., requests.Response] = requests.get
) -> list[str]:
    """Read the lines of a job's log up to its first error, and further errors.

    Args:
        job: A job that has ended.
        get: Sends a request.

    Raises:
        RemoteError: When GitHub cannot be reached, or has no log of the job.
    """
    with (
        translate_github_errors("read the log of the failed job"),
        # The URL is short-lived, points to another server, and must not get the token.
        get(job.logs_url(), timeout=_SECONDS, stream=True) as answer,
    ):
        answer.raise_for_status()
        text = answer.raw.read(_LARGEST, decode_content=True).decode(errors="replace")
    return extract_failure(text.splitlines())


def extract_failure(log: Sequence[str]) -> list[str]:
    """Return the lines up to the first error, and further errors; nothing without an error.

    The first error is the cause: steps that run after a failure often fail because of it.

    Args:
        log: The lines of a job's log.
    """
    lines = [_MARKS.sub("", line).rstrip() for line in log]
    errors = [number for number, line in enumerate(lines) if _ERROR in line]
    if not errors:
        return []
    failure: list[str] = []
    for number in [*range(max(0, errors[0] - _LINES_BEFORE), errors[0]), *errors]:
        line = lines[number].replace(_ERROR, "").strip()
        if line and line not in failure[-1:]:  # the action prints the same for each attempt
            failure.append(line)
    return failure


def _find_subject(repository: Repository, environment: Mapping[str, str]) -> str:
    """Return the OIDC subject of this run; empty when it cannot be known."""
    if sent := oidc.read_token_subject(environment):
        return sent
    subject = oidc.read_subject(repository, environment.get("GITHUB_REPOSITORY", ""))
    # With customized claims, only a token shows the subject.
    return "" if subject.claims else oidc.compose_run_subject(environment, subject)
