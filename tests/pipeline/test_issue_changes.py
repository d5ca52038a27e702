"""What is done to the issue about failed builds, against a GitHub in memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from github_fakes import FakeIssue, FakeRepository

from packer_toolkit.errors import RemoteError
from packer_toolkit.pipeline.issue import (
    LABEL,
    IssueChange,
    preview_issue,
    record_failure,
    record_success,
)
from packer_toolkit.pipeline.issue_state import IssueState, LastSuccess, read_state, write_body
from packer_toolkit.pipeline.outcome import BuildOutcome

OUTCOME = BuildOutcome("daily", "web", run_url="https://github.example/runs/77", commit="c" * 40)


def fail(repository: Any, outcome: BuildOutcome = OUTCOME) -> str:
    """Record a failed build; return what was done."""
    return record_failure(repository, outcome, LastSuccess()).action


def succeed(repository: Any, outcome: BuildOutcome = OUTCOME) -> str:
    """Record a successful build; return what was done."""
    return record_success(repository, outcome).action


def read(repository: Any, number: int = 1) -> IssueState:
    """Return the state of an issue."""
    state = read_state(repository.issues[number - 1].body)
    assert state
    return state


def test_one_issue_lives_from_the_first_failure_to_the_next_success() -> None:
    """The first failure opens an issue, the next one comments on it, a success closes it."""
    repository = FakeRepository()
    actions = [act(repository) for act in (fail, fail, fail, succeed, succeed, fail)]
    assert actions == ["opened", "commented", "commented", "closed", "none", "opened"]
    first, second = repository.issues
    assert (first.state, first.state_reason, second.state) == ("closed", "completed", "open")
    assert "3 runs in a row have failed." in first.comments[1]
    assert "passes again" in first.comments[2]
    assert read(repository).failures == 3
    assert not read(repository).open
    assert read(repository).good.url == OUTCOME.run_url
    assert read(repository, 2).open


def test_issue_that_a_user_closed_is_reopened() -> None:
    """A failure reopens the issue that a user closed while builds failed."""
    repository = FakeRepository()
    fail(repository)
    repository.issues[0].edit(state="closed", state_reason="completed")
    assert fail(repository) == "reopened"
    assert repository.issues[0].state == "open"


def test_issue_that_is_not_planned_stays_closed() -> None:
    """An issue closed as "not planned" gets comments, and a success ends it."""
    repository = FakeRepository()
    fail(repository)
    repository.issues[0].edit(state="closed", state_reason="not_planned")
    assert fail(repository) == "commented"
    assert repository.issues[0].state == "closed"
    assert succeed(repository) == "noted"
    assert fail(repository) == "opened"


def test_second_issue_of_the_same_moment_is_closed() -> None:
    """The newer one of two issues is closed as a duplicate, and its failure is commented."""
    repository = FakeRepository()
    create = repository.create_issue

    def create_both(title: str, *, body: str, labels: list[str]) -> FakeIssue:
        create(title, body=body, labels=labels)
        return create(title, body=body, labels=labels)

    repository.create_issue = create_both
    change = record_failure(repository, OUTCOME, LastSuccess())
    assert (change.action, change.number) == ("commented", 1)
    assert repository.issues[1].state_reason == "not_planned"
    assert repository.issues[1].body.endswith("Duplicate of #1.\n")
    assert read(repository, 2).duplicate_of == 1
    assert succeed(repository) == "closed"


@pytest.mark.parametrize("reason", ["no comment", "pull request", "outsider", "deleted account"])
def test_issues_of_others_are_left_alone(reason: str) -> None:
    """An issue with the label is ours only by its hidden comment and its author."""
    repository = FakeRepository()
    body = "text" if reason == "no comment" else write_body(IssueState(True), "text")
    other = repository.create_issue("Other", body=body, labels=[LABEL])
    if reason == "pull request":
        other.pull_request = SimpleNamespace()
    if reason == "outsider":
        other.user = SimpleNamespace(type="User")
    if reason == "deleted account":
        other.user = None
    assert fail(repository) == "opened"
    assert succeed(repository) == "closed"
    assert (other.state, other.body, other.comments) == ("open", body, [])


def test_issue_of_a_member_is_ours() -> None:
    """A member of the repository may have run the command, so that the issue is theirs."""
    repository = FakeRepository()
    issue = repository.create_issue("x", body=write_body(IssueState(True), "x"), labels=[LABEL])
    issue.user, issue.author_association = SimpleNamespace(type="User"), "MEMBER"
    assert fail(repository) == "commented"


@pytest.mark.parametrize(
    ("status", "opened"), [(403, True), (404, True), (422, True), (500, False)]
)
def test_label_that_cannot_be_created_stops_nothing(status: int, opened: bool) -> None:
    """The issue is opened when the label exists or may not be created, not when GitHub fails."""
    repository = FakeRepository()
    repository.refused["create_label"] = status
    if opened:
        assert fail(repository) == "opened"
        return
    with pytest.raises(RemoteError, match="cannot create a label: 500 no create_label"):
        fail(repository)


def test_answer_without_a_number_is_an_error() -> None:
    """An issue without a number is the answer of another server."""
    repository = FakeRepository()
    repository.create_issue = lambda *_, **__: FakeIssue(0, "", "", [])
    with pytest.raises(RemoteError, match="cannot open an issue: the answer is not from GitHub"):
        fail(repository)


def test_stored_success_is_compared_with() -> None:
    """A further failure is compared with the success that the issue stores."""
    repository = FakeRepository()
    success = LastSuccess({"x86_64": {"id": "ami-1"}}, "https://github.example/runs/1", "abc")
    record_failure(repository, OUTCOME, success)
    fail(repository)
    assert (
        "[run](https://github.example/runs/1) of commit `abc`" in repository.issues[0].comments[0]
    )


def test_preview_changes_nothing() -> None:
    """The preview has title and text, and no number."""
    change = preview_issue(OUTCOME, LastSuccess())
    assert change.text.startswith("The daily build of web fails\n\nThe daily build of `web` failed")
    assert change == IssueChange("none", text=change.text)
