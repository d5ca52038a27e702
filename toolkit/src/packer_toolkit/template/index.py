"""Change git's index under git's own lock, so that no change of another git command is lost.

https://git-scm.com/docs/api-lockfile describes the lock: a file that only one process can create.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git
from packer_toolkit.template.file_changes import move_to_free_path
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import add_to_index

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
            f"git's index is locked ({self.lock}): a git command is running, or was killed; wait "
            f"for it, or delete that file if none is running; {consequence}"
        )
