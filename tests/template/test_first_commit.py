"""The first commit holds what the template rendered, and nothing that was in the folder before."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from rig.repositories.copier_command import Outcome, run_copier
from rig.repositories.hook import run_hook, tree
from rig.repositories.template import git, render

COMMANDS = ("git config", "git init", "git add")
COPY = ("copy", "--trust", "--defaults", "--data", "image_name=web")


def committed(repository: Path) -> set[str]:
    """Return the paths of the last commit."""
    listing = git(repository, "ls-tree", "-r", "-z", "--name-only", "HEAD")
    return {path for path in listing.split("\0") if path}


def notes(done: Outcome | subprocess.CompletedProcess[str]) -> list[str]:
    """Return the notes of the hook."""
    return [line for line in done.stderr.splitlines() if line.startswith("Note: ")]


@pytest.fixture
def rendered(template: Path, tmp_path: Path) -> set[str]:
    """Return what a new repository holds."""
    return set(tree(render(template, tmp_path / "plain", {"start_git": False})))


def test_files_that_were_there_before_are_not_committed(
    template: Path, tmp_path: Path, rendered: set[str], git_way: str
) -> None:
    """The commit of a folder with .env is made without it, and a note names it (review C10)."""
    new = tmp_path / "web"
    for name in (
        ".env",
        "notes.txt",
        "keys/id_ed25519",
        "provisioners/files/secret",
        "sub/mine",
    ):
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_text("PASSWORD=1234")
    git(new / "sub", "init", "--quiet")
    done = run_copier(*COPY, template, "web", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert committed(new) == rendered, git_way
    (note,) = notes(done)
    assert ": .env keys notes.txt provisioners/files sub; " in note
    assert "git add -- PATH" in note
    status = git(new, "status", "--porcelain", "-z").split("\0")
    assert {entry for entry in status if entry} == {
        "?? .env", "?? keys/", "?? notes.txt", "?? provisioners/files/", "?? sub/"
    }  # fmt: skip


ODD = ["-n", "--all", "a b", "ä.txt", "new\nline", ":(top)x", "*.md", "q'uote", "tab\t"]


def test_odd_names_are_left_out_and_shown_in_one_line(
    template: Path, tmp_path: Path, rendered: set[str], git_way: str
) -> None:
    """Names that git or the shell would read as something else change nothing (review C10)."""
    new = tmp_path / "web"
    new.mkdir()
    for name in ODD:
        (new / name).write_text("mine")
    done = run_copier(*COPY, template, "web", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert committed(new) == rendered, git_way
    (note,) = notes(done)
    shown = note.partition("did not create them: ")[2].partition("; commit")[0]
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {shown}"], capture_output=True, check=True
    ).stdout
    assert sorted(words.decode().split("\0")[:-1]) == sorted(ODD)


def test_links_that_were_there_before_are_not_followed(
    template: Path, tmp_path: Path, rendered: set[str], git_way: str
) -> None:
    """A link, also in the place of a folder of the template, is left out (review C10)."""
    new = tmp_path / "web"
    (new / "other").mkdir(parents=True)
    (new / "link").symlink_to("other")
    (new / "inspec").symlink_to("other")
    (new / "broken").symlink_to("nowhere")
    done = run_copier(*COPY, template, "web", cwd=tmp_path)
    assert done.code == 0, done.stderr
    wanted = {path for path in rendered if not path.startswith("inspec/")}
    assert committed(new) == wanted, git_way
    assert ": broken inspec link other; " in notes(done)[-1]


@pytest.mark.parametrize("keep", [True, False])
def test_files_at_paths_of_the_template(
    template: Path, tmp_path: Path, rendered: set[str], keep: bool
) -> None:
    """An overwritten file is committed; one that was kept is the user's and is not (review C10)."""
    new = tmp_path / "web"
    new.mkdir()
    for name in ("README.md", "Taskfile.yml", ".yamllint"):
        (new / name).write_text("mine\n")
    (new / "Taskfile.yml").write_bytes((template / "template" / "Taskfile.yml").read_bytes())
    more = ["--skip", "README.md", "--skip", ".yamllint"] if keep else []
    done = run_copier(*COPY, "--overwrite", *more, template, "web", cwd=tmp_path)
    assert done.code == 0, done.stderr
    left_out = {"README.md", ".yamllint"} if keep else set()
    assert committed(new) == rendered - left_out
    assert [": .yamllint README.md; " in note for note in notes(done)] == [True] * keep


