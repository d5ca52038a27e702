"""Releases that rename in case only, or in how a letter is composed, where both are one name."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from packer_toolkit.template.path_names import find_case_renames, find_collisions
from rig.repositories import folding_names
from rig.repositories.small_template import _QUESTIONS, ANSWERS as ANSWERS_TEMPLATE
from rig.repositories.template import git, release, render
from rig.run.updating import files

pytestmark = pytest.mark.integration

KILLED = Path(__file__).with_name("killed.py")
NFC, NFD = "caf\u00e9.txt", "cafe\u0301.txt"
BEFORE = {
    "Notes.md": "notes\n" * 9,
    "Scripts/First.sh": "first\n" * 9,
    "Scripts/second.sh": "second\n" * 9,
    NFD: "coffee\n" * 9,
    "Tool": "tool\n" * 9,
    "same.txt": "same\n",
}
AFTER = {
    "notes.md": "notes\n" * 9,
    "scripts/first.sh": "first\n" * 9 + "more\n",
    "scripts/second.sh": "second\n" * 9,
    NFC: "coffee\n" * 9,
    "tool/main.txt": "another\n",
    "same.txt": "same, changed\n",
}


def write(template: Path, content: dict[str, str]) -> None:
    """Write the files of a template."""
    shutil.rmtree(template / "template", ignore_errors=True)
    for path, text in content.items():
        (template / "template" / path).parent.mkdir(parents=True, exist_ok=True)
        (template / "template" / path).write_text(text)
    answers = "# Written by Copier.\n{{ _copier_answers | to_nice_yaml -}}\n"
    (template / "template" / ANSWERS_TEMPLATE).write_text(answers)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Return a template whose second release renames in case only."""
    template = tmp_path / "template"
    template.mkdir()
    git(template, "init", "--quiet", "-b", "main")
    (template / "copier.yml").write_text(_QUESTIONS)
    write(template, BEFORE)
    release(template, "v1.0.0")
    write(template, AFTER)
    release(template, "v1.1.0")
    return template


@pytest.fixture
def own(template: Path, tmp_path: Path) -> Path:
    """Return a repository on a file system that ignores case, at the first release."""
    own = render(template, tmp_path / "web", vcs_ref="v1.0.0")
    for command in (
        ("init", "--quiet", "-b", "main"),
        ("add", "--all"),
        ("commit", "--quiet", "-m", "From the template"),
    ):
        done = folding_names.run(own, tmp_path, "git", *command)
        assert done.returncode == 0, done.stderr
    assert git(own, "config", "core.ignoreCase") == "true"
    return own


