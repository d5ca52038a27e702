"""`packer-toolkit template-diff`: what an update would change, without changing it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.repositories.template import git
from rig.run.terminal import Terminal
from rig.run.updating import files, state, toolkit

pytestmark = pytest.mark.integration


def commit(repository: Path, path: str, text: str) -> None:
    """Write a file and commit it."""
    (repository / path).write_text(text)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", f"Change {path}")


def _text_only(diff: bytes) -> list[bytes]:
    """Return the parts of a diff, each of one file, that git can apply."""
    parts = diff.split(b"diff --git ")[1:]
    return [b"diff --git " + part for part in parts if b"Binary files" not in part]


def test_diff_is_what_the_update_does(project: Path, tmp_path: Path) -> None:
    """Applied by git, it makes the same tree to the byte; a binary file apart, which git names."""
    command = ["packer-toolkit", "template-diff", "--to", "v2.0.0"]
    shown = subprocess.run(command, cwd=project, capture_output=True, check=True).stdout
    assert b"diff --git a/build.hcl b/build.hcl" in shown
    assert b"Binary files a/logo.bin and b/logo.bin differ" in shown
    patch = tmp_path / "patch"
    patch.write_bytes(b"".join(_text_only(shown)))
    git(project, "apply", str(patch))
    applied = files(project)
    git(project, "reset", "--quiet", "--hard")
    git(project, "clean", "--quiet", "-fd")
    toolkit(project, "template-update", "--to", "v2.0.0")
    updated = files(project)
    del applied["logo.bin"], updated["logo.bin"]
    assert applied == updated


def test_nothing_is_touched(project: Path) -> None:
    """Neither files, index, refs, configuration nor git's objects."""
    before = state(project)
    objects = git(project, "count-objects", "-v")
    answer = toolkit(project, "template-diff")
    assert answer.code == 0
    assert state(project) == before
    assert git(project, "count-objects", "-v") == objects


def test_conflicts_are_named_and_are_exit_code_1(project: Path) -> None:
    """In the diff they are marked as the update would mark them."""
    commit(project, "build.hcl", (project / "build.hcl").read_text().replace("build 3", "ours 3"))
    before = state(project)
    answer = toolkit(project, "template-diff", "--to", "v1.1.0")
    assert answer.code == 1
    assert "+<<<<<<< before updating" in answer.stdout
    assert "1 file would conflict:\n  build.hcl: both changed" in answer.stderr
    assert state(project) == before


def test_json_has_files_conflicts_and_the_diff(project: Path) -> None:
    """For a program."""
    commit(project, "gone.txt", "ours\n")
    answer = toolkit(project, "template-diff", "--json")
    assert answer.code == 1
    found = answer.json
    assert (found["from"], found["to"]) == ("v1.0.0", "v2.1.0")
    assert found["conflicts"] == [
        {
            "path": "gone.txt",
            "kind": "removed",
            "reason": "the release removes it, and you changed it; yours stays",
        }
    ]
    changes = {item["path"]: item["change"] for item in found["files"]}
    assert changes["added.txt"] == "added"
    assert changes["build.hcl"] == "changed"
    assert changes["lib/one.txt"] == "deleted"
    assert "gone.txt" not in changes
    assert found["diff"].startswith("diff --git a/.copier-answers.yml")


def test_colours_are_for_a_terminal(project: Path, tmp_path: Path) -> None:
    """Elsewhere there are none."""
    assert "\x1b[" not in toolkit(project, "template-diff").stdout
    with Terminal("packer-toolkit", "template-diff", cwd=project) as terminal:
        assert terminal.wait_for_end() == 0
        assert "@@" in terminal.everything
        coloured = [
            cell for line in terminal._screen.buffer.values() for cell in line.values()
        ]  # what a person would see in colour
        assert {cell.fg for cell in coloured} > {"default"}


def test_what_is_not_committed_is_said_and_left_out(project: Path) -> None:
    """A look is allowed at any time."""
    (project / "build.hcl").write_text("not committed\n")
    answer = toolkit(project, "template-diff", "--to", "v1.1.0")
    assert answer.code == 0
    assert "Uncommitted changes are left out: build.hcl" in answer.stderr
    assert "not committed" not in answer.stdout


def test_up_to_date_is_an_empty_diff(made_by: dict[str, Path]) -> None:
    """And exit code 0."""
    answer = toolkit(made_by["v2.1.0"], "template-diff")
    assert (answer.code, answer.stdout) == (0, "")
    assert answer.stderr == "Up to date: v2.1.0 is the template's newest release.\n"
    asked = toolkit(made_by["v2.0.0"], "template-diff", "--to", "v2.0.0")
    assert (asked.code, asked.stderr) == (0, "This repository is at v2.0.0 already.\n")


def test_bytes_of_another_encoding_go_through(project: Path) -> None:
    """As git shows them; JSON has them escaped."""
    (project / "latin.txt").write_bytes(b"\xe4\xf6\xfc\n" + (project / "latin.txt").read_bytes())
    git(project, "commit", "--all", "--quiet", "-m", "Latin")
    done = subprocess.run(
        ["packer-toolkit", "template-diff"], cwd=project, capture_output=True, check=True
    )
    assert b"na\xefve" in done.stdout
    assert "na\\xefve" in toolkit(project, "template-diff", "--json").json["diff"]
