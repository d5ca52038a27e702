"""The commit that an image is tagged with is read from .git, in whatever form it lies there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from packer_toolkit.build.request import BuildRequest
from rig.host.tools import Packer
from rig.repositories.template import git, render

pytestmark = pytest.mark.integration


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


@pytest.mark.parametrize("packed", [False, True], ids=["", "packed"])
@pytest.mark.parametrize("form", ["detached", "branch", "relative"])
def test_it_is_the_commit_of_a_linked_worktree(
    packer: Packer, repository: Path, tmp_path: Path, form: str, packed: bool
) -> None:
    """There .git is a file, and branches are in the folder that worktrees share (field 36)."""
    linked, branch = tmp_path / "linked", f"linked-{form}-{packed}"
    options = ["--detach"] if form == "detached" else ["-b", branch]
    git(repository, "worktree", "add", "--quiet", *options, str(linked))
    git(linked, "commit", "--quiet", "--allow-empty", "-m", "there")
    if form == "relative":
        folder = Path(git(linked, "rev-parse", "--absolute-git-dir"))
        (linked / ".git").write_text(f"gitdir: {os.path.relpath(folder, linked)}\n")
    if packed:
        git(repository, "pack-refs", "--all")
    assert commit_of(packer, linked) == git(linked, "rev-parse", "HEAD")
    assert commit_of(packer, linked) != git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("place", ["web", "images/web", "a/b/c/web"])
@pytest.mark.parametrize("packed", [False, True], ids=["", "packed"])
def test_it_is_the_commit_of_the_repository_around(
    packer: Packer, repository: Path, tmp_path: Path, place: str, packed: bool
) -> None:
    """One of several projects below folders of a repository has its commit (field 36)."""
    top = tmp_path / "top"
    shutil.copytree(repository, top / place, ignore=shutil.ignore_patterns(".git"), symlinks=True)
    git(top, "init", "--quiet", "-b", "feat/web+1")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "-m", "Ours")
    if packed:
        git(top, "pack-refs", "--all")
    assert commit_of(packer, top / place) == git(top, "rev-parse", "HEAD")
    linked = tmp_path / "linked"
    git(top, "worktree", "add", "--quiet", "--detach", str(linked))
    git(linked, "commit", "--quiet", "--allow-empty", "-m", "there")
    assert commit_of(packer, linked / place) == git(linked, "rev-parse", "HEAD")


def test_it_is_the_commit_of_a_submodule(packer: Packer, repository: Path, tmp_path: Path) -> None:
    """A project that is a submodule has its own commit (field 36)."""
    top = tmp_path / "top"
    git(tmp_path, "init", "--quiet", str(top))
    allow = ("-c", "protocol.file.allow=always")
    git(top, *allow, "submodule", "--quiet", "add", str(repository), "web")
    git(top, "commit", "--quiet", "-m", "Ours")
    assert commit_of(packer, top / "web") == git(top / "web", "rev-parse", "HEAD")
    assert commit_of(packer, top / "web") != git(top, "rev-parse", "HEAD")


def test_it_is_unknown_without_a_repository(
    packer: Packer, repository: Path, tmp_path: Path
) -> None:
    """Without git, and in a repository without a commit, the tag is unknown (field 36)."""
    bare = tmp_path / "bare"
    shutil.copytree(repository, bare, ignore=shutil.ignore_patterns(".git"), symlinks=True)
    assert commit_of(packer, bare) == "unknown"
    git(bare, "init", "--quiet")
    assert commit_of(packer, bare) == "unknown"


def _read_request(folder: Path, **environment: str) -> BuildRequest:
    return BuildRequest.read((str(folder),), {**os.environ, **environment})


def test_build_asks_git(repository: Path, tmp_path: Path) -> None:
    """packer-toolkit build has git, so that every form of a repository has a commit (field 36)."""
    head = git(repository, "rev-parse", "HEAD")
    assert _read_request(repository).env["PKR_VAR_git_commit"] == head
    assert _read_request(repository, PKR_VAR_git_commit="abc").env["PKR_VAR_git_commit"] == "abc"
    deep = tmp_path / "a/b/c/d/e/f/g"
    deep.mkdir(parents=True)
    assert "PKR_VAR_git_commit" not in _read_request(deep).env
    git(tmp_path, "init", "--quiet")
    assert "PKR_VAR_git_commit" not in _read_request(deep).env
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "Ours")
    assert _read_request(deep).env["PKR_VAR_git_commit"] == git(tmp_path, "rev-parse", "HEAD")
