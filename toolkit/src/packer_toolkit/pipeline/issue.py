"""Open, comment on, reopen and close the one issue about failed builds.

The issue is identified by a label, by the hidden comment of `issue_state`, and by its author: a
program or a member of the repository.  docs/decisions/0014-one-issue-for-failed-builds.md has the
reasons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from github import GithubException
from github.Issue import Issue
from github.Repository import Repository

from packer_toolkit.github.client import require_answer, translate_github_errors
from packer_toolkit.pipeline.issue_state import (
    LONGEST,
    IssueState,
    LastSuccess,
    read_state,
    replace_state,
    write_body,
)
from packer_toolkit.pipeline.issue_text import (
    write_closing_comment,
    write_comment,
    write_description,
    write_title,
)
from packer_toolkit.pipeline.outcome import BuildOutcome

LABEL = "packer-build-failure"
_LABEL_COLOR = "b60205"
_LABEL_DESCRIPTION = "A daily or release build failed; managed by packer-toolkit"

# An outsider can copy the hidden comment, and the label alone must not make that issue ours.
_MEMBERS = ("OWNER", "MEMBER", "COLLABORATOR")


@dataclass(frozen=True)
class IssueChange:
    """What was done to the issue.

    Attributes:
        action: opened, commented, reopened, closed, noted (only its hidden comment changed), or
            none.
        number: Number of the issue; 0 without one.
        url: URL of the issue.
        text: The text that was written, or that would be.
        problem: Why the issue or the status of the commit was not written; empty when both were.
    """

    action: str
    number: int = 0
    url: str = ""
    text: str = ""
    problem: str = ""


class _OwnIssue(NamedTuple):
    """An issue of ours, with its state."""

    issue: Issue
    state: IssueState


def preview_issue(outcome: BuildOutcome, last_success: LastSuccess) -> IssueChange:
    """Return the issue that a first failure would open."""
    text = f"{write_title(outcome)}\n\n{write_description(outcome, last_success)}"
    return IssueChange("none", text=text)


def record_failure(
    repository: Repository, outcome: BuildOutcome, last_success: LastSuccess
) -> IssueChange:
    """Record a failed build in the open issue, in one that a user closed, or in a new one.

    Args:
        repository: The repository on GitHub.
        outcome: The failed build.
        last_success: The last successful build; the one that the issue stores takes precedence.

    Raises:
        RemoteError: When GitHub cannot be reached or refuses the request.
    """
    with translate_github_errors("read issues"):
        own_issues = _find_current(repository)
    if not own_issues:
        return _open(repository, outcome, last_success)
    own = own_issues[0]
    # "Not planned" means that the user wants no open issue; the failure is still recorded.
    if own.issue.state == "open" or own.issue.state_reason == "not_planned":
        return _comment(own, outcome, last_success, "commented")
    with translate_github_errors("reopen the issue"):
        own.issue.edit(state="open")
    return _comment(own, outcome, last_success, "reopened")


def record_success(repository: Repository, outcome: BuildOutcome) -> IssueChange:
    """Record a successful build: close the open issue, and note it in one that a user closed.

    Args:
        repository: The repository on GitHub.
        outcome: The successful build.

    Raises:
        RemoteError: When GitHub cannot be reached or refuses the request.
    """
    success = LastSuccess(outcome.base_images, outcome.run_url, outcome.commit[:12])
    with translate_github_errors("read issues"):
        own_issues = _find_current(repository)
    if not own_issues:
        return IssueChange("none")
    text = ""
    for issue, state in own_issues:
        body = replace_state(issue.body, replace(state, open=False, good=success))
        if issue.state == "open":
            text = write_closing_comment(outcome, state)
            with translate_github_errors("close the issue"):
                issue.create_comment(text)
                issue.edit(body=body, state="closed", state_reason="completed")
        else:
            with translate_github_errors("note the successful build"):
                issue.edit(body=body)
    issue = own_issues[0].issue
    return IssueChange("closed" if text else "noted", issue.number, issue.html_url, text)


def _find_own(repository: Repository, state: str) -> Iterator[_OwnIssue]:
    """Yield our issues of a state, the newest first; other issues may have the label too."""
    for issue in repository.get_issues(labels=[LABEL], state=state):
        own_state = read_state(issue.body)
        # Programs need write access to open an issue; GitHub does not list that of workflows as a
        # member, and has no user for a deleted account.
        is_program = getattr(issue.user, "type", "") == "Bot"
        is_trusted = is_program or issue.author_association in _MEMBERS
        if own_state and is_trusted and not issue.pull_request and not own_state.duplicate_of:
            yield _OwnIssue(issue, own_state)


def _find_current(repository: Repository) -> list[_OwnIssue]:
    """Return the open issues, the oldest first.

    Without one, return the newest closed issue if a user closed it before a build succeeded.
    """
    open_issues = sorted(_find_own(repository, "open"), key=lambda own: own.issue.number)
    newest = None if open_issues else next(_find_own(repository, "closed"), None)
    return [newest] if newest and newest.state.open else open_issues


def _comment(
    own: _OwnIssue, outcome: BuildOutcome, last_success: LastSuccess, action: str
) -> IssueChange:
    issue, state = own
    state = replace(
        state,
        open=True,
        kind=outcome.kind,
        version=outcome.version,
        failures=state.failures + 1,
    )
    stored = state.good if state.good != LastSuccess() else last_success
    text = write_comment(outcome, stored, state.failures)
    with translate_github_errors("comment on the issue"):
        issue.create_comment(text[:LONGEST])
        issue.edit(body=replace_state(issue.body, state))
    return IssueChange(action, issue.number, issue.html_url, text)


def _open(repository: Repository, outcome: BuildOutcome, last_success: LastSuccess) -> IssueChange:
    text = write_description(outcome, last_success)
    state = IssueState(True, kind=outcome.kind, version=outcome.version, good=last_success)
    with translate_github_errors("create a label"):
        try:
            repository.create_label(LABEL, _LABEL_COLOR, _LABEL_DESCRIPTION)
        except GithubException as error:
            # 422: it exists; 403, 404: the token cannot create labels, but perhaps open issues.
            if error.status not in (403, 404, 422):
                raise
    with translate_github_errors("open an issue"):
        issue = repository.create_issue(
            write_title(outcome), body=write_body(state, text), labels=[LABEL]
        )
        require_answer("open an issue", issue.number)
    # Another run may have opened one at the same time, or GitHub may have lost its answer to a
    # first attempt.  Every run keeps the oldest.
    with translate_github_errors("find a second issue"):
        oldest = min(_find_own(repository, "open"), key=lambda own: own.issue.number, default=None)
    if oldest is None or oldest.issue.number >= issue.number:
        return IssueChange("opened", issue.number, issue.html_url, text)
    number = oldest.issue.number
    duplicate = replace(state, open=False, duplicate_of=number)
    with translate_github_errors("close the second issue"):
        body = write_body(duplicate, f"Duplicate of #{number}.\n")
        issue.edit(body=body, state="closed", state_reason="not_planned")
    return _comment(oldest, outcome, last_success, "commented")
