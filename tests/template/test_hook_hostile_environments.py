"""`copier copy` succeeds where git is broken, missing or redirected, and reports it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from packer_toolkit.git.command import explain_ownership
from rig.repositories.copier_command import run_copier
from rig.repositories.hook import git_state, manifest, run_hook, tree
from rig.repositories.template import git, render

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")

SUBJECT = "Create packer-ami-web from the template"

# Copies to a path and returns what was left undone, one line each.
Copy = Callable[..., list[str]]

# What a machine does to git: set up below a folder, through the environment.
Setup = Callable[[Path, pytest.MonkeyPatch], None]


@pytest.fixture
def copy(template: Path, capfd: pytest.CaptureFixture[str]) -> Copy:
    """Return a function that runs `copier copy` and fails if the copy fails."""

    def run(destination: Path, own_template: Path = template) -> list[str]:
        capfd.readouterr()
        render(own_template, destination, {"image_name": "web"}, overwrite=True)
        marker = "Note: "
        lines = capfd.readouterr().err.splitlines()
        return [line.removeprefix(marker) for line in lines if line.startswith(marker)]

    return run


def _configure(folder: Path, patch: pytest.MonkeyPatch, *settings: tuple[str, str]) -> None:
    config = folder / "gitconfig"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], config)
    for key, value in settings:
        subprocess.run(["git", "config", "--file", config, key, value], check=True)
    patch.setenv("GIT_CONFIG_GLOBAL", str(config))


def _failing_hooks(folder: Path) -> Path:
    """Create a folder of git hooks that fail and record that they ran."""
    folder.mkdir(parents=True)
    # Only those of a commit: Copier itself fails when its clone runs a failing post-checkout.
    for name in ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {folder.parent}/hook-was-run\nexit 1\n")
        (folder / name).chmod(0o755)
    return folder


def broken_gpg(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Configure git to sign commits with a program that fails."""
    _configure(folder, patch, ("commit.gpgSign", "true"), ("gpg.program", "false"))


