"""Equal files are looked at once, a finding is never forgotten, and blame goes where it belongs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rig.lint.runner import Check, File, Tree, lint, read_tree, write_tree


class Recorder:
    """A tool that finds the word `bad`, and notes what it was shown."""

    def __init__(self) -> None:
        """Start with nothing shown."""
        self.shown: list[list[str]] = []

    def __call__(self, work: Path, paths: Sequence[str]) -> str:
        """Look at the files."""
        self.shown.append(sorted(path.partition("/")[2] or path for path in paths))
        assert {file.relative_to(work).as_posix() for file in work.rglob("*") if file.is_file()} - {
            "settings"
        } == set(paths)
        return "\n".join(path for path in paths if b"bad" in (work / path).read_bytes())


@pytest.fixture
def tool() -> Recorder:
    """Return a tool that has seen nothing yet."""
    return Recorder()


@pytest.fixture
def check(tool: Recorder) -> Check:
    """Return a check of single files."""
    return Check("recorder", ["*.txt"], tool, lambda: "1", config=["settings"])


def tree(**contents: str) -> Tree:
    """Return a tree of text files."""
    return {f"{name}.txt": File(text.encode()) for name, text in contents.items()}


def test_equal_files_are_looked_at_once(check: Check, tool: Recorder, tmp_path: Path) -> None:
    """In one tree, in several and in later runs."""
    trees = {"one": tree(a="x", b="y"), "two": tree(a="x", b="z")}
    assert lint(trees, [check], tmp_path) == {"one": [], "two": []}
    assert tool.shown == [["a.txt", "b.txt", "b.txt"]]
    assert lint(trees, [check], tmp_path) == {"one": [], "two": []}
    assert len(tool.shown) == 1


def test_findings_are_found_again(check: Check, tool: Recorder, tmp_path: Path) -> None:
    """Only what has passed is kept."""
    for run in (1, 2, 3):
        assert lint({"it": tree(a="bad")}, [check], tmp_path) == {"it": ["recorder: 0/a.txt"]}
        assert len(tool.shown) == run


def test_blame_goes_to_the_tree_with_the_finding(check: Check, tmp_path: Path) -> None:
    """Although the files of all go through one run; and also where two share the bad file."""
    trees = {"good": tree(a="x"), "bad": tree(a="bad"), "twin": tree(a="bad", b="y")}
    found = lint(trees, [check], tmp_path)
    assert found == {"good": [], "bad": ["recorder: 0/a.txt"], "twin": ["recorder: 0/a.txt"]}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda c, _: (c, {"a.txt": File(b"y")}), id="content"),
        pytest.param(lambda c, t: (c, {"b.txt": t["a.txt"]}), id="name"),
        pytest.param(lambda c, _: (c, {"a.txt": File(b"x", executable=True)}), id="mode"),
        pytest.param(lambda c, t: (c, {**t, "settings": File(b"strict")}), id="configuration"),
        pytest.param(lambda c, t: (replace(c, version=lambda: "2"), t), id="version"),
    ],
)
def test_whatever_could_change_the_verdict_asks_again(
    check: Check, tool: Recorder, tmp_path: Path, change: object
) -> None:
    """A pass is one of this content, under this name, configuration and version of the tool."""
    before = tree(a="x")
    lint({"it": before}, [check], tmp_path)
    assert callable(change)
    other_check, other_tree = change(check, before)
    lint({"it": other_tree}, [other_check], tmp_path)
    assert len(tool.shown) == 2


def test_set_is_looked_at_as_a_set(check: Check, tool: Recorder, tmp_path: Path) -> None:
    """One changed file asks for all of them again; a file that is not read for nothing."""
    together = replace(check, together=True)
    lint({"it": tree(a="x", b="y")}, [together], tmp_path)
    lint({"it": {**tree(a="x", b="y"), "README.md": File(b"more")}}, [together], tmp_path)
    assert tool.shown == [["a.txt", "b.txt"]]
    assert lint({"it": tree(a="x", b="bad")}, [together], tmp_path) == {"it": ["recorder: b.txt"]}
    assert tool.shown[1:] == [["a.txt", "b.txt"]]


def test_old_passes_are_forgotten(check: Check, tmp_path: Path) -> None:
    """The cache does not grow with each edit of the template for ever."""
    old, young = tmp_path / "recorder" / "old", tmp_path / "recorder" / "young"
    old.parent.mkdir()
    old.touch()
    young.touch()
    long_ago = time.time() - 15 * 24 * 60 * 60
    os.utime(old, (long_ago, long_ago))
    lint({"it": tree(a="x")}, [check], tmp_path)
    assert young.exists()
    assert not old.exists()


def test_tree_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Contents and executable bits; git's own files are no part of it."""
    files = {"a": File(b"\r\n\0"), "b/c.sh": File(b"#!/bin/sh\n", executable=True)}
    write_tree(files, tmp_path)
    write_tree({".git/HEAD": File(b"x"), ".github/x.yml": File(b"y")}, tmp_path)
    assert read_tree(tmp_path) == {**files, ".github/x.yml": File(b"y")}
