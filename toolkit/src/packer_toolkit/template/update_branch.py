"""Push an update to the branch of its pull request."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.git.command import Git, GitError, limit_query, limit_transfer
from packer_toolkit.template.project import Project
from packer_toolkit.template.update_commit import EMAIL

BRANCH = "update-from-template"
# A hook of the clone, such as pre-push of husky or lefthook, is for the commits of its user, and
# needs programs that a workflow does not have.
_WITHOUT_HOOKS = ("-c", f"core.hooksPath={os.devnull}")


@dataclass(frozen=True)
class PushedBranch:
    """The branch after a push.

    Attributes:
        commit: The commit that it is at.
        changed: Whether that is another commit than before.
    """

    commit: str
    changed: bool


class UpdateBranch:
    """The branch of the pull request, at the remote origin."""

    def __init__(self, project: Project, name: str) -> None:
        self._name = name
        self._project = project
        self._url = remove_secrets(get_push_url(project))
        self._git = Git(project.top)

    def read_tip(self) -> str:
        """Return the commit that the branch is at; empty when it does not exist."""
        # A pattern matches the ends of names too, such as refs/heads/x/refs/heads/NAME.
        name = f"refs/heads/{self._name}"
        listing = self._run_git("ls-remote", "origin", name)
        lines = (line.partition("\t") for line in listing.splitlines())
        return next((commit for commit, _, ref in lines if ref == name), "")

    def require_own_commit(self, tip: str) -> None:
        """Make sure that the branch has no commits of others.

        Raises:
            CommandFailedError: It has.
        """
        # A full clone stays one; in a shallow one, the tip and its parent are enough.
        shallow = self._git.text("rev-parse", "--is-shallow-repository") == "true"
        depth = ["--depth=2"] if shallow else []
        self._run_git("fetch", "--quiet", "--no-tags", *depth, "origin", tip)
        # Ours is always the one commit on top of the default branch's.
        if self._git.text("log", "-1", "--format=%ce", tip) != EMAIL:
            raise CommandFailedError(
                f"the branch {self._name} has commits of others, so it was not changed; merge its "
                "pull request, or close it and delete the branch"
            )

    def push(self, commit: str) -> PushedBranch:
        """Push a commit, unless the branch has the same files on the same parent already.

        Raises:
            CommandFailedError: The branch has commits of others.
            RemoteError: It cannot be pushed.
        """
        tip = self.read_tip()
        if tip:
            self.require_own_commit(tip)
            if self._read_content(tip) == self._read_content(commit):
                return PushedBranch(tip, changed=False)
        if not tip:
            # The event "create" ignores [skip ci], so the branch is created without the update.
            tip = self._project.head
            self._push(tip)
        self._push(commit, f"--force-with-lease=refs/heads/{self._name}:{tip}")
        return PushedBranch(commit, changed=True)

    def _push(self, commit: str, *options: str) -> None:
        """Push a commit to the branch.

        By a pattern: git compares other names by their ends, and refuses to push where a branch or
        a tag is called refs/heads/NAME.
        """
        folder = f"refs/packer-toolkit/{commit}"  # of this push alone, and deleted after it
        self._git.text(*_WITHOUT_HOOKS, "update-ref", f"{folder}/{self._name}", commit)
        try:
            self._run_git("push", "--quiet", *options, "origin", f"{folder}/*:refs/heads/*")
        finally:
            self._git.text(*_WITHOUT_HOOKS, "update-ref", "-d", f"{folder}/{self._name}")

    def _read_content(self, commit: str) -> str:
        return self._git.text("log", "-1", "--format=%T %P", commit)

    def _run_git(self, *arguments: str) -> str:
        limit = limit_query if arguments[0] == "ls-remote" else limit_transfer
        try:
            return limit(self._git).text(*_WITHOUT_HOOKS, *arguments)
        except GitError as error:
            reason = remove_secrets(error.reason)
            if "workflow" in error.stderr and "refusing" in error.stderr:
                raise RemoteError(
                    "GitHub does not let a workflow's own token change workflows, and this release "
                    "does: create the secret TEMPLATE_UPDATE_TOKEN (docs/updating.md of the "
                    "template)"
                ) from None
            raise RemoteError(
                f"git {arguments[0]} of {self._url} failed: {reason}; check the token's permissions"
            ) from None


def get_push_url(project: Project) -> str:
    """Return the address that the branch is pushed to.

    Raises:
        SetupError: There is no remote called origin.
    """
    try:
        return project.git.text("remote", "get-url", "--push", "origin")
    except GitError:
        raise SetupError(
            "there is no remote origin to push to: git remote add origin URL"
        ) from None


def build_authorization(url: str, token: str) -> dict[str, str]:
    """Return the variables that let git log in with a token, which is in no address or option.

    Args:
        url: The address of the repository.
        token: The token; empty for none.

    Returns:
        Variables for the environment of git; empty for an SSH address or without a token.
    """
    if not url.startswith(("http://", "https://")) or not token:
        return {}
    parts = urlsplit(url)
    secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    number = int(os.environ.get("GIT_CONFIG_COUNT", "0") or 0)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    return {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"http.{host}.extraheader",
        f"GIT_CONFIG_VALUE_{number}": f"AUTHORIZATION: basic {secret}",
    }
