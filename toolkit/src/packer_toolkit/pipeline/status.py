"""Write and read commit statuses: the result of a build, and of the checks of an update.

A status needs one request, no file and no branch, and GitHub shows it beside the commit. That of a
build has its base images, with which `packer-toolkit pipeline plan` and the issue about failed
builds compare.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from github.CommitStatus import CommitStatus
from github.Repository import Repository

from packer_toolkit.errors import RemoteError
from packer_toolkit.github.actions import get_run_url, print_note, warn
from packer_toolkit.github.client import RepositoryAccess, translate_github_errors
from packer_toolkit.pipeline.issue_state import LastSuccess
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
    """

    succeeded: bool
    base_images: Mapping[str, str]
    url: str


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
        **({"target_url": outcome.run_url} if outcome.run_url else {}),
    }
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
    try:
        with translate_github_errors("read the commit's statuses"):
            statuses = access.connect().get_commit(sha).get_statuses()
            return next(_parse_statuses(statuses), "This commit has not been built before.")
    except RemoteError as error:
        # A needless build costs minutes; a missing one hides a failure.
        warn(f"building, because the result of the last build is unknown: {error}")
        return "The result of the last build is unknown."


def find_last_success(repository: Repository) -> LastSuccess:
    """Return the last successful build among the last commits of the default branch.

    Without an answer of GitHub, a note is printed, and no successful build is known.
    """
    try:
        with translate_github_errors("find the last successful build"):
            for commit in itertools.islice(repository.get_commits(), _COMMITS):
                for status in _parse_statuses(commit.get_statuses()):
                    if status.succeeded:
                        images = {name: {"id": id_} for name, id_ in status.base_images.items()}
                        return LastSuccess(images, status.url, commit.sha[:12])
    except RemoteError as error:
        print_note(str(error))
    return LastSuccess()


def _parse_statuses(statuses: Iterable[CommitStatus]) -> Iterator[RecordedStatus]:
    """Yield our statuses of a commit, the newest first."""
    for status in statuses:
        if status.context.startswith(_CONTEXT):
            base_images = dict(re.findall(r"(\w+)=(ami-[0-9a-f]+)", status.description or ""))
            yield RecordedStatus(status.state == "success", base_images, status.target_url or "")


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
    with translate_github_errors("set the status of the checks"):
        access.connect().get_commit(commit).create_status(
            find_state(outcome),
            target_url=get_run_url(),
            description=f"task check: {outcome}",
            context=_CHECK_CONTEXT,
        )
