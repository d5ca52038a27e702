"""The result of a build is recorded in the issue and in a status of the commit."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from github_fakes import FakeRepository

from packer_toolkit.github.client import RepositoryAccess
from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.issue import IssueChange
from packer_toolkit.pipeline.issue_state import LastSuccess
from packer_toolkit.pipeline.outcome import BuildOutcome, FailedStep, RunContext
from packer_toolkit.pipeline.record import find_causes, record_result
from packer_toolkit.pipeline.status import (
    RecordedStatus,
    find_last_success,
    read_last_build,
    record_status,
)
from rig.repositories.build_reports import REPOSITORY, SHA, build_report

RUN = RunContext("daily", "web", run_url="https://github.example/runs/77", commit=SHA)
JOB = {"GITHUB_RUN_ID": "77", "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_REF": "refs/heads/main"}
IMAGES = {"x86_64": {"id": "ami-0aaaaaaaaaaaaaaaa", "name": "debian"}}


def artifacts(**values: Any) -> BuildArtifacts:
    """Return the artifacts of a build with a report."""
    return BuildArtifacts({"build-report.json": json.dumps(build_report(**values)).encode()})


def record(repository: Any, build: BuildArtifacts, *, succeeded: bool) -> IssueChange:
    """Record a result."""
    return record_result(repository, build, RUN, JOB, succeeded=succeeded)


def test_success_is_found_by_the_next_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """A failure is compared with the status that the last success left, without a note."""
    repository: Any = FakeRepository()
    assert record(repository, artifacts(ok=True), succeeded=True).action == "none"
    (status,) = repository.statuses[SHA]
    assert (status.state, status.context) == ("success", "packer-ami/daily")
    assert status.description == "succeeded x86_64=ami-0aaaaaaaaaaaaaaaa"
    result = record(repository, artifacts(ok=False), succeeded=False)
    assert (result.action, result.problem) == ("opened", "")
    assert f"[run]({RUN.run_url}) of commit `{SHA[:12]}`" in result.text
    assert repository.statuses[SHA][0].state == "failure"
    assert record(repository, artifacts(ok=True), succeeded=True).action == "closed"
    assert capsys.readouterr().err == ""


def test_problems_with_github_are_reported_together(capsys: pytest.CaptureFixture[str]) -> None:
    """What GitHub refuses is a problem of the result, and the rest is still done."""
    repository: Any = FakeRepository()
    repository.refused = {"get_issues": 410, "POST": 403, "get_commits": 500}
    result = record(repository, artifacts(ok=False), succeeded=False)
    assert (
        "the issue about failed builds was not updated: cannot read issues: 410" in result.problem
    )
    assert "; the status of the commit was not written: cannot write" in result.problem
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("note: cannot find the last successful build: 500")


def job(name: str, conclusion: str, **steps: str) -> Any:
    """Return a job, with the conclusion of each step."""
    listed = [SimpleNamespace(name=step, conclusion=ended) for step, ended in steps.items()]
    return SimpleNamespace(name=name, conclusion=conclusion, steps=listed, logs_url=lambda: "x")


def test_failed_steps_of_the_run_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    """The steps that GitHub reports as failed; a job that failed without one is named too."""
    repository: Any = FakeRepository()
    repository.jobs = [
        job("check", "success", checkout="success"),
        job("build", "failure", checkout="success", role="failure"),
        job("attach", "failure"),
    ]
    run = find_causes(repository, artifacts(ok=False), RUN, JOB)
    assert run.failed_steps == [FailedStep("build", "role"), FailedStep("attach", "unknown")]
    assert (run.lines, run.rejected_subject) == ([], "")
    outside = find_causes(repository, artifacts(ok=False), RUN, {})
    assert outside.failed_steps == []
    assert capsys.readouterr().err == ""


def test_jobs_that_github_does_not_list_are_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    """The issue is written without the failed steps."""
    repository: Any = FakeRepository()
    repository.refused["get_workflow_run"] = 403
    run = find_causes(repository, BuildArtifacts(), RUN, JOB)
    assert run == RunContext(**{**vars(RUN), "failed_steps": [], "lines": []})
    assert "note: cannot read the run's jobs: 403" in capsys.readouterr().err


class Access(RepositoryAccess):
    """Access to a repository in memory.

    Attributes:
        connected: The repository.
    """

    connected: Any = None

    def connect(self) -> Any:
        """Return the repository."""
        return self.connected


def make_access(repository: FakeRepository) -> Access:
    """Return the access to a repository in memory."""
    access = Access(REPOSITORY, "t")
    object.__setattr__(access, "connected", repository)
    return access


def test_statuses_of_others_are_ignored() -> None:
    """Only a status of ours counts, and a description of release 1.0.0 is read too."""
    repository: Any = FakeRepository()
    access = make_access(repository)
    assert read_last_build(access, SHA) == "This commit has not been built before."
    assert find_last_success(repository) == LastSuccess()
    repository.statuses[SHA] = [
        SimpleNamespace(context="ci", state="success", description="", target_url=""),
        SimpleNamespace(
            context="packer-ami/daily", state="failure", description=None, target_url=None
        ),
        SimpleNamespace(
            context="packer-ami/daily",
            state="success",
            description="good x86_64=ami-1",
            target_url="u",
        ),
    ]
    assert read_last_build(access, SHA) == RecordedStatus(False, {}, "")
    assert find_last_success(repository) == LastSuccess({"x86_64": {"id": "ami-1"}}, "u", SHA[:12])


def test_only_the_last_commits_are_searched() -> None:
    """A success of long ago is not found, so that the search costs a few requests."""
    repository: Any = FakeRepository()
    repository.statuses = {f"{number:040}": [] for number in range(10)}
    status = SimpleNamespace(
        context="packer-ami/daily", state="success", description="", target_url=""
    )
    repository.statuses["f" * 40] = [status]
    assert find_last_success(repository) == LastSuccess()


def test_status_has_no_link_outside_of_a_run() -> None:
    """A description fits GitHub's limit, and a result without a run has no URL."""
    repository: Any = FakeRepository()
    images = {f"a{number}": IMAGES["x86_64"] for number in range(9)}
    record_status(
        repository, SHA, BuildOutcome("daily", "web", base_images=images), succeeded=False
    )
    (status,) = repository.statuses[SHA]
    assert status.description.startswith("failed a0=ami-0aaaaaaaaaaaaaaaa a1=")
    assert (len(status.description), status.target_url) == (140, None)


def test_last_build_is_read_or_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """A plan gets the status, or a sentence with the reason why it is unknown."""
    repository: Any = FakeRepository()
    access = make_access(repository)
    assert read_last_build(access, SHA) == "This commit has not been built before."
    record(repository, artifacts(ok=True), succeeded=True)
    images = {"x86_64": "ami-0aaaaaaaaaaaaaaaa"}
    assert read_last_build(access, SHA) == RecordedStatus(True, images, RUN.run_url)
    repository.refused["get_commit"] = 403
    assert read_last_build(access, SHA) == "The result of the last build is unknown."
    assert "warning: building, because" in capsys.readouterr().err
