"""What builds write is ignored by git, in the repositories of teams too."""

from __future__ import annotations

from pathlib import Path

import pytest

from packer_toolkit.repository.git_excludes import exclude_results
from rig.repositories.template import git, render

# Everything that some kind of build writes.
WRITTEN = (
    "build-report.json",
    "manifest.json",
    "manifest.json.lock",
    "packages-x86_64.txt",
    "packages-local.txt",
    "inspec/inspec.lock",
    "crash.log",
    "ec2_x86_64.pem",
    "packer_cache/port/1",
    "provisioners/ansible/.galaxy/roles/acme/tasks/main.yml",
    "provisioners/ansible/.ansible/roles/acme.yml",
    ".ansible/.lock",
    "provisioners/ansible/filter_plugins/__pycache__/acme.cpython-311.pyc",
    "provisioners/ansible/playbook.retry",
)


def write(folder: Path) -> None:
    """Write what builds write."""
    for name in WRITTEN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("written\n")


def status(folder: Path) -> str:
    """Return what an update looks at."""
    return git(folder, "status", "--porcelain", "--untracked-files=all")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository without .gitignore."""
    git(tmp_path, "init", "--quiet", "packer ami")
    folder = tmp_path / "packer ami"
    (folder / "build.pkr.hcl").write_text("# ours\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Start")
    return folder


@pytest.mark.integration
def test_the_template_ignores_all_that_builds_write(template: Path, tmp_path: Path) -> None:
    """In a rendered repository nothing is added to .git/info/exclude (inspec 2)."""
    rendered = render(template, tmp_path / "packer-ami-web", {"image_name": "web"})
    assert exclude_results(rendered) == []
    write(rendered)
    (rendered / "packer.log").write_text("PACKER_LOG_PATH\n")
    assert status(rendered) == ""


@pytest.mark.parametrize("below", ["", "images/web", "images/[w]*b"])
def test_a_repository_without_the_lines_is_clean_after_a_build(
    repository: Path, below: str
) -> None:
    """What .gitignore does not name goes into .git/info/exclude, once (inspec 2)."""
    (repository / ".git/info/exclude").write_text("# mine")
    folder = repository / below
    folder.mkdir(parents=True, exist_ok=True)
    added = exclude_results(folder)
    assert len(added) > 10
    write(folder)
    assert status(repository) == ""
    assert exclude_results(folder) == []
    assert (repository / ".git/info/exclude").read_text().startswith("# mine\n#")


def test_only_what_is_missing_is_added(repository: Path) -> None:
    """Lines of the team's .gitignore count, also broader ones (inspec 2)."""
    (repository / ".gitignore").write_text("*.json\n*.txt\n*.lock\n*.log\n*.pem\n.ansible\n")
    assert exclude_results(repository) == [
        "/packer_cache/",
        "/provisioners/ansible/.galaxy/",
        "/**/__pycache__/",
        "/**/*.retry",
    ]


def test_files_of_the_team_stay_visible(repository: Path) -> None:
    """Files of the same name elsewhere are not excluded."""
    exclude_results(repository)
    (repository / "data").mkdir()
    (repository / "data/manifest.json").write_text("ours\n")
    assert status(repository) == "?? data/manifest.json"


def test_a_negated_line_of_the_team_wins(repository: Path) -> None:
    """A negated line of .gitignore is respected, and nothing is added twice."""
    (repository / ".gitignore").write_text("!manifest.json\n")
    exclude_results(repository)
    assert exclude_results(repository) == []
    (repository / "manifest.json").touch()
    assert "?? manifest.json" in status(repository)


@pytest.mark.parametrize("kind", ["no-repository", "no-git", "worktree-of-nothing"])
def test_without_a_repository_nothing_happens(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder outside of git, or a machine without git, is left as it is."""
    if kind == "no-git":
        monkeypatch.setenv("PATH", str(tmp_path))
    if kind == "worktree-of-nothing":
        (tmp_path / ".git").write_text("gitdir: /nowhere/.git/worktrees/web\n")
    assert exclude_results(tmp_path) == []


def test_a_linked_worktree_is_covered(repository: Path, tmp_path: Path) -> None:
    """Its exclude file is that of the main clone (inspec 2)."""
    git(repository, "worktree", "add", "--quiet", "../linked")
    linked = tmp_path / "linked"
    assert exclude_results(linked)
    write(linked)
    assert status(linked) == ""


def test_a_file_that_cannot_be_written_stops_no_build(repository: Path) -> None:
    """The build goes on without it."""
    (repository / ".git/info").rename(repository / ".git/other")
    (repository / ".git/info").write_text("a file\n")
    assert exclude_results(repository) == []


def test_git_older_than_2_31_stops_no_build(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that does not know an option adds nothing and stops no build."""
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "error: unknown option" >&2\nexit 129\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert exclude_results(repository) == []