def update(own: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the update on the file system that ignores case."""
    command = (sys.executable, "-m", "packer_toolkit", "template-update", *options)
    return folding_names.run(own, own.parent, *command)


def texts(folder: Path) -> dict[str, str]:
    """Return the files of a folder, without the answers file."""
    found = {path: item.content.decode() for path, item in files(folder).items()}
    return {path: text for path, text in found.items() if not path.startswith(".")}


def status(own: Path) -> list[str]:
    """Return what git reports, on the file system that ignores case."""
    command = (
        "git",
        "-c",
        "core.quotePath=false",
        "status",
        "--porcelain",
        "--untracked-files=all",
    )
    return sorted(folding_names.run(own, own.parent, *command).stdout.splitlines())


def test_rename_in_case_only_is_taken_and_committed(own: Path) -> None:
    """The update is written with the new names, and a commit has them (review R14)."""
    done = update(own, "--trust")
    assert done.returncode == 0, done.stderr
    assert texts(own) == AFTER
    assert "Notes.md was renamed to notes.md; this rename is staged for you" in done.stdout
    assert "saved" not in done.stderr
    for command in (("add", "--all"), ("commit", "--quiet", "-m", "Update")):
        assert folding_names.run(own, own.parent, "git", *command).returncode == 0
    assert status(own) == []
    listed = git(own, "-c", "core.quotePath=false", "ls-files").splitlines()
    assert sorted(path for path in listed if not path.startswith(".")) == sorted(AFTER)


def test_edits_move_to_the_new_name(own: Path) -> None:
    """What the team changed is in the file under its new name (review R14)."""
    (own / "Notes.md").write_text("ours\n" + BEFORE["Notes.md"])
    (own / "Scripts" / "First.sh").write_text("ours\n" + BEFORE["Scripts/First.sh"])
    git(own, "commit", "--quiet", "--all", "-m", "Ours")
    done = update(own, "--trust")
    assert done.returncode == 0, done.stderr
    expected = {name: f"ours\n{AFTER[name]}" for name in ("notes.md", "scripts/first.sh")}
    assert texts(own) == {**AFTER, **expected}


def test_update_is_undone(own: Path) -> None:
    """The undo restores the old names, and git sees no change (review R14)."""
    assert update(own, "--trust").returncode == 0
    done = update(own, "--undo")
    assert done.returncode == 0, done.stderr
    assert "Undone" in done.stdout
    assert texts(own) == BEFORE
    assert status(own) == []
    assert update(own, "--trust").returncode == 0


def test_git_alone_undoes_it(own: Path) -> None:
    """The printed commands of git restore the old content (review R14)."""
    done = update(own, "--trust")
    command = done.stdout.partition("git alone: ")[2].splitlines()[0]
    assert folding_names.run(own, own.parent, "sh", "-c", command).returncode == 0
    assert status(own) == []
    assert update(own, "--trust").returncode == 0
    assert {path.lower(): text for path, text in texts(own).items()} == {
        path.lower(): text for path, text in AFTER.items()
    }


@pytest.mark.parametrize("point", range(4, 60, 7))
def test_killed_update_is_undone(own: Path, point: int) -> None:
    """Killed at any moment, and in the middle of the undo, nothing is lost (review R14)."""
    number = str(signal.SIGKILL.value)
    for options, at in ((("--trust",), point), (("--undo",), 2 + point // 3)):
        command = (sys.executable, str(KILLED), str(at), str(own), "template-update", *options)
        folding_names.run(own, own.parent, *command, KILL_WITH=number)
    done = update(own, "--undo")
    assert done.returncode == 0, done.stderr
    assert texts(own) == BEFORE
    assert status(own) == []


def test_name_of_the_teams_own_file_is_a_collision(template: Path, own: Path) -> None:
    """A new file with the name of the team's in another case is refused, with both (review R14)."""
    (own / "same.md").write_text("ours\n")
    git(own, "add", "--all")
    git(own, "commit", "--quiet", "-m", "Ours")
    write(template, {**AFTER, "SAME.md": "theirs\n"})
    release(template, "v1.2.0")
    done = update(own, "--trust")
    assert done.returncode == 3
    assert "SAME.md and same.md are the same file on this file system" in done.stderr
    assert (own / "same.md").read_text() == "ours\n"
    assert status(own) == []


def test_file_that_git_does_not_know_is_in_the_way(template: Path, own: Path) -> None:
    """An ignored file under the name in another case is not overwritten (review R14)."""
    (own / ".git" / "info" / "exclude").write_text("/Local.md\n")
    (own / "Local.md").write_text("mine\n")
    write(template, {**AFTER, "local.md": "theirs\n"})
    release(template, "v1.2.0")
    done = update(own, "--trust")
    assert done.returncode == 3
    assert "would be overwritten by the release" in done.stderr
    assert (own / "Local.md").read_text() == "mine\n"


def test_nothing_is_staged_where_case_counts(template: Path, tmp_path: Path) -> None:
    """On a file system with case a rename in case only is one as any other (review R14)."""
    own = render(template, tmp_path / "web", vcs_ref="v1.0.0")
    git(own, "init", "--quiet", "-b", "main")
    git(own, "add", "--all")
    git(own, "commit", "--quiet", "-m", "From the template")
    command = [sys.executable, "-m", "packer_toolkit", "template-update", "--trust"]
    done = subprocess.run(command, cwd=own, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert texts(own) == AFTER
    assert "staged" not in done.stdout
    assert git(own, "diff", "--cached", "--name-only") == ""


def test_pairs_of_names() -> None:
    """Renames and collisions are told apart, folders on the way included (review R14)."""
    before = {"A", "B/c", "d", NFD}
    assert find_case_renames(before, {"a", "b/C", "d", NFC}) == {"A": "a", "B/c": "b/C", NFD: NFC}
    assert find_collisions(before, {"a", "b/C", "d", NFC}) == []
    assert find_collisions({"A", "a"}, {"A", "a"}) == []
    assert find_collisions({"A"}, {"A", "a"}) == [("a", "A")]
    assert find_collisions(set(), {"x", "X"}) in ([("x", "X")], [("X", "x")])
    assert find_collisions({"Lib"}, {"Lib", "lib/x"}) == [("lib/x", "Lib")]
