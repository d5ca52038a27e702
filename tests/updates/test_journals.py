"""Writing an update, undoing it, and what becomes of its record."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_project import NEW, OLD, Files, commit_all, create_project, plan, write_files

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.answers_file import DEFAULT as ANSWERS_FILE
from packer_toolkit.template.journal import Journal, find_project
from packer_toolkit.template.project import Project
from packer_toolkit.template.undo import Undone, describe_error
from packer_toolkit.template.update_record import RecordFolder
from packer_toolkit.template.update_result import show_copy
from packer_toolkit.template.update_writer import UpdateWriter
from rig.repositories.template import git
from rig.run.updating import state, unmerged


@pytest.fixture
def plain(tmp_path: Path) -> Project:
    """Return a committed project at release v1.0.0, in which the release conflicts twice."""
    project = create_project(tmp_path / "web")
    write_files(project.folder, {"build.hcl": "one\ntwo\nours\nfour\nfive\n", "gone.txt": "ours\n"})
    commit_all(project.folder)
    return Project.read(project.folder)


def write(project: Project, new: Files = NEW) -> dict[str, Path | None]:
    """Write an update into a project."""
    with plan(project, new=new) as update:
        return Journal(project).write(update)


def read_record(project: Project) -> dict[str, object]:
    """Return the values of a project's record."""
    record: dict[str, object] = json.loads(RecordFolder(project).file.read_text())
    return record


def replace_record(project: Project, **values: object) -> None:
    """Change values of a project's record; None removes one."""
    record = {**read_record(project), **values}
    text = json.dumps({name: value for name, value in record.items() if value is not None})
    RecordFolder(project).file.write_text(text)


def test_an_undo_restores_every_byte(plain: Project) -> None:
    """An update changes files and stages conflicts only, and its undo restores everything."""
    before = state(plain.folder)
    assert write(plain) == {}
    assert (plain.folder / "lib/added.txt").read_text() == "added\n"
    assert "<<<<<<< before updating" in (plain.folder / "build.hcl").read_text()
    assert unmerged(plain.folder) == ["build.hcl", "gone.txt"]
    assert not (plain.folder / "old-name.txt").exists()
    journal = Journal.find(plain.folder / "scripts")
    preview = journal.undo(dry_run=True)
    undone = journal.undo()
    assert preview
    assert undone
    assert (undone.release, undone.copies, undone.reason) == ("v1.0.0", {}, "")
    assert undone.paths == preview.paths == sorted(undone.paths)
    assert state(plain.folder) == before
    assert journal.undo() is None
    assert journal.copies is None


def test_an_undo_keeps_what_was_saved_later(plain: Project) -> None:
    """Files that the user saved after the update become copies, and git objects."""
    before = state(plain.folder)
    write(plain)
    write_files(plain.folder, {"run.sh": "saved\n", "new-name.txt": "->run.sh"})
    (plain.folder / "lib/added.txt").unlink()
    preview = Journal(plain).undo(dry_run=True)
    assert preview
    assert {*preview.kept} == {"run.sh", "new-name.txt"}
    undone = Journal(plain).undo()
    assert undone
    assert undone.copies["run.sh"].read_text() == "saved\n"
    assert git(plain.folder, "cat-file", "-p", undone.kept["run.sh"]) == "saved"
    assert undone.kept["new-name.txt"] == ""
    assert state(plain.folder) == before
    assert Journal(plain).copies == undone.copies["run.sh"].parents[1]


def test_an_undo_moves_blocking_files_away(plain: Project) -> None:
    """A file at a path where a restored file needs a folder becomes a copy."""
    before = state(plain.folder)
    new = {path: content for path, content in NEW.items() if not path.startswith("scripts/")}
    write(plain, new)
    assert not (plain.folder / "scripts").exists()
    (plain.folder / "scripts").write_text("in the place of a folder\n")
    undone = Journal(plain).undo()
    assert undone
    assert undone.copies["scripts"].read_text() == "in the place of a folder\n"
    assert state(plain.folder) == before


def test_an_update_with_attributes_is_undone(plain: Project) -> None:
    """Attributes of a release are written first, and decide on the line endings of the others."""
    before = state(plain.folder)
    write(plain, {**NEW, ".gitattributes": "*.sh eol=crlf\n"})
    assert b"more\r\n" in (plain.folder / "run.sh").read_bytes()
    assert Journal(plain).undo()
    assert state(plain.folder) == before


