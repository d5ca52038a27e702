"""Find, open and edit the pull request of an update on GitHub."""

from __future__ import annotations

import os

from github.PullRequest import PullRequest

from packer_toolkit.github.client import RepositoryAccess, require_answer
from packer_toolkit.template.pull_request import names_release


class UpdatePullRequests:
    """The pull requests of a branch.

    Attributes:
        branch: The branch with the update.
        base: The branch to merge into.
    """

    def __init__(self, access: RepositoryAccess, branch: str, base: str) -> None:
        self.branch = branch
        self.base = base
        self._owner = access.repository.partition("/")[0]
        self._repository = access.connect()

    def _list_pulls(self, state: str) -> list[PullRequest]:
        """Return the pull requests of the branch, the newest first."""
        pulls = self._repository.get_pulls(
            state=state, head=f"{self._owner}:{self.branch}", base=self.base
        )
        return [pull for pull in pulls if pull.head.ref == self.branch]

    def find_closed(self, release: str) -> str:
        """Return the URL of the pull request of a release that was closed without a merge.

        Empty when one is open, or when the user has started the workflow: that asks for a new one.
        """
        if os.environ.get("GITHUB_EVENT_NAME") == "workflow_dispatch":
            return ""
        if self._list_pulls("open"):
            return ""
        for pull in self._list_pulls("closed"):
            if names_release(pull.title, pull.body or "", release):
                return "" if pull.merged_at or pull.merged else str(pull.html_url)
        return ""

    def open_or_edit(self, title: str, body: str) -> str:
        """Open the pull request of the branch, or change the text of the open one."""
        for pull in self._list_pulls("open"):
            if (pull.title, pull.body) != (title, body):
                pull.edit(title=title, body=body)
            return str(pull.html_url)
        pull = self._repository.create_pull(
            base=self.base, head=self.branch, title=title, body=body
        )
        require_answer("open the pull request", pull.number)
        return str(pull.html_url)
