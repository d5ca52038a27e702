"""Undo an update by its record, or report what that would change.

The undo needs neither the template nor Copier, nor disk space; it may be repeated after a kill at
any point.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import GitError
from packer_toolkit.template.file_changes import (
    choose_copy,
    describe_file,
    exists,
    find_blocking_file,
    has_content,
    move_to_free_path,
)
from packer_toolkit.template.index import Index, list_undo_lines
from packer_toolkit.template.path_names import find_other_name, group_by_fold, is_one_file
from packer_toolkit.template.project import Project, find_uncommitted
from packer_toolkit.template.trees import read_tree
from packer_toolkit.template.update_record import UpdateRecord
from packer_toolkit.template.update_result import format_undo_command, show_copy
from packer_toolkit.text.paths import show_path


@dataclass(frozen=True)
class Undone:
    """What was undone.

    Attributes:
        release: The release that the repository is at again; empty if there was nothing to undo.
        paths: The files that were restored or removed.
        kept: What was saved into them after the update: path -> the ID of git's object with it,
            empty in a dry run, or where it cannot be an object.
        copies: The same as files: path -> the copy.
        reason: Why the record of an update was outdated; empty if it was not.
    """

    release: str = ""
    paths: list[str] = field(default_factory=list)
    kept: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, Path] = field(default_factory=dict)
    reason: str = ""


def undo_record(record: UpdateRecord, index: Index, dry_run: bool) -> Undone:
    """Undo an update.

    Args:
        record: Its record.
        index: The index of the repository.
        dry_run: Only report what would be undone.

    Raises:
        SetupError: Commits were made since, or it cannot be undone yet.
    """
    project = record.folder.project
    reason = explain_outdated(record)
    if reason and record.state == "done" and has_later_commit(record):
        raise SetupError(
            "the update is already part of a commit, or another commit is checked out; "
            "undo it with git revert COMMIT"
        )
    if reason:
        copies = {} if dry_run else delete_outdated(record, index)
        return Undone(copies=copies, reason=reason)
    paths, release = list_undone_files(record), record.values["release"]
    if dry_run:
        return Undone(release, paths, dict.fromkeys(list_edited_files(record), ""))
    index.require_unlocked(f"nothing was undone; then run: {format_undo_command(project)}")
    try:
        copies = Rollback(record, index).roll_back()
    except (OSError, SetupError) as error:
        raise create_undo_error(project, error) from None
    except BaseException as error:
        sys.stderr.write(f"packer-toolkit: {create_undo_error(project, error)}\n")
        raise
    kept = {path: _store_object(project, copy) for path, copy in copies.items()}
    return Undone(release, paths, kept, copies)


def describe_copies(undone: Undone) -> list[str]:
    """Return a line for each copy of what the user saved into an update's files."""
    return [
        f"What you wrote into {show_path(path)} since is kept: "
        + (f"git cat-file -p {undone.kept[path]}, or " if undone.kept.get(path) else "")
        + show_copy(copy)
        for path, copy in undone.copies.items()
    ]


def create_undo_error(project: Project, *errors: BaseException) -> SetupError:
    """Return the error that an update could not be undone, with the next step."""
    reasons = dict.fromkeys(describe_error(error) for error in errors)
    return SetupError(
        f"the update is not undone yet ({'; '.join(reasons)}); nothing is lost; fix that, "
        f"then run: {format_undo_command(project)}"
    )


def describe_error(error: BaseException) -> str:
    """Return the reason of an error in a few words."""
    if isinstance(error, GitError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) if isinstance(error, Exception) else "interrupted"


def _store_object(project: Project, copy: Path) -> str:
    """Store a file as an object of git and return its ID; empty where it cannot be one."""
    with contextlib.suppress(OSError, GitError):
        if not copy.is_symlink():
            return project.git.text("hash-object", "-w", "--stdin", stdin=copy.read_bytes())
    return ""


