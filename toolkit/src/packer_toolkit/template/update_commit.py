"""Commit an update without touching the user's files, index and branches.

A conflict marker is never committed: a file with a conflict keeps the team's version.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from packer_toolkit.git.command import Git
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import SUBMODULE, Entry, Tree, write_tree
from packer_toolkit.template.update_plan import UpdatePlan

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
    """Copy the objects of files that the project's repository does not have yet."""
    for entry in {*files.values()} - {*plan.before.values()}:
        if entry.mode != SUBMODULE:
            text = plan.sandbox.raw("cat-file", "blob", entry.oid)
            plan.project.git.raw("hash-object", "-w", "--stdin", stdin=text)
