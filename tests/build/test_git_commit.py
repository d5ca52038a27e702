"""The commit that an image is tagged with is read from .git, in whatever form it lies there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.template import git, render
from rig.tools import Packer


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a rendered repository with its first commit."""
    return render(template, tmp_path_factory.mktemp("commit") / "packer-ami-commit")


def commit_of(packer: Packer, folder: Path) -> str:
    """Ask Packer what it takes for the commit."""
    done = subprocess.run(
        [packer.path, "console", "."],
        cwd=folder,
        env={**packer.env},
        input="local.git_commit\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_it_is_the_commit_of_a_branch(packer: Packer, repository: Path) -> None:
    """As after a commit, with the branch in a file of its own."""
    assert commit_of(packer, repository) == git(repository, "rev-parse", "HEAD")


def test_it_is_the_commit_of_a_packed_branch(packer: Packer, repository: Path) -> None:
    """As after `git gc`, beside a branch whose name ends alike."""
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "another")
    git(repository, "branch", "not-main", "HEAD~1")
    git(repository, "pack-refs", "--all")
    assert not (repository / ".git/refs/heads/main").exists()
    assert commit_of(packer, repository) == git(repository, "rev-parse", "HEAD")


def test_it_is_the_commit_that_is_checked_out(packer: Packer, repository: Path) -> None:
    """As in a workflow, without a branch."""
    git(repository, "checkout", "--quiet", "--detach", "HEAD")
    assert commit_of(packer, repository) == git(repository, "rev-parse", "HEAD")


def test_it_is_unknown_in_a_linked_worktree(
    packer: Packer, repository: Path, tmp_path: Path
) -> None:
    """There .git is a file; the tag says so instead of something wrong."""
    git(repository, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    assert commit_of(packer, tmp_path / "linked") == "unknown"
