"""Write the updates of a project so that one command undoes them, whatever happens meanwhile.

The undo needs neither the template nor Copier, and no space on the disk.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import GitError
from packer_toolkit.template.file_changes import choose_copy, describe_file
from packer_toolkit.template.index import Index
from packer_toolkit.template.project import Project
from packer_toolkit.template.undo import (
    Rollback,
    Undone,
    create_undo_error,
    delete_outdated,
    describe_error,
    explain_outdated,
    undo_record,
)
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.template.update_record import RecordFolder
from packer_toolkit.template.update_result import format_undo_command, show_copy
from packer_toolkit.template.update_writer import ChangedMeanwhileError, UpdateWriter
from packer_toolkit.text.paths import join_paths


class Journal:
    """Writes and undoes the updates of a project, one at a time.

    Attributes:
        project: The project.
        lock: Keeps other updates and undos away while a block runs; see `RecordFolder.lock`.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._folder = RecordFolder(project)
        self.lock = self._folder.lock
        self._index = Index(project, self._folder.path)

    @classmethod
    def find(cls, folder: Path) -> Journal:
        """Return the journal of the project that a folder is in; the nearest one with a record.

        The project's answers file may be gone, in the middle of an update.
        """
        project = Project(folder.absolute())
        for place in (project.folder, *project.folder.parents):
            if place != project.top and project.top not in place.parents:
                break
            journal = cls(Project(place))
            if journal._folder.file.exists():
                return journal
        return cls(project)

    def settle(self) -> Undone:
        """Make sure that no update is open here, and delete an outdated record.

        Returns:
            Copies of files of the record that are nowhere else.

        Raises:
            SetupError: An update was interrupted here, or is not committed yet.
        """
        self.require_settled()
        if not self._folder.file.exists():
            return Undone()
        return Undone(copies=delete_outdated(self._folder.read(), self._index))

    def require_settled(self) -> None:
        """Make sure that no update is open here; an outdated record is not an open update.

        Raises:
            SetupError: An update was interrupted here, or is not committed yet.
        """
        if not self._folder.file.exists():
            return
        record = self._folder.read()
        if explain_outdated(record):
            return
        reason = "an update was interrupted here; undo it first"
        if record.state == "done":
            reason = "the last update is not committed yet; finish and commit it, or undo it"
        raise SetupError(f"{reason}: {format_undo_command(self.project)}")

    @property
    def copies(self) -> Path | None:
        """The folder with copies of what users saved into files of updates, if there are some."""
        return self._folder.copies if self._folder.copies.is_dir() else None

    def require_unlocked(self) -> None:
        """Make sure that no git command is changing the index.

        Raises:
            SetupError: One is.
        """
        self._index.require_unlocked("nothing was changed")

    def write(self, plan: UpdatePlan) -> dict[str, Path | None]:
        """Write an update into the repository.

        Git's index changes only where there are conflicts: nothing is staged for the user.

        Returns:
            The files that the user saved while they were written, and that stay so: path -> a copy
            of the update's version; None where the update deletes the file.

        Raises:
            SetupError: It cannot be written, or the user changed something meanwhile; everything
                is as it was then, or the message has the command that undoes the update.
        """
        self.require_unlocked()
        try:
            return UpdateWriter(plan, self._folder, self._index).write()
        except BaseException as error:
            with _hold_signals() as is_pending:
                kept = "".join(
                    f"; what you saved into {join_paths([path])} meanwhile "
                    f"is kept: {show_copy(copy)}"
                    for path, copy in self._undo_after(error).items()
                )
                is_failure = isinstance(error, (ChangedMeanwhileError, GitError, OSError))
                if kept and (is_pending() or not is_failure):
                    sys.stderr.write(f"packer-toolkit: the update was undone{kept}\n")
            if isinstance(error, ChangedMeanwhileError):
                raise SetupError(
                    f"{error}{kept}; review git diff, commit your change, and start again"
                ) from None
            if isinstance(error, (OSError, GitError)):
                raise SetupError(
                    f"the update cannot be written ({describe_error(error)}); everything is as it "
                    f"was{kept}; fix the cause, and start again"
                ) from None
            raise

    def copy_saved_aside(self) -> Undone:
        """Copy what editors have saved into replaced files after these were compared.

        The files themselves stay until the next update starts, which looks at them again.
        """
        record = self._folder.read()
        copies = {}
        for path in record.saved:
            old = record.find_old_file(path)
            if old.is_file() and describe_file(old) != record.expected[path]:
                copies[path] = choose_copy(record.copies, path)
                shutil.copy2(old, copies[path], follow_symlinks=False)
        return Undone(copies=copies)

    def undo(self, dry_run: bool = False) -> Undone | None:
        """Undo the update; None without an update.

        Args:
            dry_run: Only report what would be undone.

        Raises:
            SetupError: Commits were made since, or it cannot be undone yet.
        """
        if not self._folder.file.exists():
            return None
        return undo_record(self._folder.read(), self._index, dry_run)

    def _undo_after(self, error: BaseException) -> dict[str, Path]:
        """Undo what was written before an error; return copies of what the user saved."""
        if not self._folder.file.exists():
            return {}
        try:
            return Rollback(self._folder.read(), self._index).roll_back()
        except BaseException as another:
            errors = (error, another) if isinstance(error, Exception) else (another,)
            raise create_undo_error(self.project, *errors) from None


def undo_update(folder: Path, dry_run: bool) -> tuple[Undone, Path | None]:
    """Undo the last update of the repository that a folder is in.

    Args:
        folder: The folder.
        dry_run: Whether nothing is changed.

    Returns:
        What was undone, and the folder of copies that earlier updates have kept, if there is one.

    Raises:
        SetupError: When the update is part of a commit, or cannot be undone yet.
    """
    journal = Journal.find(folder)
    with contextlib.nullcontext() if dry_run else journal.lock():
        undone = journal.undo(dry_run) or Undone()
    return undone, journal.copies


def find_project(folder: Path, answers_file: str | None = None) -> Project:
    """Find the project of a folder, as `Project.read` does.

    Args:
        folder: The folder that the template was rendered into.
        answers_file: The file's path below the folder; None to look for it.

    Raises:
        SetupError: It has no answers file, or an interrupted update has moved it aside.
    """
    try:
        return Project.read(folder, answers_file)
    except SetupError:
        journal = None
        with contextlib.suppress(SetupError, GitError):
            journal = Journal(Project(folder.absolute()))
        if journal:
            journal.require_settled()
        raise


@contextlib.contextmanager
def _hold_signals() -> Iterator[Callable[[], bool]]:
    """Hold back signals that terminate the command, so that an undo is not interrupted.

    Yields:
        A function that returns whether a signal is waiting.
    """
    terminating = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, terminating)
    try:
        yield lambda: bool(signal.sigpending() & terminating)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
