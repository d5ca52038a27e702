"""A repository of release 1.0.0 with a team's edits takes today's template and loses no line."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from rig.repositories.releases import create_template
from rig.repositories.template import git, render
from rig.run.updating import toolkit, unmerged

pytestmark = pytest.mark.integration

ANSWERS = ".copier-answers.yml"
TODAY = "v9999.0.0"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with every release, and the working tree as the newest one."""
    return create_template(tmp_path_factory.mktemp("template"), TODAY)


@pytest.fixture(scope="module", params=[False, True], ids=["without demo", "with demo"])
def made_by_1_0_0(
    template: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a repository of 1.0.0, committed; copy it before you change it."""
    answers = {"image_name": "web", "keep_demo": request.param}
    folder = tmp_path_factory.mktemp("made-by-1-0-0") / "web"
    return render(template, folder, answers, vcs_ref="v1.0.0")


def test_an_edit_of_a_line_that_moved_is_a_conflict(template: Path, tmp_path: Path) -> None:
    """A line of toolkit.sh that toolkit-engine.sh has now, and the team edited, is marked.

    Nothing of the edit is lost: the file has both versions, git has the three of them, and the new
    file is the release's.
    """
    project = render(template, tmp_path / "web", {"image_name": "web"}, vcs_ref="v1.1.0")
    file = project / "toolkit.sh"
    engine, now = (
        git(template, "show", f"{TODAY}:template/{name}").splitlines()
        for name in ("toolkit-engine.sh", "toolkit.sh")
    )
    old = file.read_text()
    moved = [
        line
        for line in old.splitlines()
        if line in engine and line not in now and len(line) > 20 and not line.startswith("#")
    ]
    assert moved
    line = moved[len(moved) // 2]
    edited = f"{line}  # ours"
    file.write_text(old.replace(line, edited, 1))
    git(project, "commit", "--quiet", "--all", "--message", "Ours")
    answer = toolkit(project, "template-update", "--trust", "--json")
    assert answer.code == 1, answer
    assert unmerged(project) == ["toolkit.sh"]
    assert edited in file.read_text().splitlines()
    assert "<<<<<<< before updating" in file.read_text()
    assert git(project, "show", ":2:toolkit.sh") == old.replace(line, edited, 1).rstrip("\n")
    assert git(project, "show", ":3:toolkit.sh").splitlines() == now
    assert (project / "toolkit-engine.sh").read_text().splitlines() == engine


def tracked_files(repository: Path) -> list[Path]:
    """Return the files of a repository whose lines a team may edit."""
    names = git(repository, "ls-files", "-z").split("\0")
    return [repository / name for name in names if name and name != ANSWERS]


def insert_lines(repository: Path, drawn: random.Random | None) -> dict[Path, list[str]]:
    """Insert a team's lines into every file, and commit them.

    Args:
        repository: the repository.
        drawn: chooses the places; None puts one line at the end of each file.

    Returns:
        The lines by file.
    """
    inserted: dict[Path, list[str]] = {}
    for file in tracked_files(repository):
        lines = file.read_text().splitlines(keepends=True)
        places = [len(lines)] if drawn is None else sorted(drawn.sample(range(len(lines) + 1), 1))
        for number, place in enumerate(reversed(places)):
            line = f"# the team's line {number} of {file.name}"
            lines.insert(place, f"{line}\n")
            inserted.setdefault(file, []).append(line)
        file.write_text("".join(lines))
    own = repository / "provisioners" / "shell" / "30-ours.sh"
    own.write_text("#!/usr/bin/env bash\necho ours\n")
    inserted[own] = ["echo ours"]
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "Ours")
    return inserted


def lost_lines(inserted: dict[Path, list[str]]) -> list[str]:
    """Return the team's lines that are no longer in their files."""
    return [
        f"{file}: {line}"
        for file, lines in inserted.items()
        for line in lines
        if not file.exists() or line not in file.read_text().splitlines()
    ]


def test_lines_at_the_end_of_every_file_survive(made_by_1_0_0: Path, tmp_path: Path) -> None:
    """The update keeps every line, and the answers file names the new release."""
    project = Path(shutil.copytree(made_by_1_0_0, tmp_path / "web", symlinks=True))
    inserted = insert_lines(project, None)
    answer = toolkit(project, "template-update", "--trust", "--json")
    assert answer.code in (0, 1), answer
    assert lost_lines(inserted) == []
    assert f"_commit: {TODAY}\n" in (project / ANSWERS).read_text()


@pytest.mark.parametrize("number", range(3))
def test_lines_anywhere_survive(made_by_1_0_0: Path, tmp_path: Path, number: int) -> None:
    """Also where the release changes the lines around them: then the file is a conflict."""
    project = Path(shutil.copytree(made_by_1_0_0, tmp_path / "web", symlinks=True))
    drawn = random.Random(f"{os.environ['TEMPLATE_PACKER_AMI_SEED']} {number}")  # noqa: S311
    inserted = insert_lines(project, drawn)
    answer = toolkit(project, "template-update", "--trust", "--json")
    assert answer.code in (0, 1), answer
    assert lost_lines(inserted) == []
    assert unmerged(project) == sorted(item["path"] for item in answer.json["conflicts"])


def test_an_untouched_repository_updates_without_conflict(
    made_by_1_0_0: Path, tmp_path: Path
) -> None:
    """Every file becomes what a new repository with the same answers has."""
    project = Path(shutil.copytree(made_by_1_0_0, tmp_path / "web", symlinks=True))
    answer = toolkit(project, "template-update", "--trust", "--json")
    assert (answer.code, answer.json["conflicts"]) == (0, []), answer
