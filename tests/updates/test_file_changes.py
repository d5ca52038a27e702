"""Single files are moved without losing a byte, also without the system calls of Linux."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from packer_toolkit.template import file_changes
from packer_toolkit.template.file_changes import (
    are_on_one_file_system,
    describe_file,
    find_blocking_file,
    has_content,
    move_aside,
    move_to_free_path,
)
from packer_toolkit.template.path_names import (
    find_case_renames,
    find_collisions,
    find_other_name,
    group_by_fold,
    has_exact_name,
    is_one_file,
)


@pytest.fixture(params=["system calls", "links", "copies"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Move files with Linux's system calls, with hard links, or with copies."""
    if request.param != "system calls":
        monkeypatch.setattr(file_changes, "_rename", lambda *_: False)
    if request.param == "copies":

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(file_changes.os, "link", refuse)
    return str(request.param)


def test_a_file_is_replaced_and_kept(way: str, tmp_path: Path) -> None:
    """The file is moved aside as it is, and the other one takes its place."""
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("old")
    file.chmod(0o640)
    other.write_text("new")
    before = describe_file(file)
    move_aside(file, tmp_path / "aside", other)
    assert (file.read_text(), describe_file(tmp_path / "aside")) == ("new", before)
    assert not other.exists()
    move_aside(file, tmp_path / "again")
    assert not file.exists()


def test_no_file_is_overwritten(way: str, tmp_path: Path) -> None:
    """A file, link or folder is moved only to a path where nothing is."""
    (tmp_path / "file").write_text("file")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken").write_text("mine")
    for name in ("file", "link", "folder"):
        source = tmp_path / name
        before = describe_file(source)
        with pytest.raises(FileExistsError):
            move_to_free_path(source, tmp_path / "taken")
        move_to_free_path(source, tmp_path / f"{name}.moved")
        assert describe_file(tmp_path / f"{name}.moved") == before
        assert not os.path.lexists(source)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A copy that cannot be finished is removed, and the file stays."""
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        file_changes._copy(tmp_path / "file", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_files_are_described_by_mode_and_content(tmp_path: Path) -> None:
    """Each kind of file has a description, and modes do not matter to its content."""
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o644)
    description = describe_file(file)
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    assert describe_file(tmp_path / "link") == "link file"
    assert describe_file(tmp_path) == "folder"
    assert describe_file(tmp_path / "fifo") == "other"
    assert describe_file(tmp_path / "none") == describe_file(file / "below") == ""
    file.chmod(0o755)
    assert has_content(describe_file(file), description)
    assert has_content(describe_file(file), description.split()[1])
    assert not has_content("", description)
    assert not has_content(description, None)
    assert not has_content("link x", "file x")


def test_blocking_files_are_found(tmp_path: Path) -> None:
    """A file or link where a path needs a folder is found."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    (tmp_path / "link").symlink_to("folder")
    assert find_blocking_file(tmp_path, "folder/file/x/y") == tmp_path / "folder/file"
    assert find_blocking_file(tmp_path, "link/x") == tmp_path / "link"
    assert find_blocking_file(tmp_path, "folder/x") is None
    assert are_on_one_file_system(tmp_path, tmp_path / "folder")


def test_names_of_one_file_are_found(tmp_path: Path) -> None:
    """Two names that are equal when folded are one file only if the file system says so."""
    (tmp_path / "a.txt").touch()
    os.link(tmp_path / "a.txt", tmp_path / "A.txt")
    assert is_one_file(tmp_path, "a.txt", "A.txt")
    assert not is_one_file(tmp_path, "a.txt", "a.txt")
    assert not is_one_file(tmp_path, "b.txt", "B.txt")
    assert find_other_name(tmp_path, "A.txt", group_by_fold(["a.txt"])) == "a.txt"
    assert has_exact_name(tmp_path / "a.txt")
    assert not has_exact_name(tmp_path / "none" / "a.txt")


def test_renames_and_collisions_are_told_apart() -> None:
    """A path that replaces one of the same folded form is a rename, one beside it a collision."""
    assert find_case_renames(["Read.md", "x"], ["README.md", "read.md"]) == {"Read.md": "read.md"}
    assert find_collisions(["a/x"], ["a/x", "A/y", "b"]) == []
    assert find_collisions(["same"], ["same", "SAME"]) == [("SAME", "same")]
    assert find_collisions(["lib"], ["lib", "LIB/x"]) == [("LIB/x", "lib")]
