"""What an undo would change, from the record of an update and the files of the project."""

from __future__ import annotations

from packer_toolkit.template.file_changes import (
    describe_file,
    exists,
    find_blocking_file,
    has_content,
)
from packer_toolkit.template.update_record import UpdateRecord


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
