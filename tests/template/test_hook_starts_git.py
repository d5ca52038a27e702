"""A new repository is committed, or one line reports what is missing; the copy never fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rig.repositories.hook import HOOK, git_state, make_job, run_hook, tree
from rig.repositories.template import git, render
from rig.run.copier import run_copier
from rig.run.result import Result


def notes(result: Result) -> list[str]:
    """Return the notes of the hook."""
    return [line for line in result.stderr.splitlines() if line.startswith("Note: ")]


def numbered(result: Result) -> list[str]:
    """Return the next steps."""
    return [line for line in result.stderr.splitlines() if re.match(r"\s*\d+\.", line)]


@pytest.fixture
def bare(template: Path, tmp_path: Path) -> Path:
    """Return a rendered folder without git."""
    return render(template, tmp_path / "packer-ami-web", {"start_git": False})


def test_first_commit_holds_everything_on_main(template: Path, bare: Path, git_way: str) -> None:
    """The first commit has all files on main, with the user's name, and leaves a clean tree."""
    assert notes(run_hook(bare, template)) == [], git_way
    assert git(bare, "log", "--format=%an <%ae> %s") == (
        "Tess Tester <tess@example.com> Create packer-ami-web from the template"
    )
    assert git(bare, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(bare, "status", "--porcelain") == ""
    assert set(git(bare, "ls-files").splitlines()) == set(tree(bare))


def test_gitpython_is_used_where_it_is_installed(
    template: Path, bare: Path, git_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook uses GitPython if and only if it is installed."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    imported = run_hook(bare, template).stderr
    assert ("| gitdb" in imported.replace("  ", "")) == (git_way == "GitPython")


def test_identity_in_the_environment_is_used(
    template: Path, bare: Path, git_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An identity in environment variables is used without any git configuration."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Robin Runner")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "robin@example.com")
    assert notes(run_hook(bare, template)) == [], git_way
    assert git(bare, "log", "--format=%an <%ae>") == "Robin Runner <robin@example.com>"


def test_start_git_false_makes_no_repository(template: Path, bare: Path) -> None:
    """With start_git=false, no repository is created, and the next steps contain git init."""
    result = run_hook(bare, template, start_git=False)
    assert notes(result) == []
    assert not (bare / ".git").exists()
    assert "git init -b main" in numbered(result)[2]


@pytest.mark.parametrize("commits", [0, 1])
def test_existing_repository_is_left_alone(
    template: Path, bare: Path, git_way: str, commits: int
) -> None:
    """An existing repository does not change, and the user is asked to commit."""
    git(bare, "init", "--quiet", "-b", "trunk")
    for _ in range(commits):
        git(bare, "commit", "--allow-empty", "-m", "Mine")
    before = git(bare, "status", "--porcelain=2", "--branch")
    result = run_hook(bare, template)
    assert git(bare, "status", "--porcelain=2", "--branch") == before, git_way
    assert notes(result) == []
    assert "commit them" in numbered(result)[2]


def test_inside_another_repository_no_repository_is_nested(
    template: Path, tmp_path: Path, git_way: str
) -> None:
    """No repository is created inside another one."""
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--allow-empty", "-m", "Mine")
    new = render(template, tmp_path / "images" / "web", {"start_git": False})
    before = git_state(tmp_path)
    (note,) = notes(run_hook(new, template))
    assert f"this folder is inside the repository {tmp_path}" in note, git_way
    assert not (new / ".git").exists()
    assert git_state(tmp_path) == before


@pytest.mark.parametrize("start_git", [True, False])
@pytest.mark.parametrize("commits", [0, 1])
def test_copy_below_a_repository_reports_that_its_workflows_do_not_run(
    template: Path, tmp_path: Path, start_git: bool, commits: int
) -> None:
    """Where GitHub never reads the workflows of a copy, its next steps explain it (field 36)."""
    git(tmp_path, "init", "--quiet")
    for _ in range(commits):
        git(tmp_path, "commit", "--allow-empty", "-m", "Mine")
    new = render(template, tmp_path / "images" / "web", {"start_git": False})
    share = numbered(run_hook(new, template, start_git=start_git))[2]
    assert "its workflows do not run there" in share
    assert ".github/workflows" in share
    page = Path(__file__).parents[2] / "docs/pipeline.md"
    assert "## One repository for each image" in page.read_text()


def test_copy_at_the_top_keeps_its_next_steps(template: Path, bare: Path) -> None:
    """A repository of its own, new or with commits, gets no word about workflows (field 36)."""
    assert "workflows" not in "".join(numbered(run_hook(bare, template)))
    git(bare, "commit", "--quiet", "--allow-empty", "-m", "More")
    assert "workflows" not in "".join(numbered(run_hook(bare, template)))


def test_empty_folder_named_git_further_up_is_no_repository(template: Path, tmp_path: Path) -> None:
    """An empty folder named .git in an enclosing folder is not treated as a repository."""
    (tmp_path / ".git").mkdir()
    new = render(template, tmp_path / "new")
    assert git(new, "rev-list", "--count", "HEAD") == "1"


@pytest.mark.parametrize("command", ["init", "add", "commit"])
def test_git_that_fails_fails_nothing(
    template: Path, bare: Path, git_way: str, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """If git fails, a note has git's reason and the remaining commands."""
    real = subprocess.run(
        ["which", "git"], check=True, capture_output=True, text=True
    ).stdout.strip()
    fake = bare.parent / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        f"""\
#!/bin/sh
for word; do
  [ "$word" != {command} ] || {{ echo "fatal: disk full" >&2; exit 128; }}
done
exec {real} "$@"
"""
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    (note,) = notes(run_hook(bare, template))
    assert note.startswith("Note: Git could not be set up (fatal: disk full); run: "), git_way
    assert ("git init -b main" in note) == (command == "init")
    assert "git add --all && git commit -m 'Create packer-ami-web from the template'" in note


def test_commands_that_a_note_names_do_what_was_left_undone(
    template: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of a note can be pasted into a shell and finish the step."""
    with monkeypatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(bare.parent / "gitconfig"))
        (note,) = notes(run_hook(bare, template))
        command = note.partition("run: ")[2]
        subprocess.run(["sh", "-c", command], cwd=bare, check=True, capture_output=True)
        assert git(bare, "log", "--format=%an <%ae>") == "YOUR NAME <YOU@EXAMPLE.COM>"


def test_three_next_steps_name_folder_values_build_and_home(template: Path, bare: Path) -> None:
    """The three next steps are numbered and contain the folder, the build and the address."""
    result = run_hook(
        bare,
        template,
        destination="../a team's répo",
        github_host="github.example.com",
        github_organization="platform",
    )
    assert [line.split(":")[0].strip() for line in numbered(result)] == [
        "1. Review it",
        "2. Build it locally, without AWS",
        "3. Share it",
    ]
    assert """cd '../a team'"'"'s répo', and""" in numbered(result)[0]
    assert "image.auto.pkrvars.hcl" in numbered(result)[0]
    assert "packer init . && packer build -only=docker.local ." in numbered(result)[1]
    assert "https://github.example.com/platform/packer-ami-web.git" in numbered(result)[2]
    assert result.stdout == ""


def test_person_who_is_there_already_is_not_sent_there(template: Path, bare: Path) -> None:
    """After `copier copy TEMPLATE .`, the next steps do not contain cd."""
    assert "cd " not in numbered(run_hook(bare, template, destination="."))[0]


def test_copier_names_the_folder_as_it_was_typed(template: Path, tmp_path: Path) -> None:
    """The next steps contain the folder as the user entered it."""
    (tmp_path / "here").mkdir()
    args = ("copy", "--trust", "--defaults", template, "../new one")
    result = run_copier(*args, cwd=tmp_path / "here")
    assert "cd '../new one', and" in numbered(result)[0]
    assert len(numbered(result)) == 3


def test_quiet_copy_prints_nothing(template: Path, tmp_path: Path) -> None:
    """A copy with --quiet prints nothing if all steps succeed."""
    result = run_copier("copy", "--trust", "--defaults", "--quiet", template, "new", cwd=tmp_path)
    assert result.stdout + result.stderr == ""


def test_closed_terminal_is_no_reason_to_fail(template: Path, bare: Path) -> None:
    """A closed terminal does not fail the hook."""
    reader, writer = os.pipe()
    os.close(reader)
    job = make_job(bare, template)
    result = subprocess.run(
        [sys.executable, "-B", str(HOOK), job], cwd=bare, check=False, stderr=writer
    )
    os.close(writer)
    closed = subprocess.run(
        ["sh", "-c", 'exec "$0" -B "$1" "$2" 2>&-', sys.executable, str(HOOK), job],
        cwd=bare,
        check=False,
    )
    assert (result.returncode, closed.returncode) == (0, 0)


def test_trouble_that_nobody_thought_of_is_one_line(template: Path, bare: Path) -> None:
    """An unexpected error becomes one line, and later steps still run."""
    result = run_hook(bare, template, answers_file=".")
    assert result.code == 0
    (note,) = notes(result)
    assert note.startswith("Note: This step failed: Report if Copier could not record")
    assert git(bare, "rev-list", "--count", "HEAD") == "1"


@pytest.mark.parametrize("argument", ["{}", "[]", "", '{"keep_demo": "no"}'])
def test_developer_who_calls_it_wrongly_hears_of_it(tmp_path: Path, argument: str) -> None:
    """A job with unknown fields fails, so that copier.yml and the hook cannot differ."""
    result = subprocess.run(
        [sys.executable, "-B", str(HOOK), argument],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []
