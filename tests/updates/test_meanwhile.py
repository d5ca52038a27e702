"""Whatever is saved while an update runs is afterwards in the file, or in a copy that is named."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import meanwhile
import pytest
from hypothesis import strategies as st
from meanwhile import Action, Ran
from renders import cached_renders

from packer_toolkit.template import render
from rig.repositories.template import git
from rig.run.updating import files, state, toolkit

pytestmark = pytest.mark.integration

INTERLEAVINGS = int(os.environ.get("TEMPLATE_PACKER_AMI_INTERLEAVINGS", "80"))
BATCHES = 4
UPDATE = ["template-update"]
UNDO = ["template-update", "--undo"]

# Editors with the text of before the update, whose later saves have the earlier ones in them.
EDITORS = ("save", "save_by_rename", "save_over_a_backup")
CHANGED = ("build.hcl", "sources.hcl", "run.sh", "gone.txt", "lib/one.txt", "README.md", "own.txt")
ADDED = ("added.txt", "provision.hcl", "scripts/20-second.sh", "tool/own.txt", "lib/own.txt")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch, made_by: dict[str, Path]) -> None:
    """Render each release once, and put temporary folders into memory."""
    monkeypatch.setattr(render, "render_update", cached_renders(render.render_update))
    if os.access("/dev/shm", os.W_OK):  # noqa: S108 - folders of one's own are made there
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory() as folder:
        # Children find these renders in memory.
        repository = Path(shutil.copytree(made_by["v1.0.0"], f"{folder}/web", symlinks=True))
        assert toolkit(repository, "template-update").code == 0


@pytest.fixture
def edited(project: Path) -> Path:
    """Return a repository with changes that merge, changes that conflict, and files of its own."""
    edit(project)
    return project


def edit(project: Path) -> None:
    """Make and commit a team's changes."""
    text = (project / "build.hcl").read_text()
    (project / "build.hcl").write_text(text.replace("build 3\n", "ours 3\n"))
    (project / "sources.hcl").write_text("ours\n" + (project / "sources.hcl").read_text())
    (project / "own.txt").write_text("own\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "Ours")


def count_points(project: Path, folder: Path) -> Ran:
    """Return an undisturbed update of a copy of a repository: how many points it has."""
    repository = Path(shutil.copytree(project, folder / "undisturbed", symlinks=True))
    return meanwhile.run(repository, UPDATE, {})


def check(repository: Path, *ran: Ran) -> None:
    """Make sure that nothing is lost, and that no command ended with a defect."""
    printed = "".join(item.stdout + item.stderr for item in ran)
    assert "Traceback" not in printed, printed
    assert "internal error" not in printed, printed
    lines = [line for item in ran for line in item.saved]
    lost = meanwhile.find_lost(repository, lines, printed)
    assert not lost, f"{lost} lost; {printed}"


# ---------------------------------------------------------------------------- any interleaving


@st.composite
def disturbances(draw: st.DrawFn) -> tuple[list[tuple[float, Action]], float, str]:
    """Draw actions with the moments at which they happen, and one more moment and signal.

    A path has one kind of program, so that no program of the user's loses another one's lines.
    """
    paths = draw(st.lists(st.sampled_from(CHANGED), min_size=1, max_size=3, unique=True))
    moments = st.floats(0, 1, exclude_max=True)
    found: list[tuple[float, Action]] = []
    for path in paths:
        kind = draw(st.sampled_from(("append", "editor", "open", "once")))
        names = {
            "append": ("append", "stage", "change_mode"),
            "editor": EDITORS,
            "open": ("save_into_open_file",),
            "once": ("make_link", "make_folder", "commit", "stash", "check_out", "append"),
        }[kind]
        count = 1 if kind == "once" else draw(st.integers(1, 3))
        for number in range(count):
            name = draw(st.sampled_from(names))
            found.append((draw(moments), (name, path, f"saved {path} {number}")))
    for path in draw(st.lists(st.sampled_from(ADDED), max_size=2, unique=True)):
        name = draw(st.sampled_from(("create", "create_ignored")))
        found.append((draw(moments), (name, path, f"created {path}")))
    if any(action[0] in ("stash", "check_out") for _, action in found):
        # Git replaces files too, and editors with such a file open lose what they save.
        found = [item for item in found if item[1][0] != "save_into_open_file"]
    number = draw(st.sampled_from(["", "SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"]))
    return found, draw(moments), number


@pytest.mark.parametrize("batch", range(BATCHES))
def test_nothing_that_is_saved_while_an_update_runs_is_lost(
    batch: int, made_by: dict[str, Path], tmp_path: Path
) -> None:
    """Each line that is saved at any moment of an update, which may be killed at any other, is
    afterwards in a file, in git, or in a copy that was named (review C2, review C6, review C7).
    """  # noqa: D205 - one sentence
    project = Path(shutil.copytree(made_by["v1.0.0"], tmp_path / "project", symlinks=True))
    edit(project)
    whole = count_points(project, tmp_path)
    assert whole.code == 1, whole
    seed = int(os.environ["TEMPLATE_PACKER_AMI_SEED"])

    def place(moment: float) -> int:
        # Most of what can go wrong does shortly before files are written, and while they are.
        if moment < 0.2:
            return 1 + int(moment * 5 * whole.points)
        start = whole.writing - 12
        return start + int((moment - 0.2) / 0.8 * (whole.points - start + 1))

    @hypothesis.seed(seed * BATCHES + batch)
    @hypothesis.settings(
        max_examples=math.ceil(INTERLEAVINGS / BATCHES),
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        print_blob=True,
    )
    @hypothesis.given(disturbances())
    def lose_nothing(drawn: tuple[list[tuple[float, Action]], float, str]) -> None:
        found, end, number = drawn
        actions: dict[int, list[Action]] = {}
        for moment, action in sorted(found):
            actions.setdefault(place(moment), []).append(action)
        if number:
            actions.setdefault(place(end), []).append((number, "", ""))
        with tempfile.TemporaryDirectory() as folder:
            repository = Path(shutil.copytree(project, f"{folder}/web", symlinks=True))
            live(repository, actions)

    lose_nothing()


def live(repository: Path, actions: dict[int, list[Action]]) -> None:
    """Update a repository with disturbances, follow what is printed, and look for the lines."""
    ran = [meanwhile.run(repository, UPDATE, actions)]
    check_end(ran[0])
    printed = re.findall(r"(?:undo it with|To undo|undo it|then run): (.+)$", ran[0].stderr, re.M)
    check(repository, *ran) if ran[0].code >= 0 else None
    if printed:
        command = shlex.split(printed[-1])[1:]
        assert command == UNDO
        if ran[0].code == -9:
            # Killed once more, at some point of it.
            point = 1 + ran[0].points % 40
            ran.append(meanwhile.run(repository, command, {point: [("SIGKILL", "", "")]}))
        ran.append(meanwhile.run(repository, command, {}))
        if ran[-1].code == 3:
            assert "git revert" in ran[-1].stderr, ran
        else:
            assert ran[-1].code == 0, ran
            assert not (repository / ".git/packer-toolkit-update").exists()
        assert not (repository / ".git/index.lock").exists()
    check(repository, *ran)
    # It goes on from here: a further update works, or says in one line why it does not.
    ran.append(meanwhile.run(repository, UPDATE, {}))
    assert ran[-1].code in (0, 1, 3), ran
    assert "was interrupted here" not in ran[-1].stderr, ran
    check(repository, *ran)


def check_end(ran: Ran) -> None:
    """Make sure that an update ended as it promises."""
    assert ran.code in (0, 1, 3, -9, 130, 143), ran
    if ran.code == 3:
        lines = [line for line in ran.stderr.splitlines() if line.startswith("packer-toolkit: ")]
        assert len(lines) == 1, ran


# ---------------------------------------------------------------------------- single moments


_WHOLE: list[Ran] = []


@pytest.fixture
def whole(edited: Path, tmp_path: Path) -> Ran:
    """Return an undisturbed update of the repository."""
    if not _WHOLE:
        _WHOLE.append(count_points(edited, tmp_path))
    return _WHOLE[0]


KINDS: dict[str, str] = {
    "append": "sources.hcl",
    "save": "build.hcl",
    "save_by_rename": "sources.hcl",
    "save_into_open_file": "sources.hcl",
    "save_over_a_backup": "run.sh",
    "make_link": "README.md",
    "make_folder": "lib/one.txt",
    "change_mode": "gone.txt",
    "create": "added.txt",
    "create_ignored": "scripts/20-second.sh",
    "commit": "own.txt",
    "stage": "build.hcl",
    "stash": "sources.hcl",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_while_an_update_is_computed_stops_it(
    kind: str, edited: Path, whole: Ran
) -> None:
    """An update that finds another repository than it started from changes nothing (review C2)."""
    repository = edited
    # Shortly before the last comparison: the update is computed, and checked out aside.
    ran = meanwhile.run(repository, UPDATE, {whole.writing - 8: [(kind, KINDS[kind], "saved")]})
    # What is stashed is committed nowhere that the update looks at: it goes on, with its conflict.
    assert ran.code == (1 if kind == "stash" else 3), ran
    if ran.code == 3:
        assert "while the update was computed" in ran.stderr, ran
        assert "nothing was changed" in ran.stderr, ran
        assert git(repository, "diff", "--name-only", "--diff-filter=U") == ""
        assert "better" not in (repository / ".copier-answers.yml").read_text()
        assert not (repository / ".git/packer-toolkit-update").exists()
    check(repository, ran)


@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_while_an_update_is_written_stays(kind: str, edited: Path, whole: Ran) -> None:
    """Between any two changes of the update, a saved line stays in a file, in git, or in a named
    copy; the update is finished or undone, and the file is named (review C2).
    """  # noqa: D205 - one sentence
    points = range(whole.writing, whole.points + 1, 13)
    assert len(points) > 3
    for point in points:
        repository = edited.with_name(f"at-{point}")
        shutil.copytree(edited, repository, symlinks=True)
        ran = meanwhile.run(repository, UPDATE, {point: [(kind, KINDS[kind], f"saved {point}")]})
        assert ran.code in (0, 1, 3), ran
        check(repository, ran)
        record = repository / ".git/packer-toolkit-update/record.json"
        assert record.exists() == (ran.code != 3), ran
        if ran.code == 3 and "was undone" in ran.stderr and kind != "commit":
            status = git(repository, "status", "--porcelain", "--untracked-files=no").splitlines()
            names = {line.split()[-1] for line in status}
            assert names <= {KINDS[kind], "linked.txt"}, ran


@pytest.mark.parametrize("path", ["sources.hcl", "windows.txt"])
def test_lines_that_are_appended_all_the_time_are_kept(edited: Path, path: str) -> None:
    """With another process that appends without a pause, each of its lines is kept (review C2)."""
    process = subprocess.Popen(
        ["packer-toolkit", *UPDATE],
        cwd=edited,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr
    with process.stderr:
        printed = process.stderr.readline()
        assert "If this is interrupted" in printed
        lines: list[str] = []
        while process.poll() is None and len(lines) < 50_000:
            lines.append(f"line {len(lines)}")
            with (edited / path).open("a") as file:
                file.write(f"{lines[-1]}\n")
        printed += process.stderr.read()
    assert process.wait() in (1, 3), printed
    assert lines
    assert meanwhile.find_lost(edited, lines, printed) == []
    assert path in printed, printed


def test_a_change_of_same_size_and_time_is_seen(edited: Path, whole: Ran) -> None:
    """Bytes are compared, not what git remembers of a file's size and time (review C2)."""
    git(edited, "config", "core.checkStat", "minimal")
    git(edited, "config", "core.trustctime", "false")
    file = edited / "sources.hcl"
    long_ago = (1_700_000_000, 1_700_000_000)  # git compares files that are as new as its index
    os.utime(file, long_ago)
    git(edited, "update-index", "--refresh")
    file.write_text(file.read_text().replace("ours", "mine"))
    os.utime(file, long_ago)
    assert git(edited, "status", "--porcelain") == ""
    ran = meanwhile.run(edited, UPDATE, {})
    assert (ran.code, "sources.hcl changed while" in ran.stderr) == (3, True), ran
    assert file.read_text().startswith("mine\n")


def test_a_file_that_an_editor_has_open_is_the_one_that_is_moved_aside(
    edited: Path, whole: Ran
) -> None:
    """What is saved into the old file after the update is named when its record is deleted."""
    with (edited / "sources.hcl").open("ab", buffering=0) as editor:
        assert toolkit(edited, "template-update").code == 1
        editor.write(b"saved later\n")
    git(edited, "add", "--all")
    git(edited, "commit", "--quiet", "-m", "Updated")
    answer = toolkit(edited, "template-update")
    assert answer.code == 0
    assert meanwhile.find_lost(edited, ["saved later"], answer.stderr) == []
    assert "What you wrote into sources.hcl since is kept: " in answer.stderr


def test_the_check_finds_a_lost_line(
    edited: Path, whole: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a product that overwrites files, the property does not hold: it can fail."""
    from packer_toolkit.template import update_writer

    def overwrite(place: Path, aside: Path, replacement: Path | None = None) -> None:
        shutil.copy2(place, aside, follow_symlinks=False)
        (replacement or place).replace(place) if replacement else place.unlink()

    monkeypatch.setattr(update_writer, "move_aside", overwrite)
    repository = Path(shutil.copytree(edited, edited.with_name("broken"), symlinks=True))
    broken = meanwhile.run(repository, UPDATE, {})
    point = broken.find(f"'{repository}/sources.hcl']")
    ran = meanwhile.run(edited, UPDATE, {point: [("append", "sources.hcl", "saved")]})
    assert (ran.code, ran.saved) == (1, ["saved"])
    assert meanwhile.find_lost(edited, ran.saved, ran.stdout + ran.stderr) == ["saved"]


# ------------------------------------------------------------------------------- git's index


def test_a_locked_index_is_refused_before_anything_changes(edited: Path) -> None:
    """An update and an undo refuse in one line while git's index is locked (review C17)."""
    lock = edited / ".git/index.lock"
    lock.touch()
    before = state(edited)
    answer = toolkit(edited, "template-update")
    assert (answer.code, "index.lock" in answer.stderr) == (3, True)
    assert "nothing was changed" in answer.stderr
    lock.unlink()
    assert state(edited) == before
    assert toolkit(edited, "template-update").code == 1
    lock.touch()
    after = state(edited)
    answer = toolkit(edited, "template-update", "--undo")
    assert (answer.code, "index.lock" in answer.stderr) == (3, True)
    assert state(edited) == after
    lock.unlink()
    assert toolkit(edited, "template-update", "--undo").code == 0
    assert state(edited) == before


def test_another_git_command_is_waited_for_and_keeps_its_change(edited: Path, whole: Ran) -> None:
    """What is staged while the update is written stays so, beside its conflicts (review C17)."""
    first = whole.find("index.new")
    for point in (first, whole.find("index.lock")):
        repository = edited.with_name(f"at-{point}")
        shutil.copytree(edited, repository, symlinks=True)
        ran = meanwhile.run(
            repository,
            UPDATE,
            {
                point: [("lock_index", "", "")],
                point + 6: [("unlock_index", "staged.txt", "staged")],
            },
        )
        assert ran.code == 1, ran
        assert git(repository, "show", ":staged.txt") == "staged"
        assert git(repository, "ls-files", "--unmerged", "--", "build.hcl").count("\n") == 2
        assert not (repository / ".git/index.lock").exists()


def test_an_index_that_stays_locked_is_one_line_and_undone(
    edited: Path, whole: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that appears while the update is written ends it, undone (review C17)."""
    from packer_toolkit.template import index

    monkeypatch.setattr(index, "_TIMEOUT", 0.2)
    before = state(edited)
    ran = meanwhile.run(edited, UPDATE, {whole.find("index.new"): [("lock_index", "", "")]})
    assert (ran.code, "index.lock" in ran.stderr) == (3, True), ran
    (edited / ".git/index.lock").unlink()
    assert state(edited) == before


def test_the_lock_of_a_killed_update_is_removed(edited: Path, whole: Ran) -> None:
    """An update that was killed with the index locked is undone as any other (review C17)."""
    before = state(edited)
    point = whole.find("/.git/index.lock', '")
    ran = meanwhile.run(edited, UPDATE, {point: [("SIGKILL", "", "")]})
    assert ran.code == -9
    assert (edited / ".git/index.lock").exists()
    assert toolkit(edited, *UNDO).code == 0
    assert state(edited) == before


def test_an_undo_without_an_update_names_what_was_kept_earlier(edited: Path) -> None:
    """Copies are named also where the command that kept them was killed before it could."""
    copy = edited / ".git/packer-toolkit-kept/1/sources.hcl"
    copy.parent.mkdir(parents=True)
    copy.write_text("saved\n")
    answer = toolkit(edited, *UNDO)
    assert answer.stdout == "Nothing to undo: no update is open.\n"
    assert meanwhile.find_lost(edited, ["saved"], answer.stderr) == []


# ----------------------------------------------------------------------- several at one time


@pytest.mark.parametrize(
    "command", [UPDATE, UNDO, ["template-pr", "--repository=o/r"]], ids=lambda item: item[-1]
)
def test_nothing_else_runs_beside_an_update(
    edited: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another update, undo or pull request refuses in one line while one runs (review C6)."""
    from packer_toolkit.template.journal import Journal
    from packer_toolkit.template.project import Project

    monkeypatch.setenv("GITHUB_TOKEN", "x")
    before = state(edited)
    with Journal(Project.read(edited)).lock():
        answer = toolkit(edited, *command)
    assert (answer.code, "is running" in answer.stderr) == (3, True), answer
    assert state(edited) == before


def test_of_two_updates_at_the_same_time_one_refuses(edited: Path) -> None:
    """Two processes that are started together: one updates, the other one is one line."""
    both = [
        subprocess.Popen(
            ["packer-toolkit", *UPDATE], cwd=edited, stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    printed = [process.communicate()[1].decode() for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [1, 3], printed
    refused = printed[[process.returncode for process in both].index(3)]
    assert refused.count("\n") == 1, refused
    assert toolkit(edited, *UNDO).code == 0
    assert git(edited, "status", "--porcelain") == ""


# ------------------------------------------------------------------- records out of date


@pytest.fixture
def killed(edited: Path, whole: Ran) -> Path:
    """Return a repository in which an update was killed while it was written."""
    point = (whole.writing + whole.points) // 2
    ran = meanwhile.run(edited, UPDATE, {point: [("SIGKILL", "", "")]})
    assert ran.code == -9
    assert git(edited, "status", "--porcelain")
    return edited


def _go_back_with_git(repository: Path) -> None:
    git(repository, "reset", "--quiet", "--hard")
    git(repository, "clean", "-fdq")


def _go_back_and_commit(repository: Path) -> None:
    _go_back_with_git(repository)
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Another")


def _commit_it(repository: Path) -> None:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "Half an update")


def _stash_it(repository: Path) -> None:
    git(repository, "stash", "--quiet", "--include-untracked")


def _go_elsewhere(repository: Path) -> None:
    _go_back_with_git(repository)
    git(repository, "checkout", "--quiet", "-b", "other")
    (repository / "sources.hcl").write_text("other\n")
    git(repository, "commit", "--quiet", "--all", "-m", "Other")


WAYS = [_go_back_with_git, _go_back_and_commit, _commit_it, _stash_it, _go_elsewhere]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_record_that_is_out_of_date_blocks_nothing(
    killed: Path, way: Callable[[Path], None]
) -> None:
    """After a kill and the user's own way on, update and undo work again (review C6)."""
    way(killed)
    copy = Path(shutil.copytree(killed, killed.with_name("undone"), symlinks=True))
    before = state(copy)
    answer = toolkit(copy, *UNDO)
    assert (answer.code, "Nothing to undo: " in answer.stdout) == (0, True)
    assert "The record of the update was deleted." in answer.stdout
    assert state(copy) == before
    for repository in (killed, copy):
        assert toolkit(repository, *UPDATE).code in (0, 1)
    assert not list((killed / ".git").glob("packer-toolkit-kept*"))


def test_an_unrelated_commit_leaves_the_undo_as_it_is(killed: Path) -> None:
    """A commit of other files after a kill does not make the undo impossible (review C6)."""
    (killed / "other.txt").write_text("other\n")
    git(killed, "add", "other.txt")
    git(killed, "commit", "--quiet", "-m", "Other", "--", "other.txt")
    answer = toolkit(killed, *UPDATE)
    assert (answer.code, "was interrupted here" in answer.stderr) == (3, True)
    assert toolkit(killed, *UNDO).code == 0
    assert git(killed, "status", "--porcelain") == ""


def test_lines_of_a_record_that_is_out_of_date_are_kept_and_named(edited: Path, whole: Ran) -> None:
    """What was saved into a replaced file is a named copy when the record goes (review C6)."""
    actions: dict[int, list[Action]] = {
        whole.points - 4: [("save_into_open_file", "sources.hcl", "saved"), ("SIGKILL", "", "")]
    }
    ran = meanwhile.run(edited, UPDATE, actions)
    assert ran.code == -9
    _go_back_and_commit(edited)
    answer = toolkit(edited, *UPDATE)
    assert answer.code == 1
    assert meanwhile.find_lost(edited, ["saved"], answer.stderr) == []


def test_a_pull_request_looks_at_the_record_too(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted update stops template-pr with the same line as an update (review C6)."""
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    answer = toolkit(killed, "template-pr", "--dry-run")
    assert (answer.code, "an update was interrupted here" in answer.stderr) == (3, True), answer
    _go_back_and_commit(killed)
    git(killed, "remote", "add", "origin", str(killed))
    answer = toolkit(killed, "template-pr", "--dry-run")
    assert answer.code == 0, answer


def test_an_update_of_release_1_0_0_is_undone(edited: Path) -> None:
    """A record that the toolkit of 1.0.0 has written, done or interrupted, is understood."""
    assert toolkit(edited, *UPDATE).code == 1
    done = Path(shutil.copytree(edited, edited.with_name("done"), symlinks=True))
    for repository, current in ((done, "done"), (edited, "started")):
        folder = repository / ".git/packer-toolkit-update"
        record = json.loads((folder / "record.json").read_text())
        written = record.pop("written")
        for name in ("expected", "kept", "beside"):
            del record[name]
        record["state"] = current
        if current == "done":
            record["written"] = {
                path: text if text.startswith("link ") else text.rpartition(" ")[2]
                for path, text in written.items()
            }
            record["index"] = "x"
        (folder / "record.json").write_text(json.dumps(record))
        shutil.copy2(repository / ".git/index", folder / "index")
        (repository / "sources.hcl").write_text("saved\n")
        (repository / ".run.sh.packer-toolkit").write_text("half-written")
        answer = toolkit(repository, *UNDO)
        assert answer.code == 0, answer
        assert git(repository, "status", "--porcelain") == ""
        assert meanwhile.find_lost(repository, ["saved"], answer.stderr) == []


# ------------------------------------------------------------------------ disks and permissions


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return a function that mounts a file system of so many KiB."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        place = tmp_path / f"disk-{size}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("free", [0, 4, 12, 24, 40, 60, 80, 100, 140, 200])
def test_on_a_full_disk_everything_is_as_it_was(
    free: int, edited: Path, small_disk: Callable[[int], Path]
) -> None:
    """With any space left, an update works, or is undone and reports it (review C7)."""
    disk = small_disk(8192)
    repository = Path(shutil.copytree(edited, disk / "web", symlinks=True))
    before = state(repository)
    subprocess.run(["dd", "if=/dev/zero", f"of={disk}/full", "bs=4k"], capture_output=True)
    os.truncate(disk / "full", (disk / "full").stat().st_size - free * 1024)
    answer = toolkit(repository, *UPDATE)
    (disk / "full").unlink()
    if answer.code == 3:
        assert "No space left on device" in answer.stderr or "cannot be written" in answer.stderr
        if "not undone yet" in answer.stderr:
            assert "template-update --undo" in answer.stderr
            assert toolkit(repository, *UNDO).code == 0
        assert state(repository) == before
        assert not (repository / ".git/packer-toolkit-update").exists()
    else:
        assert answer.code == 1
    # With space again it works.
    if answer.code == 3:
        assert toolkit(repository, *UPDATE).code == 1
    assert toolkit(repository, *UNDO).code == 0
    assert state(repository) == before


def test_an_undo_needs_no_space(edited: Path, small_disk: Callable[[int], Path]) -> None:
    """On a disk that became full after it, an update is undone (review C7)."""
    disk = small_disk(8192)
    repository = Path(shutil.copytree(edited, disk / "web", symlinks=True))
    before = state(repository)
    assert toolkit(repository, *UPDATE).code == 1
    subprocess.run(["dd", "if=/dev/zero", f"of={disk}/full", "bs=4k"], capture_output=True)
    answer = toolkit(repository, *UNDO)
    (disk / "full").unlink()
    assert answer.code == 0 or "not undone yet" in answer.stderr, answer
    if answer.code:
        assert toolkit(repository, *UNDO).code == 0
    assert state(repository) == before


def test_an_undo_that_fails_says_so(edited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the undo inside of an update fails, the message has the command (review C7)."""
    from packer_toolkit.template import index, undo

    before = state(edited)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(index.Index, "change", fail)
        patch.setattr(undo, "move_to_free_path", fail)
        answer = toolkit(edited, *UPDATE)
    assert answer.code == 3
    assert "the update is not undone yet (No space left on device)" in answer.stderr
    assert answer.stderr.endswith("template-update --undo")
    assert "as it was" not in answer.stderr
    assert toolkit(edited, *UNDO).code == 0
    assert state(edited) == before


@pytest.mark.parametrize("folder", ["scripts", ".", ".git"])
def test_a_folder_that_cannot_be_written_changes_nothing(edited: Path, folder: str) -> None:
    """An update in a read-only folder is refused or undone, in one line."""
    (edited / folder).chmod(0o555)
    before = files(edited)
    command = [sys.executable, "-m", "packer_toolkit", *UPDATE]
    if os.geteuid() == 0:
        # Root may write everywhere, unless it gives that up.
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    done = subprocess.run(command, cwd=edited, capture_output=True, text=True, check=False)
    (edited / folder).chmod(0o755)
    assert done.returncode == 3, done
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("packer-toolkit: ")]
    assert "Permission denied" in line
    assert files(edited) == before
    assert toolkit(edited, *UPDATE).code == 1


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_where_files_cannot_be_exchanged(
    edited: Path, whole: Ran, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Without the system call of Linux, and without hard links, an update loses nothing either."""
    from packer_toolkit.template import file_changes as file_operations

    monkeypatch.setattr(file_operations, "_rename", lambda *_: False)
    if not links:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(file_operations.os, "link", refuse)
    before = state(edited)
    for point in range(whole.writing, whole.points + 20, 12):
        repository = edited.with_name(f"at-{point}")
        shutil.copytree(edited, repository, symlinks=True)
        actions: dict[int, list[Action]] = {point: [("append", "sources.hcl", "saved")]}
        if point % 2:
            actions[point + 3] = [("SIGKILL", "", "")]
        ran = meanwhile.run(repository, UPDATE, actions)
        undone = meanwhile.run(repository, UNDO, {})
        assert undone.code == 0, (ran, undone)
        check(repository, ran, undone)
    assert toolkit(edited, *UPDATE).code == 1
    assert toolkit(edited, *UNDO).code == 0
    assert state(edited) == before


def test_a_work_tree_on_another_file_system_than_gits_folder(
    edited: Path, whole: Ran, small_disk: Callable[[int], Path]
) -> None:
    """There, files are moved aside into a hidden folder of the work tree."""
    place = small_disk(8192) / "web"
    git(edited, "worktree", "add", "--quiet", str(place), "-b", "update")
    before = state(place)
    assert toolkit(place, *UPDATE).code == 1
    assert "packer-toolkit" not in git(place, "status", "--porcelain", "-uall")
    (place / "sources.hcl").write_text("saved\n")
    answer = toolkit(place, *UNDO)
    assert (answer.code, answer.stderr) == (0, answer.stderr)
    (oid,) = re.findall(r"git cat-file -p ([0-9a-f]+)", answer.stderr)
    assert git(place, "cat-file", "-p", oid) == "saved"
    assert state(place) == before
