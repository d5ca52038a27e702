"""Writing an update into a repository, after its record.

Nothing of the work tree is copied or overwritten: what the update replaces is moved aside, the file
itself with all its bytes, and compared after that.  So what an editor saves at any moment is either
moved aside with the file, or saved into the new file.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git
from packer_toolkit.template.blocking_files import find_blocking_files
from packer_toolkit.template.file_changes import (
    are_on_one_file_system,
    choose_copy,
    describe_file,
    exists,
    find_blocking_file,
    has_content,
    move_aside,
    move_to_free_path,
)
from packer_toolkit.template.index import Index, list_update_lines
from packer_toolkit.template.path_names import has_exact_name
from packer_toolkit.template.project import find_uncommitted
from packer_toolkit.template.trees import SUBMODULE, Entry, add_to_index, format_index_line
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
        staged = record.find_new_file(path)
        source = staged if exists(staged) else None
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
        folder = self._folder.copies / f"{record.values['kept']}-{plan.release}"
        copies: dict[str, Path | None] = dict.fromkeys(sorted(edited))
        for path in copies:
            if entry := plan.after.get(path):
                copies[path] = copy = choose_copy(folder, path)
                copy.write_bytes(plan.sandbox.raw("cat-file", "blob", entry.oid))
        return copies

    def _has_file(self, path: str) -> bool:
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
    for place, _, _ in os.walk(folder, topdown=False):
        Path(place).rmdir()


def describe_update_record(plan: UpdatePlan) -> dict[str, Any]:
    """Return the values of the record of an update that is going to be written."""
    project, root = plan.project, plan.project.folder
    # The update does not touch submodules.
    saved = [p for p in plan.changes if p in plan.before and plan.before[p].mode != SUBMODULE]
    new_folders = {
        above.relative_to(root).as_posix()
        for path in plan.changes
        for above in list((root / path).parents)[: path.count("/")]
        if not above.is_dir() or above.is_symlink() or not has_exact_name(above)
    }
    # git knows no empty folders: the undo creates those that the update removes.
    empty_folders = [
        place.relative_to(root).as_posix()
        for path in plan.changes
        for place in (root / path, *(root / path).rglob("*"))
        if place.is_dir() and not place.is_symlink()
    ]
    return {
        "state": "started",
        "head": project.head,
        "release": project.release,
        "paths": [*plan.changes],
        "saved": saved,
        "added": [p for p in plan.changes if p in plan.after and p not in saved],
        "new_folders": sorted(new_folders),
        "empty_folders": sorted(empty_folders),
        "conflicts": [conflict.path for conflict in plan.conflicts],
        "expected": {path: describe_file(root / path) for path in saved},
        "written": {},
        "kept": datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S.%f"),
        "beside": not are_on_one_file_system(project.git_dir, root),
    }


def stage_files(plan: UpdatePlan, folder: RecordFolder, paths: Sequence[str]) -> None:
    """Check out files that the update is going to write, and record what they are.

    Args:
        plan: The update.
        folder: Where its record is.
        paths: The paths of the files.
    """
    record, root = folder.read(), plan.project.folder
    # Of a submodule only its folder is created.
    files = [path for path in paths if plan.after[path].mode != SUBMODULE]
    checked_out = _check_out(plan, folder.path / "aside.index", record.work / "aside", files)
    written = dict(record.written)
    for path in files:
        staged = record.find_new_file(path)
        (checked_out / path).rename(staged)
        _set_mode(staged, root / path, plan.after[path])
        written[path] = describe_file(staged)
    shutil.rmtree(record.work / "aside", ignore_errors=True)
    folder.save_written(record, written)


def _check_out(plan: UpdatePlan, index: Path, aside: Path, paths: Sequence[str]) -> Path:
    """Let git check files out with this repository's line endings and filters.

    Returns:
        The folder that corresponds to the project's.
    """
    project = plan.project
    # The objects are in the temporary repository.
    objects = str(plan.sandbox.folder / ".git" / "objects")
    env = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": objects, "GIT_INDEX_FILE": str(index)}
    git = Git(project.top, env)
    add_to_index(
        git, (format_index_line(project.prefix + path, plan.after[path]) for path in paths)
    )
    git.raw("checkout-index", "--all", "--quiet", f"--prefix={aside}/")
    index.unlink(missing_ok=True)
    return aside / project.prefix


def _set_mode(staged: Path, place: Path, entry: Entry) -> None:
    """Give a new file the permissions of the old one, and the executable bit of the update's."""
    if staged.is_symlink():
        return
    is_file = place.is_file() and not place.is_symlink()
    mode = stat.S_IMODE((place if is_file else staged).stat().st_mode)
    readable = (mode & 0o444) >> 2
    staged.chmod(mode | readable if entry.mode == "100755" else mode & ~0o111)


def require_unchanged(plan: UpdatePlan, folder: RecordFolder) -> None:
    """Make sure that the repository is what the update was computed from.

    Git's index is not asked: it trusts times and sizes.

    Raises:
        SetupError: Something has changed.
    """
    project = plan.project
    if project.read_head() != project.head:
        raise SetupError(
            "another commit was made or checked out while the update was computed; nothing was "
            "changed; start again"
        )
    blocking_files = find_blocking_files(project.folder, plan.before, plan.after)
    changed = {*find_uncommitted(project), *blocking_files}
    paths = [f":(literal){path}" for path in plan.changes if path in plan.before]
    if paths:
        index = folder.path / "compared.index"
        git = project.git.with_env(GIT_INDEX_FILE=str(index))
        git.text("read-tree", project.head)
        status = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames"]
        prefix = len(project.prefix)
        changed |= {line[3 + prefix :] for line in git.fields(*status, "--", *paths)}
        index.unlink()
    if changed:
        raise SetupError(
            f"{join_paths(sorted(changed))} changed while the update was computed; nothing was "
            "changed; commit it, or put it aside with git stash --include-untracked, and start "
            "again"
        )
