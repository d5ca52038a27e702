"""Histories that were found to break a promise once, each with what went wrong then."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from histories import Edit, History, Team
from test_loses_nothing import live

from rig.repositories.template import git
from rig.run.updating import files, state, toolkit, unmerged

pytestmark = pytest.mark.integration


def lived(
    made_by: dict[str, Path],
    folder: Path,
    start: str,
    release: str,
    *edits: Edit,
    undo: bool = True,
) -> None:
    """Live through a history of one commit and one update, there and back."""
    live(History(start, (((edits,), release, undo),)), made_by, folder / "web")


def test_an_empty_folder_in_the_way(made_by: dict[str, Path], tmp_path: Path) -> None:
    """The update ended half-way: a file cannot take the place of a folder."""
    path = "scripts/20-second.sh/own.txt"
    edits: tuple[Edit, ...] = (("add_binary", (path,)), ("delete", (path,)))
    lived(made_by, tmp_path, "v2.0.0", "v2.1.0", *edits)


def test_a_folder_that_became_a_file(made_by: dict[str, Path], tmp_path: Path) -> None:
    """The way back ended half-way: it looked for half-written files below what is a file now."""
    lived(made_by, tmp_path, "v1.1.0", "v2.0.0")


def test_ignored_file_where_the_release_has_one(made_by: dict[str, Path], tmp_path: Path) -> None:
    """It was a conflict in git's index, and `git reset --hard` deletes what has one alone."""
    project = tmp_path / "web"
    subprocess.run(["cp", "-R", made_by["v1.0.0"], project], check=True)
    team = Team(project)
    team.commit([("add_ignored", ("added.txt", b"team"))])
    before = state(project)
    answer = toolkit(project, "template-update")
    assert (answer.code, "added.txt would be overwritten" in answer.stderr) == (3, True)
    assert state(project) == before
    shown = toolkit(project, "template-diff")
    assert "Untracked file added.txt would be overwritten: rename it first." in shown.stderr
    subprocess.run(["git", "reset", "--quiet", "--hard"], cwd=project, check=True)
    assert files(project)["added.txt"].content == b"team\nignored\n"


def test_an_ignored_file_where_the_release_has_a_folder(
    made_by: dict[str, Path], tmp_path: Path
) -> None:
    """The folder could not be made."""
    edits: tuple[Edit, ...] = (("delete", ("tool",)), ("add_ignored", ("tool", b"team")))
    lived(made_by, tmp_path, "v1.0.0", "v2.0.0", *edits)


def test_ignored_files_in_a_folder_that_becomes_a_file(
    made_by: dict[str, Path], tmp_path: Path
) -> None:
    """The file could not be written."""
    lived(made_by, tmp_path, "v1.0.0", "v2.0.0", ("add_ignored", ("lib/notes.txt", b"team")))


def test_links_in_the_place_of_folders(made_by: dict[str, Path], tmp_path: Path) -> None:
    """Copier writes through them, into what is behind."""
    edits: tuple[Edit, ...] = (("folder_to_link", ("lib",)), ("folder_to_link", ("scripts",)))
    lived(made_by, tmp_path, "v1.0.0", "v1.1.0", *edits)
    lived(made_by, tmp_path / "two", "v2.0.0", "v2.1.0", ("folder_to_link", ("scripts",)))


def test_a_team_that_says_what_conflicts_say(made_by: dict[str, Path], tmp_path: Path) -> None:
    """A line of the team's that looks like a marker is no conflict, and stays."""
    marker = b"<<<<<<< before updating"
    lived(made_by, tmp_path, "v1.0.0", "v1.1.0", ("insert", ("sources.hcl", 0, marker)))


def test_a_link_out_of_the_repository_in_a_renamed_file(
    made_by: dict[str, Path], tmp_path: Path
) -> None:
    """The team's link moves with the rename; the update was refused as if the release had it."""
    lived(made_by, tmp_path, "v1.0.0", "v2.0.0", ("to_link", ("old-name.txt", "../x")))


def test_a_large_file_that_the_release_renames(made_by: dict[str, Path], tmp_path: Path) -> None:
    """What the team added counts as theirs, also where it makes the file larger than any may be."""
    large = b"team" * 2_000_000
    lived(made_by, tmp_path, "v1.0.0", "v2.0.0", ("insert", ("old-name.txt", 0, large)))


def test_a_submodule_in_the_place_of_a_renamed_file(
    made_by: dict[str, Path], tmp_path: Path
) -> None:
    """A submodule of the team stays where it is; it was moved, and the release blamed for it."""
    project = tmp_path / "web"
    subprocess.run(["cp", "-R", made_by["v1.0.0"], project], check=True)
    head = git(project, "rev-parse", "HEAD")
    git(project, "rm", "--quiet", "old-name.txt")
    (project / "old-name.txt").mkdir()
    git(project, "update-index", "--add", "--cacheinfo", f"160000,{head},old-name.txt")
    git(project, "commit", "--quiet", "-m", "A submodule")
    answer = toolkit(project, "template-update")
    assert (answer.code, unmerged(project)) == (1, ["old-name.txt"]), answer
    assert (project / "new-name.txt").is_file()
