"""Set the commit status that shows the result of the checks of an update's pull request."""

from __future__ import annotations

from packer_toolkit.github.actions import get_run_url
from packer_toolkit.github.client import RepositoryAccess, translate_github_errors

CONTEXT = "update-from-template"


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
            context=CONTEXT,
        )