def list_undone_files(record: UpdateRecord) -> list[str]:
    """Return the files that an undo restores or removes."""
    if record.state == "done":
        return record.paths
    root, written, saved = record.folder.project.folder, record.written, {*record.saved}
    staged = {path for path in record.paths if exists(record.find_new_file(path))}
    exchanged = {
        path
        for path in staged & saved
        if describe_file(record.find_new_file(path)) != written.get(path)
    }
    replaced = {path for path in saved if exists(record.find_old_file(path))}
    added = {path for path in record.added if exists(root / path)} - staged
    return [path for path in record.paths if path in replaced | exchanged | added]


def list_edited_files(record: UpdateRecord) -> list[str]:
    """Return the files with content that is neither the update's nor what was there before."""
    root, saved, edited = record.folder.project.folder, {*record.saved}, []
    for path, written in record.written.items():
        now = describe_file(root / path)
        if now in ("", "folder") or has_content(now, written) or find_blocking_file(root, path):
            continue
        if path not in saved or describe_file(record.find_old_file(path)) != now:
            edited.append(path)
    return sorted(edited)


def explain_outdated(record: UpdateRecord) -> str:
    """Return why a record does not describe the repository any longer; empty if it does."""
    if has_later_commit(record):
        return "commits were made since, or another commit is checked out"
    return "" if find_uncommitted(record.folder.project) else "there are no uncommitted changes"


def has_later_commit(record: UpdateRecord) -> bool:
    """Check whether HEAD has moved to a commit with other content of the update's files."""
    project = record.folder.project
    if project.read_head() == record.head:
        return False
    try:
        old, new = (
            read_tree(project.git, f"{commit}:{project.prefix}") for commit in (record.head, "HEAD")
        )
    except GitError:
        return True
    return any(old.get(path) != new.get(path) for path in record.paths)


def delete_outdated(record: UpdateRecord, index: Index) -> dict[str, Path]:
    """Delete a record; what it has that is nowhere else becomes a copy.

    Returns:
        The copies, by path.
    """
    project, rollback = record.folder.project, Rollback(record, index)
    root = project.folder
    rollback.remove_temporary_files()
    unwritten = rollback.remove_new_files()
    if project.read_head() == record.head:
        # Git has restored its own files; what it ignores is still there.
        committed = read_tree(project.git, f"HEAD:{project.prefix}")
        names, written = group_by_fold(committed), record.written
        for path in record.added:
            is_other = path in committed or path in unwritten or find_blocking_file(root, path)
            if is_other or find_other_name(root, path, names):
                continue
            if has_content(describe_file(root / path), written.get(path)):
                rollback.move_away(path)
    for path in record.saved:
        old = record.find_old_file(path)
        if exists(old) and not _is_known(record, old, path):
            shutil.move(old, choose_copy(record.copies, path))
    return record.folder.delete(record)


def _is_known(record: UpdateRecord, old: Path, path: str) -> bool:
    """Check whether a file that was replaced is what git has, or is in the project again."""
    project, description = record.folder.project, describe_file(old)
    is_expected = description == record.expected.get(path)
    if is_expected or has_content(description, describe_file(project.folder / path)):
        return True
    if old.is_symlink() or not old.is_file():
        return False
    # Release 1.0.0 recorded nothing to compare with.
    name = f"--path={project.prefix}{path}"
    oid = project.git.text("hash-object", "--stdin", name, stdin=old.read_bytes())
    commits = (f"{commit}:{project.prefix}{path}" for commit in (record.head, "HEAD"))
    processes = (project.git.run("rev-parse", commit) for commit in commits)
    return any(process.stdout.decode().strip() == oid for process in processes)


