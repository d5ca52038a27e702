"""The commit that an image is tagged with is read from .git, in whatever form it lies there."""

from __future__ import annotations

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
    return packer.evaluate(folder, "local.git_commit")


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


@pytest.mark.parametrize("branch", ["feat/a+b", "feat/(c)", "feat/d.e", "feat/$f|g", "feat/{h}"])
def test_no_character_of_a_packed_branch_is_read_as_a_pattern(
    packer: Packer, repository: Path, branch: str
) -> None:
    """Git allows these names, and each leads to its own commit (review C25)."""
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "another")
    git(repository, "branch", f"{branch}x", "HEAD~1")
    git(repository, "checkout", "--quiet", "-b", branch)
    git(repository, "commit", "--quiet", "--allow-empty", "-m", branch)
    git(repository, "pack-refs", "--all")
    assert commit_of(packer, repository) == git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "--quiet", "main")


@pytest.mark.parametrize("description", ["{{" + "x" * 251 + "{{", "{" * 255, "x" * 255, "{{{"])
def test_a_description_with_braces_is_not_too_long(
    packer: Packer, repository: Path, description: str
) -> None:
    """EC2 takes 255 characters, however many braces are set apart for Packer (review R15)."""
    option = ("-var", f"image_description={description}")
    length = int(packer.evaluate(repository, "length(local.description)", *option))
    assert len(description) <= length <= 255


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
