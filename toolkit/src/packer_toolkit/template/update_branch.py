"""Commit an update, and push it to the branch of its pull request.

No file, index or branch of the user changes.  A conflict marker is never committed: a file with a
conflict keeps the team's version.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.git.command import Git, GitError, limit_query, limit_transfer
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import SUBMODULE, Entry, Tree, write_tree
from packer_toolkit.template.update_plan import UpdatePlan

BRANCH = "update-from-template"
# A hook of the clone, such as pre-push of husky or lefthook, is for the commits of its user, and
# needs programs that a workflow does not have.
_WITHOUT_HOOKS = ("-c", f"core.hooksPath={os.devnull}")


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

    def push(self, commit: str) -> str:
        """Push a commit, unless the branch has the same files on the same parent already.

        Returns:
            The commit that the branch is at then.

        Raises:
            CommandFailedError: The branch has commits of others.
            RemoteError: It cannot be pushed.
        """
        tip = self.read_tip()
        if tip:
            self.require_own_commit(tip)
            if self._read_content(tip) == self._read_content(commit):
                return tip
        else:
            # The event "create" ignores [skip ci], so the branch is created without the update.
            tip = self._project.head
            self._push(tip)
        self._push(commit, f"--force-with-lease=refs/heads/{self._name}:{tip}")
        return commit

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
            "this repository has no remote origin to push to; add it with git remote add origin URL"
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


# Of GitHub's own account for workflows, as in the README of actions/checkout.
_NAME = "github-actions[bot]"
EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"


def keep_conflicting_files(plan: UpdatePlan) -> Tree:
    """Return the updated files of a project; those with conflicts as the team has them."""
    tree = dict(plan.after)
    old_names = {new: old for old, new in plan.merged.renamed.items()}
    for path in plan.merged.conflicts:
        tree.pop(path, None)
        old = old_names.get(path, path)
        if old in plan.before:
            tree[old] = plan.before[old]
    return tree


def write_repository_tree(plan: UpdatePlan, files: Mapping[str, Entry]) -> str:
    """Create the tree of the whole repository with an update; no branch or file is changed.

    Args:
        plan: The update.
        files: All of the project's files.

    Returns:
        The tree's ID, in the project's repository.
    """
    project = plan.project
    git = Git(project.top)
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
        index = Path(scratch, "index")
        _copy_objects(plan, files)
        if not project.prefix:
            return write_tree(git, files, index)
        with_index = git.with_env(GIT_INDEX_FILE=str(index))
        with_index.text("read-tree", "HEAD")
        with_index.text("rm", "-r", "--cached", "--quiet", "--", f":(literal){project.prefix}")
        subtree = write_tree(git, files, Path(scratch, "sub"))
        with_index.text("read-tree", f"--prefix={project.prefix}", subtree)
        return with_index.text("write-tree")


def commit_update(project: Project, tree: str, release: str) -> str:
    """Create a commit of an update, on top of HEAD; no branch or file is changed.

    Args:
        project: The repository.
        tree: The tree of the whole repository.
        release: The release that it is an update to.

    Returns:
        The commit's ID, in the project's repository.
    """
    names = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", _NAME), ("EMAIL", EMAIL))
    }
    # Without a signature: a workflow has no key of a user.
    # A push with the team's token would start the release's own workflows, with secrets and roles,
    # before a review.
    # https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs
    message = f"Update from the template: {project.release} to {release}\n\n[skip ci]"
    commit = ["commit-tree", "--no-gpg-sign", "-p", project.head, "-m", message, tree]
    return Git(project.top, names).text(*commit)


def _copy_objects(plan: UpdatePlan, files: Mapping[str, Entry]) -> None:
    for entry in {*files.values()} - {*plan.before.values()}:
        if entry.mode != SUBMODULE:
            text = plan.sandbox.raw("cat-file", "blob", entry.oid)
            plan.project.git.raw("hash-object", "-w", "--stdin", stdin=text)
