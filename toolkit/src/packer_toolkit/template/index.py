"""Change git's index under git's own lock, so that no change of another git command is lost.

https://git-scm.com/docs/api-lockfile describes the lock: a file that only one process can create.

The user decides what to commit, so an update stages only two things: the three versions of a file
with a conflict, and what git does not see on a file system without executable bits, or that ignores
case.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.template.file_changes import move_to_free_path
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import (
    SUBMODULE,
    Entry,
    add_to_index,
    format_index_line,
    read_tree,
)
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.template.update_record import UpdateRecord

_TIMEOUT = 5.0
"""Seconds to wait for another git command, most of which take milliseconds."""


class Index:
    """The index of a repository.

    Attributes:
        lock: The file with which git locks it.
    """

    def __init__(self, project: Project, folder: Path) -> None:
        self._top = project.top
        self._path = project.git_dir / "index"
        self.lock = project.git_dir / "index.lock"
        # Kept until the index is changed: it identifies the lock of a killed process as ours.
        self._fresh = folder / "index.new"

    def require_unlocked(self, consequence: str) -> None:
        """Make sure that no other git command is changing the index.

        Args:
            consequence: What that means for the command, for the message.

        Raises:
            SetupError: One is, or one was killed.
        """
        if self.lock.exists() and not self._is_ours():
            raise self._create_error(consequence)

    def remove_own_lock(self) -> None:
        """Remove the lock that this program left when it was killed."""
        if self._is_ours():
            self.lock.unlink(missing_ok=True)

    def change(self, lines: list[bytes]) -> None:
        """Change entries of the index, all of them together.

        Args:
            lines: Lines as `format_index_line` returns them.

        Raises:
            SetupError: Another git command has locked it.
            GitError: Git refuses the entries.
        """
        end = time.monotonic() + _TIMEOUT
        while True:
            before = self._path.read_bytes()
            self._fresh.unlink(missing_ok=True)
            shutil.copy2(self._path, self._fresh)
            git = Git(self._top, {"GIT_INDEX_FILE": str(self._fresh)})
            add_to_index(git, lines, "--replace")
            with self._lock_once() as is_locked:
                # Another command may have changed the index since it was copied.
                if is_locked and self._path.read_bytes() == before:
                    self.lock.replace(self._path)
                    self._fresh.unlink()
                    return
            if time.monotonic() > end:
                raise self._create_error("the index was not changed")
            time.sleep(0.05)

    @contextlib.contextmanager
    def _lock_once(self) -> Iterator[bool]:
        """Create the lock, with the changed index in it; yield False where it exists already."""
        copy = self._fresh.with_name("index.lock")
        copy.unlink(missing_ok=True)
        try:
            os.link(self._fresh, copy)
        except OSError:
            shutil.copyfile(self._fresh, copy)
        try:
            move_to_free_path(copy, self.lock)
        except FileExistsError:
            copy.unlink()
            yield False
            return
        try:
            yield True
        finally:
            self.remove_own_lock()
            self._fresh.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        try:
            return self.lock.read_bytes() == self._fresh.read_bytes()
        except OSError:
            return False

    def _create_error(self, consequence: str) -> SetupError:
        return SetupError(
            f"git's index is locked ({self.lock}): another git command is running, or was killed; "
            "wait until it has finished, or delete that file if no git command is running; "
            f"{consequence}"
        )


def list_update_lines(plan: UpdatePlan) -> list[bytes]:
    """Return the lines of an update."""
    return [*_list_mode_changes(plan), *_list_case_renames(plan), *_list_conflicts(plan)]


def list_undo_lines(record: UpdateRecord) -> list[bytes]:
    """Return the lines that give the update's files the entries that HEAD has; empty if they have.

    Other entries stay.
    """
    project = record.folder.project
    names = {*record.paths, *record.values["conflicts"]}
    try:
        tree = read_tree(project.git, f"HEAD:{project.prefix}")
    except GitError:
        tree = {}
    wanted = {
        f"{entry.mode} {entry.oid} 0\t{path}" for path, entry in tree.items() if path in names
    }
    staged = project.git.fields("ls-files", "--stage", "-z")
    if wanted == {line for line in staged if line.partition("\t")[2] in names}:
        return []
    return [
        *(_format_removal(project, path) for path in sorted(names)),
        *(_format_line(project, path, tree[path]) for path in sorted(names & {*tree})),
    ]


def _list_mode_changes(plan: UpdatePlan) -> Iterator[bytes]:
    """Yield entries with new executable bits, where git does not look at those of files."""
    setting = plan.project.git.run("config", "--type=bool", "--get", "core.fileMode")
    if setting.stdout.strip() != b"false":
        return
    for path in plan.changes:
        old, new = plan.before.get(path), plan.after.get(path)
        if old and new and old.is_file and new.is_file and old.mode != new.mode:
            yield _format_line(plan.project, path, Entry(new.mode, old.oid))


def _list_case_renames(plan: UpdatePlan) -> Iterator[bytes]:
    """Yield entries with new names, where git sees no difference between old and new ones."""
    for old, new in plan.case_renames.items():
        yield _format_removal(plan.project, old)
        if new not in plan.merged.conflicts:
            yield _format_line(plan.project, new, plan.before[old])


def _list_conflicts(plan: UpdatePlan) -> Iterator[bytes]:
    """Yield the three versions of each file with a conflict, in place of the one."""
    for conflict in plan.conflicts:
        yield _format_removal(plan.project, conflict.path)
        versions = (conflict.base, conflict.ours, conflict.theirs)
        for stage, entry in enumerate(versions, start=1):
            if entry is None:
                continue
            if entry.mode != SUBMODULE:
                text = plan.sandbox.raw("cat-file", "blob", entry.oid)
                plan.project.git.raw("hash-object", "-w", "--stdin", stdin=text)
            yield _format_line(plan.project, conflict.path, entry, stage)


def _format_line(project: Project, path: str, entry: Entry, stage: int = 0) -> bytes:
    return format_index_line(project.prefix + path, entry, stage)


def _format_removal(project: Project, path: str) -> bytes:
    # As long as git's IDs are in this repository: 40 digits, or 64 of SHA-256.
    return _format_line(project, path, Entry("0", "0" * len(project.head)))
