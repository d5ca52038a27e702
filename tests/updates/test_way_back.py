"""Every update can be taken back, exactly, also one that was killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import pytest

from rig.repositories.template import git
from rig.run.updating import files, state, toolkit

pytestmark = pytest.mark.integration

KILLED = Path(__file__).with_name("killed.py")
POINTS = 12


def commit(repository: Path) -> None:
    """Commit everything."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Ours")


@pytest.fixture
def eventful(project: Path) -> Path:
    """Return a repository in which an update does everything that an update can do.

    It adds, changes and deletes, turns a folder into a file and a file into a folder, changes
    modes and links, has conflicts of each kind, and empty folders are in its way.
    """
    text = (project / "build.hcl").read_text()
    (project / "build.hcl").write_text(text.replace("build 3\n", "ours 3\n"))
    (project / "gone.txt").write_text("ours\n")
    (project / "added.txt").write_text("ours\n")
    (project / "logo.bin").write_bytes(b"\0ours")
    (project / "own.txt").write_text("own\n")
    (project / "old-name.txt").write_text("ours\n" + (project / "old-name.txt").read_text())
    (project / "sources.hcl").chmod(0o640)
    (project / "provision.hcl/empty").mkdir(parents=True)
    (project / "notes.log").write_text("ignored\n")
    commit(project)
    return project


