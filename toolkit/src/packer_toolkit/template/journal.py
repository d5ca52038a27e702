"""The updates of one project: written so that one command undoes them, whatever happened meanwhile.

The undo needs neither the template nor Copier, and no space on the disk.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import GitError
from packer_toolkit.template.file_changes import describe
from packer_toolkit.template.index import Index
from packer_toolkit.template.kept_copies import choose_copy, show_copy
from packer_toolkit.template.outdated_record import (
    delete_outdated,
    explain_outdated,
    has_later_commit,
)
from packer_toolkit.template.project import Project
from packer_toolkit.template.report import way_back
from packer_toolkit.template.rollback import Rollback
from packer_toolkit.template.undo_preview import list_edited_files, list_undone_files
from packer_toolkit.template.update import Plan
from packer_toolkit.template.update_record import RecordFolder
from packer_toolkit.template.update_writer import ChangedMeanwhileError, UpdateWriter
from packer_toolkit.text.paths import join_paths


@dataclass(frozen=True)
class Undone:
    """What was undone.

    Attributes:
        release: the release that the repository is at again; empty where nothing had to be undone.
        paths: the files that were restored or removed.
        kept: what was written into them after the update: path -> git's id of the object with it,
            empty where that was only looked at, or where it is not an object.
        copies: the same as files: path -> where it is.
        reason: why the record of an update was out of date, where that was so.
    """

    release: str = ""
    paths: list[str] = field(default_factory=list)
    kept: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, Path] = field(default_factory=dict)
    reason: str = ""


class Journal:
    """Writes and undoes the updates of a project, one at a time."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._folder = RecordFolder(project)
        self._index = Index(project, self._folder.path)

    @classmethod
    def near(cls, folder: Path) -> Journal:
        """Return the journal of the project that a folder is in; the nearest one with a record.

        The project's answers file may be gone, in the middle of an update.
        """
        here = Project.anywhere(folder)
        for place in (here.folder, *here.folder.parents):
            if place != here.top and here.top not in place.parents:
                break
            journal = cls(Project.anywhere(place))
            if journal._folder.file.exists():
                return journal
        return cls(here)

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Keep other updates and undos away while a block runs; see `RecordFolder.lock`."""
        return self._folder.lock()

    def settle(self) -> Undone:
        """Make sure that no update is open here, and delete a record that is out of date.

        Returns:
            What the record had that is nowhere else.

        Raises:
            SetupError: when an update was interrupted here, or is not committed yet.
        """
        self.require_settled()
        if not self._folder.file.exists():
            return Undone()
        return Undone(copies=delete_outdated(self._folder.read(), self._index))

    def require_settled(self) -> None:
        """Make sure that no update is open here; a record that is out of date does not count.

        Raises:
            SetupError: when an update was interrupted here, or is not committed yet.
        """
        if not self._folder.file.exists():
            return
        record = self._folder.read()
        if explain_outdated(record):
            return
        if record.state != "done":
            raise SetupError(
                f"an update was interrupted here; take it back first: {way_back(self.project)}"
            )
        raise SetupError(
            "the last update is not committed yet; finish and commit it, or take it back: "
            f"{way_back(self.project)}"
        )

    @property
    def kept_earlier(self) -> Path | None:
        """The folder of copies that earlier undos have kept, if there are some."""
        return self._folder.copies if self._folder.copies.is_dir() else None

    def require_unlocked(self) -> None:
        """Make sure that no git command is changing the index.

        Raises:
            SetupError: when one is.
        """
        self._index.require_unlocked("nothing was changed")

    def write(self, plan: Plan) -> dict[str, Path | None]:
        """Write an update into the repository.

        Git's index changes only where there are conflicts: nothing is staged for the user.

        Returns:
            What the user saved into the update's files while they were written, and is in them:
            path -> a copy of what the update has there; None where it deletes the file.

        Raises:
            SetupError: when it cannot be written, or the user changed something meanwhile; then
                everything is as it was, or the message has the command that undoes the update.
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
                if kept and is_pending():
                    sys.stderr.write(f"packer-toolkit: the update was undone{kept}\n")
            if isinstance(error, ChangedMeanwhileError):
                raise SetupError(
                    f"{error}{kept}; look at git diff, commit your change, and start again"
                ) from None
            if isinstance(error, (OSError, GitError)):
                raise SetupError(
                    f"the update cannot be written ({describe_error(error)}); everything is as it "
                    f"was{kept}"
                ) from None
            if kept:
                sys.stderr.write(f"packer-toolkit: the update was undone{kept}\n")
            raise

    def copy_saved_aside(self) -> Undone:
        """Copy what editors have saved into replaced files after these were compared.

        The files themselves stay until the next update starts, which looks at them again.
        """
        record = self._folder.read()
        copies = {}
        for path in record.saved:
            old = record.find_old_file(path)
            if old.is_file() and describe(old) != record.expected[path]:
                copies[path] = choose_copy(record.copies, path)
                shutil.copy2(old, copies[path], follow_symlinks=False)
        return Undone(copies=copies)

    def undo(self, dry_run: bool = False) -> Undone | None:
        """Undo the update; None when there is none.

        Args:
            dry_run: only report what that would come to.

        Raises:
            SetupError: when commits were made since, or it cannot be undone yet.
        """
        if not self._folder.file.exists():
            return None
        record = self._folder.read()
        reason = explain_outdated(record)
        if reason and record.state == "done" and has_later_commit(record):
            raise SetupError(
                "the update is part of a commit by now, or another commit is checked out; "
                "take it back with git revert COMMIT"
            )
        if reason:
            copies = {} if dry_run else delete_outdated(record, self._index)
            return Undone(copies=copies, reason=reason)
        paths, release = list_undone_files(record), record.values["release"]
        if dry_run:
            return Undone(release, paths, dict.fromkeys(list_edited_files(record), ""))
        self._index.require_unlocked(
            f"nothing was undone; when the lock is gone, run: {way_back(self.project)}"
        )
        try:
            copies = Rollback(record, self._index).roll_back()
        except (OSError, SetupError) as error:
            raise self._not_undone(error) from None
        except BaseException as error:
            sys.stderr.write(f"packer-toolkit: {self._not_undone(error)}\n")
            raise
        kept = {path: self._make_object(copy) for path, copy in copies.items()}
        return Undone(release, paths, kept, copies)

    def _undo_after(self, error: BaseException) -> dict[str, Path]:
        """Undo what was written before an error; return copies of what the user saved."""
        if not self._folder.file.exists():
            return {}
        try:
            return Rollback(self._folder.read(), self._index).roll_back()
        except BaseException as another:
            if isinstance(error, Exception):
                raise self._not_undone(error, another) from None
            raise self._not_undone(another) from None

    def _not_undone(self, *errors: BaseException) -> SetupError:
        reasons = dict.fromkeys(describe_error(error) for error in errors)
        return SetupError(
            f"the update is not undone yet ({'; '.join(reasons)}); nothing is lost; when that is "
            f"solved: {way_back(self.project)}"
        )

    def _make_object(self, copy: Path) -> str:
        """Make an object of git of a file, and return its id; empty where it cannot be one."""
        if copy.is_symlink():
            return ""
        try:
            return self.project.git.text("hash-object", "-w", "--stdin", stdin=copy.read_bytes())
        except (OSError, GitError):
            return ""


def find_project(folder: Path, answers_file: str | None = None) -> Project:
    """Find the project of a folder, as `Project.at` does.

    Args:
        folder: the folder that the template was rendered into.
        answers_file: the file's path below the folder; None to look for it.

    Raises:
        SetupError: when it has no answers file, or an interrupted update has moved that aside.
    """
    try:
        return Project.at(folder, answers_file)
    except SetupError:
        journal = None
        with contextlib.suppress(SetupError, GitError):
            journal = Journal(Project.anywhere(folder))
        if journal:
            journal.require_settled()
        raise


def describe_error(error: BaseException) -> str:
    """Return the reason of an error in a few words."""
    if isinstance(error, GitError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) if isinstance(error, Exception) else "interrupted"


@contextlib.contextmanager
def _hold_signals() -> Iterator[Callable[[], bool]]:
    """Let signals that end the command wait: half of an undo would need another one.

    Yields:
        A function that returns whether one is waiting.
    """
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield lambda: bool(signal.sigpending() & ending)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
