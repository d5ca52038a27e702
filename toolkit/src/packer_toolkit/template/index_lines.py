"""Lines that change git's index as an update needs it, and as its undo needs it.

The user decides what to commit, so only two things are staged: the three versions of a file with a
conflict, and what git does not see on a file system without executable bits, or that ignores case.
"""

from __future__ import annotations

from collections.abc import Iterator

from packer_toolkit.git.command import GitError
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import SUBMODULE, Entry, format_index_line, read_tree
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.template.update_record import UpdateRecord


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