def run_killed(
    point: int, repository: Path, *options: str, number: int = signal.SIGKILL
) -> subprocess.CompletedProcess[str]:
    """Update a repository in a process that is killed at a point, with a signal.

    Its temporary folders, which SIGKILL leaves, are in `temporary` beside the repository.
    """
    temporary = repository.with_name("temporary")
    temporary.mkdir(exist_ok=True)
    command = [
        sys.executable, str(KILLED), str(point), str(repository), "template-update", *options
    ]  # fmt: skip
    env = {**os.environ, "TMPDIR": str(temporary), "KILL_WITH": str(int(number))}
    return subprocess.run(
        command, cwd=repository, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def changes(made_by: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Return points spread over an update: how many changes it has made by then."""
    repository = tmp_path_factory.mktemp("whole") / "web"
    shutil.copytree(made_by["v1.0.0"], repository, symlinks=True)
    eventful.__wrapped__(repository)  # type: ignore[attr-defined]
    done = run_killed(0, repository)
    assert done.returncode == 1, done.stderr
    total = int(re.findall(r"changes: (\d+)", done.stderr)[-1])
    assert total > 5 * POINTS
    return [1 + number * (total - 1) // (POINTS - 1) for number in range(POINTS)]


@pytest.mark.parametrize("number", range(POINTS))
def test_killed_at_any_point_the_printed_way_back_restores_everything(
    number: int, changes: list[int], eventful: Path
) -> None:
    """Bytes, modes, links, ignored files, folders, index, HEAD and references."""
    before = state(eventful)
    done = run_killed(changes[number], eventful)
    assert done.returncode == -signal.SIGKILL
    (printed,) = re.findall(r"^If this is interrupted, undo it with: (.+)$", done.stderr, re.M)
    back = subprocess.run(printed.split(), cwd=eventful, capture_output=True, text=True, check=True)
    assert "Traceback" not in back.stderr
    assert state(eventful) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_politely_it_goes_back_by_itself(
    number: signal.Signals, changes: list[int], eventful: Path
) -> None:
    """In the middle of the writing: everything is as before, and no temporary folder stays."""
    before = state(eventful)
    done = run_killed(changes[POINTS // 2], eventful, number=number)
    assert done.returncode == 128 + number
    assert done.stderr.splitlines()[-2] == "packer-toolkit: interrupted"  # then killed.py's line
    assert state(eventful) == before
    assert list(eventful.with_name("temporary").iterdir()) == []


def test_after_a_kill_an_update_says_how_to_go_back_first(
    eventful: Path, changes: list[int]
) -> None:
    """Half an update is never updated, and every command reports it (review C6)."""
    before = state(eventful)
    run_killed(changes[POINTS // 2], eventful)
    half = files(eventful)
    answer = toolkit(eventful, "template-update")
    assert (answer.code, "undo it first: " in answer.stderr) == (3, True)
    assert files(eventful) == half
    # Also where the answers file is gone.
    (eventful / ".copier-answers.yml").unlink()
    for words in (
        *(("template-update",), ("template-update", "--dry-run"), ("template-pr",)),
        *(("template-check",), ("template-check", "--json"), ("template-diff",)),
    ):
        answer = toolkit(eventful, *words)
        assert (answer.code, answer.stdout) == (3, "")
        assert "an update was interrupted here; undo it first: " in answer.stderr
    assert toolkit(eventful, "template-update", "--undo").code == 0
    assert state(eventful) == before


@pytest.mark.parametrize(
    "damage",
    ["", "{", '{"state": "sta', "{}", "[]", "null", "1", '"state"', "\udcff", "[" * 99_999],
    ids=lambda damage: repr(damage[:9]),
)
def test_a_damaged_record_is_one_line(eventful: Path, damage: str) -> None:
    """It names the record and where the replaced files are; nothing is changed (review C6)."""
    assert toolkit(eventful, "template-update").code == 1
    folder = eventful / ".git" / "packer-toolkit-update"
    (folder / "record.json").write_text(damage, errors="surrogateescape")
    before = files(eventful)
    for words in (("template-update", "--undo"), ("template-update",), ("template-pr",)):
        answer = toolkit(eventful, *words)
        assert answer.code == 3
        assert len(answer.stderr.splitlines()) == 1
        assert f"{folder}/record.json is damaged" in answer.stderr
        assert f"is in {folder}/files: copy" in answer.stderr
        assert answer.stderr.endswith(f"then delete {folder}")
    assert files(eventful) == before


def test_killed_while_it_goes_back_the_way_back_still_works(
    eventful: Path, changes: list[int]
) -> None:
    """It can be started again."""
    before = state(eventful)
    run_killed(changes[POINTS * 3 // 4], eventful)
    for point in (3, 30):
        run_killed(point, eventful, "--undo")
    assert toolkit(eventful, "template-update", "--undo").code == 0
    assert state(eventful) == before


def test_a_finished_update_is_taken_back_exactly(eventful: Path) -> None:
    """Conflicts and all; the second time there is nothing left to undo."""
    before = state(eventful)
    assert toolkit(eventful, "template-update").code == 1
    answer = toolkit(eventful, "template-update", "--undo", "--json")
    assert (answer.code, answer.json["release"]) == (0, "v1.0.0")
    assert state(eventful) == before
    answer = toolkit(eventful, "template-update", "--undo")
    assert (answer.code, answer.stdout) == (0, "Nothing to undo: no update is open.\n")


def test_the_printed_way_back_of_git_alone_works_too(eventful: Path) -> None:
    """For who has no packer-toolkit at hand.

    Git knows no permissions but the executable bit, and no empty folders.
    """
    (eventful / "sources.hcl").chmod(0o644)
    shutil.rmtree(eventful / "provision.hcl")
    before = state(eventful)
    answer = toolkit(eventful, "template-update")
    (printed,) = re.findall(r"^To undo with git alone: (.+)$", answer.stdout, re.M)
    subprocess.run(["sh", "-c", printed], cwd=eventful, check=True, capture_output=True)
    assert state(eventful) == before


def test_git_alone_leaves_other_folders_of_the_repository_alone(
    made_by: Mapping[str, Path], tmp_path: Path
) -> None:
    """Where the project is in a sub-folder, other work may be uncommitted."""
    shutil.copytree(
        made_by["v1.0.0"], tmp_path / "web", ignore=shutil.ignore_patterns(".git"), symlinks=True
    )
    git(tmp_path, "init", "--quiet")
    (tmp_path / "other.txt").write_text("committed\n")
    (tmp_path / "web/build.hcl").write_text("ours\n")
    commit(tmp_path)
    (tmp_path / "other.txt").write_text("not committed\n")
    before = files(tmp_path)
    answer = toolkit(tmp_path / "web", "template-update")
    assert answer.code == 1
    (printed,) = re.findall(r"^To undo with git alone: (.+)$", answer.stdout, re.M)
    subprocess.run(["sh", "-c", printed], cwd=tmp_path / "web", check=True, capture_output=True)
    assert files(tmp_path) == before


def test_what_was_written_after_the_update_is_kept_when_it_is_taken_back(eventful: Path) -> None:
    """Half a resolved conflict is work, too."""
    before = state(eventful)
    toolkit(eventful, "template-update")
    (eventful / "build.hcl").write_text("resolved, with much thought\n")
    git(eventful, "add", "build.hcl")
    answer = toolkit(eventful, "template-update", "--undo")
    (oid,) = re.findall(r"into build.hcl since is kept: git cat-file -p (\w+)", answer.stderr)
    assert git(eventful, "cat-file", "-p", oid) == "resolved, with much thought"
    assert state(eventful) == before


def test_a_dry_run_says_what_would_be_taken_back(eventful: Path) -> None:
    """And changes nothing, not even git's objects."""
    answer = toolkit(eventful, "template-update", "--undo", "--dry-run")
    assert (answer.code, answer.stdout) == (0, "Nothing to undo: no update is open.\n")
    toolkit(eventful, "template-update")
    (eventful / "build.hcl").write_text("resolved, with much thought\n")
    before = state(eventful), git(eventful, "count-objects", "-v")
    answer = toolkit(eventful, "template-update", "--undo", "--dry-run")
    assert answer.code == 0
    assert re.match(r"Would undo \d+ files, to v1\.0\.0:\n", answer.stdout)
    assert "  build.hcl; what you wrote into it since would be kept\n" in answer.stdout
    assert "  sources.hcl\n" in answer.stdout
    assert (state(eventful), git(eventful, "count-objects", "-v")) == before
    shown = toolkit(eventful, "template-update", "--undo", "--dry-run", "--json").json
    assert (shown["dry_run"], shown["kept"]) == (True, {"build.hcl": ""})
    done = toolkit(eventful, "template-update", "--undo", "--json").json
    assert (done["dry_run"], done["files"]) == (False, shown["files"])


def test_an_undo_takes_no_other_order(eventful: Path) -> None:
    """It is not a way to another release."""
    with pytest.raises(click.UsageError, match="no --vcs-ref"):
        toolkit(eventful, "template-update", "--undo", "--to", "v1.1.0")


def test_what_was_staged_beside_the_update_stays_staged(eventful: Path) -> None:
    """Only the update's own files are taken out of the index."""
    toolkit(eventful, "template-update")
    (eventful / "own.txt").write_text("own, changed\n")
    git(eventful, "add", "own.txt")
    toolkit(eventful, "template-update", "--undo")
    assert git(eventful, "status", "--porcelain") == "M  own.txt"


def test_a_committed_update_is_for_git_to_revert(eventful: Path) -> None:
    """The tree is not turned back behind the commits that were made since."""
    toolkit(eventful, "template-update")
    commit(eventful)
    before = state(eventful)
    answer = toolkit(eventful, "template-update", "--undo")
    assert (answer.code, "git revert" in answer.stderr) == (3, True)
    assert state(eventful) == before


def test_from_a_folder_below_the_project_is_taken_back(eventful: Path) -> None:
    """Wherever one stands; and nothing is written there."""
    before = state(eventful)
    toolkit(eventful, "template-update")
    assert toolkit(eventful / "scripts", "template-update", "--undo").code == 0
    assert state(eventful) == before


def test_projects_that_share_a_repository_are_taken_back_one_by_one(
    made_by: Mapping[str, Path], tmp_path: Path
) -> None:
    """In any order, each with its conflicts."""
    git(tmp_path, "init", "--quiet")
    for name in ("one", "two"):
        shutil.copytree(made_by["v1.0.0"], tmp_path / name, symlinks=True)
        shutil.rmtree(tmp_path / name / ".git")
        text = (tmp_path / name / "build.hcl").read_text()
        (tmp_path / name / "build.hcl").write_text(text.replace("build 3\n", "ours 3\n"))
    commit(tmp_path)
    before = state(tmp_path)
    for name in ("one", "two"):
        assert toolkit(tmp_path / name, "template-update").code == 1
    assert toolkit(tmp_path / "one", "template-update", "--undo").code == 0
    listed = git(tmp_path, "status", "--porcelain", "-uall").splitlines()
    assert {line[3:6] for line in listed} == {"two"}
    assert toolkit(tmp_path / "two", "template-update", "--undo").code == 0
    assert state(tmp_path) == before


def test_a_link_that_was_made_since_is_not_followed_on_the_way_back(
    eventful: Path, tmp_path: Path
) -> None:
    """What is behind it belongs to somebody else."""
    toolkit(eventful, "template-update")
    elsewhere = tmp_path / "elsewhere"
    (eventful / "scripts").rename(elsewhere)
    (eventful / "scripts").symlink_to(elsewhere)
    there = files(elsewhere)
    assert toolkit(eventful, "template-update", "--undo").code == 0
    assert files(elsewhere) == there
    assert not (eventful / "scripts").is_symlink()
    # The release did not change this one: the person moved it away.
    assert git(eventful, "status", "--porcelain") == " D scripts/README.md"


@pytest.mark.parametrize("broken", ["write", "index"])
def test_an_update_that_cannot_be_written_changes_nothing(
    eventful: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """A full disk, for instance: it goes back by itself."""
    from packer_toolkit.template import index, update_writer

    before = state(eventful)
    real: Callable[..., None] = update_writer.write_file
    calls = 0

    def fail(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls > 7:
            raise OSError(28, "No space left on device")
        real(*arguments)

    if broken == "write":
        monkeypatch.setattr(update_writer, "write_file", fail)
    else:
        calls = 10
        monkeypatch.setattr(index.Index, "change", fail)
    answer = toolkit(eventful, "template-update")
    assert answer.code == 3
    assert "No space left on device" in answer.stderr
    assert "everything is as it was" in answer.stderr
    assert state(eventful) == before
