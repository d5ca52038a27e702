"""Records that do not describe their repository any longer: the user went on with git alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from packer_toolkit.git.command import GitError
from packer_toolkit.template.clean_state import find_uncommitted
from packer_toolkit.template.file_changes import (
    describe_file,
    exists,
    find_blocking_file,
    has_content,
)
from packer_toolkit.template.index import Index
from packer_toolkit.template.kept_copies import choose_copy
from packer_toolkit.template.path_names import find_other_name, group_by_fold
from packer_toolkit.template.rollback import Rollback
from packer_toolkit.template.trees import read_tree
from packer_toolkit.template.update_record import UpdateRecord


def explain_outdated(record: UpdateRecord) -> str:
    """Return why a record does not describe the repository any longer; empty if it does."""
    if has_later_commit(record):
        return "commits were made since, or another commit is checked out"
    if not find_uncommitted(record.folder.project):
        return "there are no uncommitted changes"
    return ""


def has_later_commit(record: UpdateRecord) -> bool:
    """Check whether HEAD has moved to a commit with other content of the update's files."""
    project = record.folder.project
    if project.read_head() == record.head:
        return False
    trees = []
    for commit in (record.head, "HEAD"):
        try:
            tree = read_tree(project.git, f"{commit}:{project.prefix}")
        except GitError:
            return True
        trees.append({path: tree.get(path) for path in record.paths})
    return trees[0] != trees[1]


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
            if path in committed or path in unwritten or find_blocking_file(root, path):
                continue
            if find_other_name(root, path, names):
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
    if description == record.expected.get(path):
        return True
    if has_content(description, describe_file(project.folder / path)):
        return True
    if old.is_symlink() or not old.is_file():
        return False
    # Release 1.0.0 recorded nothing to compare with.
    name = f"--path={project.prefix}{path}"
    oid = project.git.text("hash-object", "--stdin", name, stdin=old.read_bytes())
    for commit in (record.head, "HEAD"):
        committed = project.git.run("rev-parse", f"{commit}:{project.prefix}{path}")
        if committed.stdout.decode().strip() == oid:
            return True
    return False