class Rollback:
    """Restores what one update has changed.

    Attributes:
        record: The record of the update.
    """

    def __init__(self, record: UpdateRecord, index: Index) -> None:
        self.record = record
        self._index = index
        self._root = record.folder.project.folder

    def roll_back(self) -> dict[str, Path]:
        """Restore what differs, and delete the record.

        Returns:
            What was in the files instead, and is neither the update's nor what was there before:
            path -> the copy of it.
        """
        record, root = self.record, self._root
        self.remove_temporary_files()
        unwritten = self.remove_new_files()
        for path in record.added:
            # What is at the path of a file that was not written yet is the user's.
            place = root / path
            is_other = path in unwritten or find_blocking_file(root, path) or not exists(place)
            if is_other or self._is_restored(path):
                continue
            if place.is_dir() and not place.is_symlink():
                with contextlib.suppress(OSError):
                    place.rmdir()
                continue
            self.move_away(path)
        for name in sorted(record.values["new_folders"], reverse=True):
            with contextlib.suppress(OSError):
                (root / name).rmdir()
        for name in record.values["empty_folders"]:
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                (root / name).mkdir(parents=True, exist_ok=True)
        for path in record.saved:
            self._put_back(path)
        if lines := list_undo_lines(record):
            self._index.change(lines)
        return record.folder.delete(record)

    def remove_temporary_files(self) -> None:
        """Remove what a killed process left half-done; that frees space too."""
        record, work = self.record, self.record.work
        self._index.remove_own_lock()
        shutil.rmtree(work / "aside", ignore_errors=True)
        for name in ("index.new", "compared.index", "aside.index", "record.next"):
            (record.folder.path / name).unlink(missing_ok=True)
        if exists(work / "taken"):
            # Killed between the two steps of `move_away`.
            shutil.move(work / "taken", choose_copy(record.copies, "unknown-name"))
        if "expected" not in record.values:
            # Release 1.0.0 wrote files under these names first.
            for path in record.paths:
                place = self._root / path
                if not find_blocking_file(self._root, path):
                    place.with_name(f".{place.name[:60]}.packer-toolkit").unlink(missing_ok=True)

    def remove_new_files(self) -> set[str]:
        """Delete the files that were not written yet, and return their paths.

        A file that was exchanged with the user's, and not put aside yet, is the user's.
        """
        record, written = self.record, self.record.written
        unwritten: set[str] = set()
        for path in record.paths:
            staged = record.find_new_file(path)
            if not exists(staged):
                continue
            is_staged = describe_file(staged) == written.get(path, describe_file(staged))
            if path in record.saved and not is_staged:
                staged.rename(record.find_old_file(path))
                continue
            unwritten.add(path)
            if staged.is_dir() and not staged.is_symlink():
                shutil.rmtree(staged)
            else:
                staged.unlink()
        return unwritten

    def move_away(self, path: str) -> None:
        """Move what is at a path away; keep a copy, unless the update has written it."""
        place, aside = self._root / path, self.record.work / "taken"
        try:
            place.rename(aside)
        except FileNotFoundError:
            return
        if has_content(describe_file(aside), self.record.written.get(path)):
            aside.unlink()
        else:
            shutil.move(aside, choose_copy(self.record.copies, path))

    def _is_restored(self, path: str) -> bool:
        """Check whether a new path leads to a file that was put back under another name already."""
        return any(
            is_one_file(self._root, old, path) and not exists(self.record.find_old_file(old))
            for old in self.record.saved
        )

    def _put_back(self, path: str) -> None:
        """Move the file that the update replaced back to its path."""
        old, place = self.record.find_old_file(path), self._root / path
        while exists(old):
            while (blocking := find_blocking_file(self._root, path)) is not None:
                self.move_away(blocking.relative_to(self._root).as_posix())
            place.parent.mkdir(parents=True, exist_ok=True)
            if exists(place):
                description = describe_file(place)
                is_comparable = description not in ("folder", "other", "unreadable")
                if is_comparable and description == describe_file(old):
                    old.unlink()
                    return
                self.move_away(path)
            # Something may have been saved there between the two; then again.
            with contextlib.suppress(FileExistsError):
                move_to_free_path(old, place)
