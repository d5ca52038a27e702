"""The generator of update histories: what it draws is always possible on a file system."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import unicodedata
from pathlib import Path

import hypothesis
import pytest
from histories import IGNORED_PATHS, OWN_PATHS, TEMPLATE_PATHS, History, Team, are_apart, histories

from rig.repositories.small_template import RELEASES
from rig.repositories.template import git

pytestmark = pytest.mark.integration

PATHS = sorted({*TEMPLATE_PATHS, *OWN_PATHS, *IGNORED_PATHS})
LINKS = ("README.md", "gone", "../x")


def test_no_two_paths_are_one_on_a_file_system_without_case() -> None:
    """The drawn paths differ also where case and the form of letters do not count (issue 11)."""
    folded = {unicodedata.normalize("NFC", path).casefold() for path in PATHS}
    assert len(folded) == len(PATHS)


def test_no_path_is_one_that_git_refuses() -> None:
    """No part of a drawn path is empty, a dot, or a name of git's own (issue 11)."""
    for path in PATHS:
        for part in path.split("/"):
            assert part.casefold() not in {"", ".", "..", ".git", "git~1"}


@hypothesis.settings(max_examples=300, deadline=None, database=None, derandomize=True)
@hypothesis.given(histories())
def test_no_file_is_drawn_to_move_into_itself(history: History) -> None:
    """A drawn move or copy never has one path below the other, or the same twice (issue 11)."""
    pairs = [
        (str(arguments[0]), str(arguments[1]))
        for commits, _, _ in history.stations
        for name, arguments in itertools.chain.from_iterable(commits)
        if name in ("move", "copy")
    ]
    assert [pair for pair in pairs if not are_apart(pair)] == []


@pytest.mark.parametrize("start", RELEASES)
def test_every_kind_of_edit_is_possible_in_any_state(
    made_by: dict[str, Path], tmp_path: Path, start: str
) -> None:
    """Thousands of edits with any paths, in any order, raise nothing; git takes all (issue 11)."""
    draw = random.Random(start)  # noqa: S311 - not a secret
    for run in range(8):
        repository = tmp_path / str(run)
        shutil.copytree(made_by[start], repository, symlinks=True)
        team = Team(repository)
        kinds = dict.fromkeys(ARGUMENTS, 0)
        for _ in range(300):
            name = draw.choice(list(ARGUMENTS))
            arguments = tuple(draw.choice(choices) for choices in ARGUMENTS[name])
            kinds[name] += team.edit(name, arguments)
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--allow-empty", "-m", "Edits")
        assert git(repository, "status", "--porcelain") == ""
        for path in team.ignored:
            assert os.path.lexists(repository / path)
        assert team.made > 60
        assert sum(count > 0 for count in kinds.values()) > len(kinds) / 2, kinds


ARGUMENTS: dict[str, tuple[tuple[object, ...], ...]] = {
    "insert": (tuple(PATHS), (0, 3), (b"team", b"")),
    "change": (tuple(PATHS), (0, 3), (b"team", b"}")),
    "delete_line": (tuple(PATHS), (0, 3)),
    "move_line": (tuple(PATHS), (0, 3), (0, 25)),
    "line_endings": (tuple(PATHS),),
    "last_line_break": (tuple(PATHS),),
    "add": (tuple(PATHS), (b"team",)),
    "add_binary": (tuple(PATHS),),
    "add_ignored": (IGNORED_PATHS, (b"team",)),
    "delete": (tuple(PATHS),),
    "move": (tuple(PATHS), tuple(PATHS)),
    "copy": (tuple(PATHS), tuple(PATHS)),
    "mode": (tuple(PATHS),),
    "to_link": (tuple(PATHS), LINKS),
    "folder_to_link": (("lib", "scripts", "deep", "tool"),),
    "to_folder": (tuple(PATHS),),
}


def test_ignored_files_are_renamed_to_names_of_their_own(
    made_by: dict[str, Path], tmp_path: Path
) -> None:
    """A second renaming never overwrites a file that was renamed before (issue 11)."""
    repository = Path(shutil.copytree(made_by["v1.0.0"], tmp_path / "web", symlinks=True))
    team = Team(repository)
    for text in (b"first", b"second"):
        assert team.edit("add_ignored", ("added.txt", text))
        team.rename_ignored(["added.txt"])
    kept = sorted(file.read_bytes() for file in repository.glob("kept-*"))
    assert kept == [b"first\nignored\n", b"second\nignored\n"]
