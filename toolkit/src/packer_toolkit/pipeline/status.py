"""Write and read commit statuses: the result of a build, and of the checks of an update.

A status needs one request, no file and no branch, and GitHub shows it beside the commit. That of a
build has its base images, with which `packer-toolkit pipeline plan` and the issue about failed
builds compare.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from github.CommitStatus import CommitStatus
from github.Repository import Repository

from packer_toolkit.errors import RemoteError
from packer_toolkit.github.actions import get_run_url, warn
from packer_toolkit.github.client import RepositoryAccess, translate_github_errors
from packer_toolkit.pipeline.outcome import BuildOutcome

_CONTEXT = "packer-ami/"
_CHECK_CONTEXT = "update-from-template"
_COMMITS = 10  # the most commits that are searched for the last successful build
_LONGEST = 140  # characters of a description, a limit of GitHub


@dataclass(frozen=True)
class RecordedStatus:
    """The recorded result of a build.

    Attributes:
        succeeded: Whether the build succeeded.
        base_images: IDs of the base images, by architecture.
        url: URL of the run; may be empty.
        commit: SHA of the commit.
    """

    succeeded: bool
    base_images: Mapping[str, str]
    url: str
    commit: str


def record_status(
    repository: Repository, sha: str, outcome: BuildOutcome, *, succeeded: bool
) -> None:
    """Record the result of a build.

    Args:
        repository: The repository on GitHub.
        sha: The full SHA of the commit.
        outcome: The outcome of the build.
        succeeded: Whether the run succeeded.

    Raises:
        RemoteError: When GitHub does not accept it.
    """
    base_images = [f"{name}={image['id']}" for name, image in sorted(outcome.base_images.items())]
    values = {
        "state": "success" if succeeded else "failure",
        "context": f"{_CONTEXT}{outcome.kind}",
        "description": " ".join(["succeeded" if succeeded else "failed", *base_images])[:_LONGEST],
    }
    if outcome.run_url:
        values["target_url"] = outcome.run_url
    # PyGithub has no method that does not request the whole commit first.
    with translate_github_errors("write the commit's status"):
        repository.requester.requestJsonAndCheck(
            "POST", f"{repository.url}/statuses/{sha}", input=values
        )


def read_last_build(access: RepositoryAccess, sha: str) -> RecordedStatus | str:
    """Return the recorded status of the last build of a commit.

    Args:
        access: The repository on GitHub.
        sha: The full SHA of the commit.

    Returns:
        The status; a sentence with the reason when it is unknown.
    """
    repository = access.connect()
    try:
        with translate_github_errors("read the commit's statuses"):
            statuses = _parse_statuses(repository.get_commit(sha).get_statuses(), sha)
            return next(statuses, "This commit has not been built before.")
    except RemoteError as error:
        # A needless build costs minutes; a missing one hides a failure.
        warn(f"building, because the result of the last build is unknown: {error}")
        return "The result of the last build is unknown."


def find_last_success(repository: Repository) -> RecordedStatus | None:
    """Return the last successful build among the last commits of the default branch.

    Raises:
        RemoteError: When GitHub does not return them.
    """
    with translate_github_errors("find the last successful build"):
        for _, commit in zip(range(_COMMITS), repository.get_commits(), strict=False):
            for status in _parse_statuses(commit.get_statuses(), commit.sha):
                if status.succeeded:
                    return status
    return None


def _parse_statuses(statuses: Iterable[CommitStatus], sha: str) -> Iterator[RecordedStatus]:
    """Yield our statuses of a commit, the newest first."""
    for status in statuses:
        if status.context.startswith(_CONTEXT):
            base_images = dict(re.findall(r"(\w+)=(ami-[0-9a-f]+)", status.description or ""))
            succeeded = status.state == "success"
            yield RecordedStatus(succeeded, base_images, status.target_url or "", sha)


def find_state(outcome: str) -> str:
    """Return the state of a commit status, success or failure, for the outcome of a job."""
    return "success" if outcome == "success" else "failure"


def set_check_status(access: RepositoryAccess, commit: str, outcome: str) -> None:
    """Set the status of a commit.

    A pull request that a workflow opens with its own token starts no other workflow, so the job
    that checked it reports the result.

    Args:
        access: The repository on GitHub.
        commit: SHA of the checked commit.
        outcome: success, failure, cancelled or skipped.

    Raises:
        SetupError: When the repository or the token is missing.
        RemoteError: When GitHub cannot be reached, or refuses the request.
    """
    repository = access.connect()
    with translate_github_errors("set the status of the checks"):
        repository.get_commit(commit).create_status(
            find_state(outcome),
            target_url=get_run_url(),
            description=f"task check: {outcome}",
            context=_CHECK_CONTEXT,
        )
