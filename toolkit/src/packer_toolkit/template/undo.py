"""Undo an update by its record, or report what that would change."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import GitError
from packer_toolkit.template.index import Index
from packer_toolkit.template.outdated_record import (
    delete_outdated,
    explain_outdated,
    has_later_commit,
)
from packer_toolkit.template.project import Project
from packer_toolkit.template.rollback import Rollback
from packer_toolkit.template.undo_preview import list_edited_files, list_undone_files
from packer_toolkit.template.update_record import UpdateRecord
from packer_toolkit.template.update_result import format_undo_command


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
    index.require_unlocked(
        f"nothing was undone; when it is unlocked, run: {format_undo_command(project)}"
    )
    try:
        copies = Rollback(record, index).roll_back()
    except (OSError, SetupError) as error:
        raise create_undo_error(project, error) from None
    except BaseException as error:
        sys.stderr.write(f"packer-toolkit: {create_undo_error(project, error)}\n")
        raise
    kept = {path: _store_object(project, copy) for path, copy in copies.items()}
    return Undone(release, paths, kept, copies)


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
    if copy.is_symlink():
        return ""
    try:
        return project.git.text("hash-object", "-w", "--stdin", stdin=copy.read_bytes())
    except (OSError, GitError):
        return ""