def test_files_that_the_user_ignores_are_committed_where_they_are_the_templates(
    template: Path,
    tmp_path: Path,
    rendered: set[str],
    git_way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An ignore file hides no file of the template, and what it hides is not named (review C10)."""
    config = tmp_path / "gitconfig"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], config)
    (tmp_path / "ignore").write_text("*.env\n*.hcl\nscratch/\n")
    git(tmp_path, "config", "--file", str(config), "core.excludesFile", str(tmp_path / "ignore"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    new = tmp_path / "web"
    (new / "scratch").mkdir(parents=True)
    (new / "scratch" / "x").write_text("x")
    (new / "prod.env").write_text("x")
    done = run_copier(*COPY, template, "web", cwd=tmp_path)
    assert committed(new) == rendered, git_way
    assert notes(done) == []


@pytest.mark.parametrize(
    "answers",
    [
        {"keep_demo": True},
        {"parent_image": "own"},
        {"image_architectures": ["x86_64", "arm64"], "aws_copy_regions": "us-east-1"},
        {"toolkit_image": "ghcr.io/acme/toolkit", "github_host": "github.example.com"},
    ],
)
def test_all_that_is_rendered_is_committed(
    template: Path, tmp_path: Path, answers: dict[str, object]
) -> None:
    """With every set of answers the first commit leaves a clean work tree (review C10)."""
    new = render(template, tmp_path / "web", {**answers, "start_git": True})
    assert git(new, "status", "--porcelain", "--ignored") == ""
    assert committed(new) == set(tree(new))


def test_another_answers_file_and_the_demo_are_committed(template: Path, tmp_path: Path) -> None:
    """An answers file of another name and a demo that is kept are rendered too (review C10)."""
    args = ("--answers-file", ".copier-answers.ami.yml", "--data", "keep_demo=true")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / ".copier-answers.yml").write_text("_src_path: /other\n")
    done = run_copier(*COPY, *args, template, "web", cwd=tmp_path)
    assert done.code == 0, done.stderr
    paths = committed(tmp_path / "web")
    assert {".copier-answers.ami.yml", "inspec/controls/demo.rb"} <= paths
    assert ".copier-answers.yml" not in paths
    assert ": .copier-answers.yml; " in notes(done)[0]


def test_executable_bits_are_committed(template: Path, tmp_path: Path, git_way: str) -> None:
    """Scripts stay executable for those who clone the repository (review C10)."""
    new = render(template, tmp_path / "web")
    modes = {
        line.split("\t")[1]: line.split()[0]
        for line in git(new, "ls-files", "--stage").splitlines()
    }
    assert modes["toolkit.sh"] == "100755"
    for path in committed(new):
        executable = (new / path).stat().st_mode & stat.S_IXUSR
        assert modes[path] == ("100755" if executable else "100644"), git_way


@pytest.mark.parametrize("case", ["no identity", "no git", "inside a repository"])
def test_commands_for_what_was_left_undone_leave_other_files_out(
    template: Path, tmp_path: Path, rendered: set[str], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that a note prints commits what the template rendered as well (review C10)."""
    new = render(template, tmp_path / "outer" / "web", {"start_git": False})
    others = [".env", "my notes.txt", "new\nline", "*.md"]
    for name in others:
        (new / name).write_text("PASSWORD=1234")
    if case == "no identity":
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    elif case == "inside a repository":
        git(tmp_path / "outer", "init", "--quiet")
    with monkeypatch.context() as patch:
        if case == "no git":
            patch.setenv("PATH", "/nowhere")
        (note,) = notes(run_hook(new, template))
    command = note[min(note.index(f" {word} ") for word in COMMANDS if f" {word} " in note) :]
    subprocess.run(["bash", "-c", command], cwd=new, check=True)
    prefix = "web/" if case == "inside a repository" else ""
    top = new.parent if prefix else new
    assert committed(top) == {f"{prefix}{path}" for path in rendered}


def test_many_other_files_make_one_short_line(template: Path, tmp_path: Path) -> None:
    """A note names twenty files and counts the rest (review C10)."""
    new = tmp_path / "web"
    new.mkdir()
    for number in range(300):
        (new / f"{number:03}.txt").write_text("x")
    done = run_copier(*COPY, template, "web", cwd=tmp_path)
    (note,) = notes(done)
    assert "019.txt and 280 more; " in note
    assert not {path for path in committed(new) if path.endswith("9.txt")}


def test_a_second_copy_into_the_same_folder_commits_everything(
    template: Path, tmp_path: Path, rendered: set[str]
) -> None:
    """Files that are already as the template renders them are committed (review C10)."""
    new = tmp_path / "web"
    assert run_copier(*COPY, template, "web", cwd=tmp_path).code == 0
    shutil.rmtree(new / ".git")
    done = run_copier(*COPY, template, "web", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert committed(new) == rendered
    assert notes(done) == []