def test_a_folder_and_a_file_are_exchanged(plain: Project) -> None:
    """A folder that becomes a file, and a file that becomes a folder, are restored."""
    (plain.folder / "scripts/empty").mkdir()
    before = state(plain.folder)
    new = {
        path: content
        for path, content in NEW.items()
        if path not in ("scripts/first.sh", "logo.bin")
    }
    write(plain, {**new, "scripts": "one file\n", "logo.bin/file": "in a folder\n"})
    assert (plain.folder / "scripts").read_text() == "one file\n"
    assert Journal(plain).undo()
    assert state(plain.folder) == before


@pytest.mark.parametrize("name", ["run.sh", "lib/added.txt", "gone.txt", ANSWERS_FILE])
def test_a_change_after_the_computation_is_refused(plain: Project, name: str) -> None:
    """A file that was saved between the computation and the writing stays, and nothing changes."""
    with plan(plain) as update:
        write_files(plain.folder, {name: "saved\n"})
        before = state(plain.folder)
        with pytest.raises(SetupError, match="changed while the update was computed"):
            Journal(plain).write(update)
    assert state(plain.folder) == before


def test_a_commit_after_the_computation_is_refused(plain: Project) -> None:
    """A commit between the computation and the writing is not overwritten."""
    with plan(plain) as update:
        write_files(plain.folder, {"run.sh": "saved\n"})
        commit_all(plain.folder)
        with pytest.raises(SetupError, match="another commit was made or checked out"):
            Journal(plain).write(update)
    assert (plain.folder / "run.sh").read_text() == "saved\n"


class Interrupting(UpdateWriter):
    """A writer during which something happens before a path is written."""

    path = "run.sh"
    action: Callable[[Path], None] = staticmethod(lambda _: None)

    def _replace(self, record: object, path: str) -> None:
        if path == self.path:
            type(self).action(self.plan.project.folder / path)
        super()._replace(record, path)  # type: ignore[arg-type]


def interrupt(monkeypatch: pytest.MonkeyPatch, path: str, action: Callable[[Path], object]) -> None:
    """Let something happen before an update writes a path."""
    monkeypatch.setattr(Interrupting, "path", path)
    monkeypatch.setattr(Interrupting, "action", staticmethod(action))
    monkeypatch.setattr("packer_toolkit.template.journal.UpdateWriter", Interrupting)


def fail(_: Path) -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device")


def stop(_: Path) -> None:
    """Stop as Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("path", "action", "message"),
    [
        ("run.sh", fail, r"cannot be written \(No space left on device\); everything is as it was"),
        (
            "run.sh",
            lambda file: file.write_text("saved\n"),
            "run.sh changed while the update was w",
        ),
        ("lib/added.txt", lambda file: file.parent.write_text("saved\n"), "lib/added.txt changed"),
        ("run.sh", lambda file: file.unlink(), "run.sh changed while the update was written"),
    ],
)
def test_an_update_that_fails_is_undone(
    plain: Project,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    action: Callable[[Path], object],
    message: str,
) -> None:
    """An update that cannot be finished is undone, and what the user saved meanwhile stays."""
    interrupt(monkeypatch, path, action)
    head = git(plain.folder, "rev-parse", "HEAD:")
    with pytest.raises(SetupError, match=message):
        write(plain)
    assert git(plain.folder, "write-tree") == head
    changed = git(plain.folder, "status", "--porcelain", "-uall").split()[1::2]
    assert changed in ([], ["run.sh"], ["lib"])
    assert not RecordFolder(plain).path.exists()


def test_an_interrupted_update_is_undone_in_silence(
    plain: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C undoes the update, and is not turned into an error."""
    before = state(plain.folder)
    interrupt(monkeypatch, "run.sh", stop)
    with pytest.raises(KeyboardInterrupt):
        write(plain)
    assert state(plain.folder) == before