def failing_global_hooks(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Configure global hooks that refuse every commit."""
    _configure(folder, patch, ("core.hooksPath", str(_failing_hooks(folder / "hooks"))))


def failing_template_hooks(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Configure a template of hooks that refuse every commit."""
    _failing_hooks(folder / "templates" / "hooks")
    _configure(folder, patch, ("init.templateDir", str(folder / "templates")))


def missing_git_templates(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Configure a folder of templates that does not exist."""
    _configure(folder, patch, ("init.templateDir", str(folder / "gone")))


def other_branch_and_line_ends(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Configure CRLF line endings and another name for the first branch."""
    _configure(
        folder,
        patch,
        ("init.defaultBranch", "trunk"),
        ("core.autocrlf", "true"),
        ("core.safecrlf", "true"),
    )


def no_home(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Unset HOME, as in a service or a minimal container."""
    patch.delenv("HOME")


def unwritable_home(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Set HOME to a file, so that not even root can write below it."""
    (folder / "home").touch()
    patch.setenv("HOME", str(folder / "home"))


def c_locale(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Set an ASCII locale, while the path is not ASCII."""
    patch.setenv("LC_ALL", "C")
    patch.setenv("PYTHONCOERCECLOCALE", "0")
    patch.setenv("PYTHONUTF8", "0")


@pytest.mark.parametrize(
    "hostile",
    [
        broken_gpg,
        failing_global_hooks,
        failing_template_hooks,
        missing_git_templates,
        other_branch_and_line_ends,
        no_home,
        unwritable_home,
        c_locale,
    ],
    ids=lambda setup: setup.__name__,
)
def test_first_commit_is_made_all_the_same(
    copy: Copy, tmp_path: Path, git_way: str, monkeypatch: pytest.MonkeyPatch, hostile: Setup
) -> None:
    """The first commit is created in every one of these environments."""
    hostile(tmp_path, monkeypatch)
    new = tmp_path / "a team's répo"
    assert copy(new) == [], git_way
    assert git(new, "log", "--format=%an %s") == f"Tess Tester {SUBJECT}"
    assert git(new, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(new, "status", "--porcelain") == ""
    assert not list(tmp_path.rglob("hook-was-run"))
    assert not set(tree(new)) & set(manifest())


def test_c_locale_from_the_start(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copier itself works in an ASCII locale."""
    c_locale(tmp_path, monkeypatch)
    new = tmp_path / "a team's répo"
    outcome = run_copier(
        "copy", "--trust", "--defaults", "--data=image_name=web", template, new, cwd=tmp_path
    )
    assert outcome.code == 0
    assert git(new, "log", "--format=%s") == SUBJECT


@pytest.mark.parametrize("known", ["", "[user]\n    email = tess@example.com\n"])
def test_without_identity_no_commit_is_made_up(
    copy: Copy, tmp_path: Path, git_way: str, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    """Without a full identity, all files are staged and a line explains how to commit."""
    (tmp_path / "gitconfig").write_text(known)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    new = tmp_path / "new"
    (note,) = copy(new)
    assert note.startswith("No commit was created, because git has no name and email for you"), (
        git_way
    )
    assert git(new, "for-each-ref") == ""
    assert set(git(new, "ls-files").splitlines()) == set(tree(new))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Return another repository that the environment points to."""
    repository = tmp_path / "other"
    git(tmp_path, "init", "--quiet", str(repository))
    (repository / "own").write_text("ours\n")
    git(repository, "add", "own")
    git(repository, "commit", "-m", "Mine")
    return repository


@pytest.mark.parametrize(
    "variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"]
)
def test_hook_is_not_led_into_another_repository(
    template: Path,
    tmp_path: Path,
    other: Path,
    git_way: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """The hook ignores variables that redirect git to another repository."""
    values = {
        "GIT_DIR": other / ".git",
        "GIT_WORK_TREE": other,
        "GIT_INDEX_FILE": other / ".git" / "index",
        "GIT_OBJECT_DIRECTORY": other / ".git" / "objects",
    }
    new = render(template, tmp_path / "new", {"start_git": False})
    before = tree(other), git_state(other), len(list(other.rglob("*")))
    with monkeypatch.context() as patch:
        patch.setenv(variable, str(values[variable]))
        result = run_hook(new, template)
    assert "Note:" not in result.stderr, git_way
    assert (tree(other), git_state(other), len(list(other.rglob("*")))) == before
    assert git(new, "rev-list", "--count", "HEAD") == "1"
    assert git(new, "status", "--porcelain") == ""


def test_copy_from_a_git_hook_works(
    copy: Copy, tmp_path: Path, git_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy from a git hook works, although git sets its variables for the hook."""
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", ".git")
        patch.setenv("GIT_INDEX_FILE", ".git/index")
        patch.setenv("GIT_PREFIX", "")
        assert copy(tmp_path / "new") == [], git_way
    assert git(tmp_path / "new", "status", "--porcelain") == ""
    assert git(tmp_path / "new", "rev-list", "--count", "HEAD") == "1"


@pytest.mark.parametrize("lost", ["GIT_DIR", "GIT_WORK_TREE"])
def test_copy_that_can_never_be_updated_says_so(
    copy: Copy,
    tmp_path: Path,
    other: Path,
    git_way: str,
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
) -> None:
    """A copy without a recorded _commit is reported, which Copier itself does not do."""
    before = tree(other), git_state(other)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", str(other / ".git"))
        patch.setenv(lost, str(tmp_path / "gone" if lost == "GIT_DIR" else other))
        (note,) = copy(tmp_path / "new")
    assert "cannot work here: .copier-answers.yml has no _commit" in note, git_way
    assert "unset GIT_DIR" in note
    assert (tree(other), git_state(other)) == before
    assert git(tmp_path / "new", "rev-list", "--count", "HEAD") == "1"


def test_copier_led_into_another_repository_writes_nothing(
    template: Path, tmp_path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Copier is redirected to another repository, it fails and nothing is written."""
    before = tree(other), git_state(other)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", str(other / ".git"))
        outcome = run_copier("copy", "--trust", "--defaults", template, "new", cwd=tmp_path)
    assert outcome.code == 1
    assert "Unknown revision: 'v1.0.0'" in outcome.stderr
    assert not (tmp_path / "new").exists()
    assert (tree(other), git_state(other)) == before


@root_only
def test_template_of_somebody_else_says_that_it_cannot_be_updated(
    template: Path, copy: Copy, tmp_path: Path, git_way: str
) -> None:
    """A copy from a template of another user reports that updates cannot work."""
    own = Path(shutil.copytree(template, tmp_path / "template", symlinks=True))
    _give_away(own)
    new = tmp_path / "new"
    (note,) = copy(new, own)
    assert ".copier-answers.yml has no _commit" in note, git_way
    assert git(new, "rev-list", "--count", "HEAD") == "1"


@root_only
def test_folder_of_another_user_gets_no_commit_but_the_command_for_one(
    copy: Copy, tmp_path: Path, git_way: str
) -> None:
    """In a folder of another user, the note has the command that adds git's safe.directory."""
    new = tmp_path / "new"
    new.mkdir()
    os.chown(new, 12345, 12345)
    (note,) = copy(new)
    assert "dubious ownership" in note, git_way
    # The hook cannot import the toolkit: both have the same command.
    _, _, command = explain_ownership(new, note).partition("trust it with: ")
    assert command == f"git config --global --add safe.directory {new}"
    assert f"{command} && git add --all" in note
    assert not set(tree(new)) & set(manifest())


@root_only
def test_repository_of_somebody_else_around_it_is_left_alone(
    copy: Copy, tmp_path: Path, git_way: str
) -> None:
    """In a repository of another user, nothing is removed and no repository is created."""
    git(tmp_path, "init", "--quiet")
    _give_away(tmp_path / ".git")
    os.chown(tmp_path, 12345, 12345)
    new = tmp_path / "new"
    demo, repository = copy(new)
    assert demo.startswith("The demo was not removed, because git cannot read the repository"), (
        git_way
    )
    assert repository.startswith("No git repository was created, because this folder is inside")
    assert not (new / ".git").exists()


def test_without_git_the_demo_goes_and_one_line_says_what_to_do(
    template: Path, copy: Copy, tmp_path: Path, git_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git, the demo is removed and each missing step is reported with one line."""
    own = tmp_path / "template"
    shutil.copytree(template, own, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    new = tmp_path / "new"
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    git_note, update_note = copy(new, own)
    assert git_note.startswith("Git is not installed, so there is no repository; install git"), (
        git_way
    )
    assert "git init -b main && git add --all && git commit" in git_note
    assert ".copier-answers.yml has no _commit" in update_note
    assert not set(tree(new)) & set(manifest())


def _give_away(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
