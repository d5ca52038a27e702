"""The undo of an update by its record; it needs neither the template nor Copier, nor disk space.

It may be repeated after a kill at any point.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from packer_toolkit.template.file_changes import (
    choose_copy,
    describe_file,
    exists,
    find_blocking_file,
    has_content,
    move_to_free_path,
)
from packer_toolkit.template.index import Index, list_undo_lines
from packer_toolkit.template.path_names import is_one_file
from packer_toolkit.template.update_record import UpdateRecord


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
            if path in unwritten or find_blocking_file(root, path) or not exists(place):
                continue
            if self._is_restored(path):
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
