"""Writing an update into a repository, after its record.

Nothing of the work tree is copied or overwritten: what the update replaces is moved aside, the file
itself with all its bytes, and compared after that.  So what an editor saves at any moment is either
moved aside with the file, or saved into the new file.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from packer_toolkit.template.file_changes import (
    describe_file,
    exists,
    find_blocking_file,
    has_content,
    move_aside,
    move_to_free_path,
)
from packer_toolkit.template.index import Index
from packer_toolkit.template.index_lines import list_update_lines
from packer_toolkit.template.kept_copies import choose_copy
from packer_toolkit.template.new_record import describe_update_record
from packer_toolkit.template.staged_files import stage_files
from packer_toolkit.template.trees import Entry
from packer_toolkit.template.unchanged_project import require_unchanged
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.template.update_record import RecordFolder, UpdateRecord
from packer_toolkit.text.paths import join_paths

# Another program has changed a file, or what is around it, where these appear.
_CHANGED_MEANWHILE = {
    errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY,
}  # fmt: skip


class ChangedMeanwhileError(Exception):
    """Another program has changed a path while the update was written."""

    def __init__(self, path: str | None) -> None:
        what = join_paths([path]) if path else "the commit that is checked out"
        super().__init__(
            f"{what} changed while the update was written, so the update was undone; your change "
            "stays"
        )


class UpdateWriter:
    """Writes one update; the caller undoes it when that fails.

    Attributes:
        plan: The update.
    """

    def __init__(self, plan: UpdatePlan, folder: RecordFolder, index: Index) -> None:
        self.plan = plan
        self._project = plan.project
        self._root = plan.project.folder
        self._folder = folder
        self._index = index

    def write(self) -> dict[str, Path | None]:
        """Record the update and write it.

        Returns:
            What the user saved into the update's files meanwhile, and is in them: path -> a copy of
            what the update has there; None where it deletes the file.

        Raises:
            ChangedMeanwhileError: when another program changed a file that the update changes.
            SetupError, OSError: when the update cannot be written.
        """
        self._folder.clear()
        self._folder.create(describe_update_record(self.plan))
        lines = list_update_lines(self.plan)
        wanted = [path for path, change in self.plan.changes.items() if change != "deleted"]
        # What decides on line endings and filters comes first.
        first = [path for path in wanted if path.rpartition("/")[2] == ".gitattributes"]
        others = [path for path in wanted if path not in first]
        stage_files(self.plan, self._folder, first or others)
        require_unchanged(self.plan, self._folder)
        record = self._folder.read()
        for path, change in self.plan.changes.items():
            if change == "deleted" and path in record.saved:
                self._replace(record, path)
        for path in first:
            self._replace(record, path)
        if first:
            stage_files(self.plan, self._folder, others)
        for path in others:
            self._replace(record, path)
        if lines:
            self._index.change(lines)
        # Editors that had a file open may have saved into what was moved aside.
        for path in record.saved:
            self._require_expected(record, path)
        if self._project.read_head() != self._project.head:
            raise ChangedMeanwhileError(None)
        copies = self._copy_unwritten(self._folder.read())
        self._folder.finish()
        shutil.rmtree(record.work / "new", ignore_errors=True)
        return copies

    def _replace(self, record: UpdateRecord, path: str) -> None:
        """Move what is at a path aside, put the update's file there, and compare what was moved."""
        aside = record.find_old_file(path) if path in record.saved else None
        source: Path | None = record.find_new_file(path)
        source = source if source and exists(source) else None
        try:
            if find_blocking_file(self._root, path):
                raise ChangedMeanwhileError(path)
            write_file(self._root, path, source, aside, self.plan.after.get(path))
        except OSError as error:
            if error.errno in _CHANGED_MEANWHILE:
                raise ChangedMeanwhileError(path) from None
            raise
        if aside:
            self._require_expected(record, path)

    def _require_expected(self, record: UpdateRecord, path: str) -> None:
        """Make sure that the file that was moved aside is the one that was recorded."""
        if describe_file(record.find_old_file(path)) != record.values["expected"][path]:
            raise ChangedMeanwhileError(path)

    def _copy_unwritten(self, record: UpdateRecord) -> dict[str, Path | None]:
        """Write a copy of the update's version of each file that the user saved meanwhile."""
        plan = self.plan
        edited = [
            path
            for path, written in record.written.items()
            if not has_content(describe_file(self._root / path), written)
        ]
        edited += [
            path
            for path in plan.changes
            if path not in {*plan.after, *plan.case_renames} and self._has_file(path)
        ]
        copies: dict[str, Path | None] = {}
        for path in sorted(edited):
            entry = plan.after.get(path)
            if entry:
                folder = self._folder.copies / f"{record.values['kept']}-{plan.release}"
                copy = choose_copy(folder, path)
                copy.write_bytes(plan.sandbox.raw("cat-file", "blob", entry.oid))
            copies[path] = copy if entry else None
        return copies

    def _has_file(self, path: str) -> bool:
        """Check whether a file or link is at a path where the update has deleted one."""
        is_file = describe_file(self._root / path) not in ("", "folder")
        return is_file and not find_blocking_file(self._root, path)


def write_file(
    root: Path, path: str, source: Path | None, aside: Path | None, entry: Entry | None
) -> None:
    """Move what is at a path aside, and put the update's file there.

    Args:
        root: The project's folder.
        path: Where the file goes.
        source: The file; None when no file is written.
        aside: Where the old file goes; None when there is no old file.
        entry: What the update has there; None to delete the file, and folders empty without it.

    Raises:
        OSError: when it cannot be done.
    """
    place = root / path
    if aside:
        move_aside(place, aside, source)
    if entry is None:
        for above in list(place.parents)[: path.count("/")]:
            try:
                above.rmdir()
            except OSError:
                return
    elif source is None:
        place.mkdir(parents=True, exist_ok=True)  # A submodule.
    elif aside is None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir() and not place.is_symlink():
            _remove_empty(place)
        move_to_free_path(source, place)


def _remove_empty(folder: Path) -> None:
    """Delete a folder that contains nothing but folders."""
    for place, _, _ in os.walk(folder, topdown=False):
        Path(place).rmdir()