@pytest.fixture
def killed(plain: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project in which an update was killed while it was written."""
    before = state(plain.folder)
    monkeypatch.setattr(Journal, "_undo_after", lambda *_: {})
    interrupt(monkeypatch, "run.sh", stop)
    with pytest.raises(KeyboardInterrupt):
        write(plain)
    monkeypatch.undo()
    assert state(plain.folder) != before
    return Project.read(plain.folder)


def test_a_killed_update_is_undone_first(killed: Project, tmp_path: Path) -> None:
    """The next update refuses until a killed one is undone, which restores everything."""
    journal = Journal(killed)
    with pytest.raises(SetupError, match="an update was interrupted here; undo it first: "):
        journal.settle()
    preview = journal.undo(dry_run=True)
    assert preview
    assert "build.hcl" in preview.paths
    assert "run.sh" not in preview.paths
    assert journal.undo()
    assert git(killed.folder, "status", "--porcelain") == ""
    assert journal.settle() == Undone()


def test_a_killed_update_without_answers_file_is_found(killed: Project) -> None:
    """A command names the killed update where that has moved the answers file aside."""
    (killed.folder / ANSWERS_FILE).unlink()
    with pytest.raises(SetupError, match="an update was interrupted here"):
        find_project(killed.folder)
    with pytest.raises(SetupError, match="not created from the template"):
        find_project(killed.folder.parent)


def test_a_record_of_release_1_1_0_is_undone(killed: Project) -> None:
    """The record that 1.1.0 leaves has these keys and folders, and is undone (a contract)."""
    assert {*read_record(killed)} == {
        *("state", "head", "release", "paths", "saved", "added", "new_folders", "empty_folders"),
        *("conflicts", "expected", "written", "kept", "beside"),
    }
    folder = killed.folder / ".git/packer-toolkit-update"
    assert {file.name for file in folder.iterdir()} == {
        "record.json",
        "record.done",
        "files",
        "new",
    }
    assert Journal(killed).undo()
    assert git(killed.folder, "status", "--porcelain") == ""


def test_a_record_of_release_1_0_0_is_undone(killed: Project) -> None:
    """A record of 1.0.0 has no digests and no folder of new files, and is undone (a contract)."""
    for name in ("expected", "written", "kept", "beside"):
        replace_record(killed, **{name: None})
    folder = RecordFolder(killed).path
    for file in (folder / "new").iterdir():
        file.unlink()
    (folder / "new").rmdir()
    (killed.folder / ".run.sh.packer-toolkit").write_text("half")
    assert Journal(killed).undo()
    status = git(killed.folder, "status", "--porcelain")
    assert status == ""


def test_a_finished_update_must_be_committed_first(plain: Project) -> None:
    """The next update refuses until the last one is committed; its record is deleted then."""
    write(plain)
    with pytest.raises(SetupError, match="the last update is not committed yet"):
        Journal(plain).require_settled()
    commit_all(plain.folder)
    again = Project.read(plain.folder)
    with pytest.raises(SetupError, match="undo it with git revert COMMIT"):
        Journal(again).undo()
    Journal(again).require_settled()
    assert Journal(again).settle() == Undone()
    assert not RecordFolder(again).path.exists()


def test_a_record_is_outdated_after_a_reset(plain: Project) -> None:
    """After git reset --hard an undo deletes the record, and copies what is nowhere else."""
    write(plain)
    replaced = next((RecordFolder(plain).path / "files").iterdir())
    replaced.write_text("saved by an editor that had the file open\n")
    late = Journal(plain).copy_saved_aside()
    assert [copy.read_text() for copy in late.copies.values()] == [replaced.read_text()]
    git(plain.folder, "reset", "--quiet", "--hard")
    git(plain.folder, "clean", "-ffdxq")
    journal = Journal(Project.read(plain.folder))
    preview = journal.undo(dry_run=True)
    assert preview
    assert preview.reason == "there are no uncommitted changes"
    undone = journal.undo()
    assert undone
    assert undone.reason == preview.reason
    assert len(undone.copies) == 2
    assert not RecordFolder(plain).path.exists()


def test_ignored_files_of_an_outdated_update_are_removed(plain: Project) -> None:
    """A new file that git ignores is left by git reset, and removed with the record."""
    write_files(plain.folder, {".gitignore": "/lib/\n"})
    commit_all(plain.folder)
    project = Project.read(plain.folder)
    write(project)
    git(plain.folder, "reset", "--quiet", "--hard")
    git(plain.folder, "clean", "-ffdq")
    assert (plain.folder / "lib/added.txt").exists()
    Journal(project).settle()
    assert not (plain.folder / "lib/added.txt").exists()


def test_projects_in_one_repository_have_records_of_their_own(tmp_path: Path) -> None:
    """Two folders of a repository are updated and undone independently."""
    (tmp_path / "repository").mkdir()
    git(tmp_path / "repository", "init", "--quiet", "--template=", "-b", "main")
    one = create_project(tmp_path / "repository/one")
    two = create_project(tmp_path / "repository/images/two")
    before = state(tmp_path / "repository")
    one, two = Project.read(one.folder), Project.read(two.folder)
    write(one)
    write(two)
    assert Journal.find(two.folder / "scripts").project.folder == two.folder
    assert Journal(one).undo()
    assert git(one.folder, "status", "--porcelain", "--", ".") == ""
    assert Journal(two).undo()
    assert state(tmp_path / "repository") == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "it is not JSON"), ("[]", "it has no added"), ('{"state": "done"}', "it has no added")],
)
def test_a_damaged_record_is_one_line(plain: Project, text: str, reason: str) -> None:
    """A damaged record is refused with the folder of the replaced files."""
    write(plain)
    RecordFolder(plain).file.write_text(text)
    with pytest.raises(SetupError, match=rf"is damaged \({reason}\); what the update replaced"):
        Journal(plain).undo()
    RecordFolder(plain).file.unlink()
    RecordFolder(plain).file.mkdir()
    with pytest.raises(SetupError, match=r"is damaged \(Is a directory\)"):
        Journal(plain).undo()


def test_a_second_update_is_refused_while_one_runs(plain: Project) -> None:
    """The lock of a record keeps a second update or undo away."""
    with (
        Journal(plain).lock(),
        pytest.raises(SetupError, match="another update or undo of"),
        Journal(plain).lock(),
    ):
        pass


def test_a_locked_index_is_refused(plain: Project) -> None:
    """An update and an undo refuse while git's index is locked."""
    write(plain)
    (plain.git_dir / "index.lock").touch()
    with pytest.raises(SetupError, match="nothing was changed"):
        Journal(plain).require_unlocked()
    with pytest.raises(SetupError, match="nothing was undone; then run: "):
        Journal(plain).undo()


def test_files_saved_while_an_update_is_written_stay(
    plain: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that the user saves after it was written stays; the update's version is copied."""
    written = plain.folder / ANSWERS_FILE

    def save(_: Path) -> None:
        written.write_text("saved\n")
        (plain.folder / "gone.txt").write_text("saved\n")

    interrupt(monkeypatch, "run.sh", save)
    copies = write(plain, {path: text for path, text in NEW.items() if path != "gone.txt"})
    assert written.read_text() == "saved\n"
    copy = copies[ANSWERS_FILE]
    assert copy
    assert "_commit: v1.1.0" in copy.read_text()


def test_modes_are_staged_where_git_ignores_them(tmp_path: Path) -> None:
    """With core.fileMode=false the index gets the new executable bit, and an undo restores it."""
    project = create_project(tmp_path / "web")
    git(project.folder, "config", "core.fileMode", "false")
    git(project.folder, "update-index", "--chmod=+x", "run.sh")
    git(project.folder, "commit", "--quiet", "-m", "Executable")
    project = Project.read(project.folder)
    before = state(project.folder)
    with plan(project, new={**OLD, "run.sh": "#!/bin/sh\necho changed\n"}) as update:
        Journal(project).write(update)
    assert "echo changed" in (project.folder / "run.sh").read_text()
    assert Journal(project).undo()
    assert state(project.folder) == before


def test_errors_are_described_in_a_few_words(tmp_path: Path) -> None:
    """The reason of an error is its text, and the file that it is about."""
    assert describe_error(KeyboardInterrupt()) == "interrupted"
    assert describe_error(ValueError("x")) == "x"
    assert describe_error(OSError(errno.EACCES, "Permission denied", "f")) == "Permission denied: f"
    assert show_copy(tmp_path / "a b") == f"'{tmp_path}/a b'"
    assert show_copy(Path.cwd() / "x") == "x"
