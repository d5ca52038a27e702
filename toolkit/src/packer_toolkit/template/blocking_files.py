"""Refuse to write an update that would overwrite files or changes that git does not have.

These are untracked files, files that a sparse checkout leaves out, and changes that git ignores.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git
from packer_toolkit.template.file_changes import find_blocking_file
from packer_toolkit.template.path_names import find_other_name, group_by_fold
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import Entry, Tree, add_to_index, format_index_line
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.text.paths import join_paths, show_path


def require_writable(plan: UpdatePlan) -> None:
    """Make sure that an update overwrites no file that git does not have.

    Raises:
        SetupError: It would overwrite an untracked file, or changes that git is set to ignore.
    """
    if plan.blocking_files:
        files, them = ("file", "it") if len(plan.blocking_files) == 1 else ("files", "them")
        raise SetupError(
            f"untracked {files} {join_paths(plan.blocking_files)} would be overwritten by the "
            f"release; rename {them}, or add {them} with git add --force and commit"
        )
    if plan.collisions:
        new, old = plan.collisions[0]
        raise SetupError(
            f"{join_paths([new])} and {join_paths([old])} are the same file on this file system, "
            "which ignores case; rename or delete your file and commit that, or update on a "
            "machine whose file system is case-sensitive"
        )
    changed = [path for path in plan.changes if path in plan.before]
    require_seen_by_git(plan.project, changed, plan.added)


def find_blocking_files(folder: Path, before: Tree, after: Tree) -> list[str]:
    """Find the untracked files, ignored ones included, that an update would overwrite now.

    Args:
        folder: The project's folder.
        before: The project's files.
        after: Its files after the update.

    Returns:
        Their paths, sorted.
    """
    blocking: set[str] = set()
    names = group_by_fold(before)

    def is_tracked(path: str) -> bool:
        # Another name of a tracked file: the update renames it, or it is a collision.
        return path in before or find_other_name(folder, path, names) is not None

    for path in after:
        if path in before and after[path] == before[path]:
            continue
        file = find_blocking_file(folder, path)
        paths = [file.relative_to(folder).as_posix()] if file else _list_files(folder, path)
        blocking.update(path for path in paths if not is_tracked(path))
    return sorted(blocking)


def _list_files(folder: Path, path: str) -> Iterator[str]:
    place = folder / path
    if place.is_symlink() or place.is_file():
        yield path
        return
    for parent, folders, files in os.walk(place):
        for name in [*files, *(name for name in folders if Path(parent, name).is_symlink())]:
            yield f"{path}/{Path(parent, name).relative_to(place).as_posix()}"


def require_seen_by_git(project: Project, changed: Sequence[str], added: Sequence[str]) -> None:
    """Make sure that git sees changes of the files of an update.

    Args:
        project: The repository.
        changed: Files of it that the update changes or deletes.
        added: Files that the update adds.

    Raises:
        SetupError: It does not; the message has the command that changes that.
    """
    flags = _read_flags(project, changed)
    sparse = project.git.run("config", "--type=bool", "--get", "core.sparseCheckout")
    if sparse.stdout.strip() == b"true":
        # Git sets the flag of these again, whatever the user does.
        left_out = [path for path, flag in flags.items() if flag in "Ss"]
        left_out += _find_left_out(project, added)
        if left_out:
            raise SetupError(
                f"this sparse checkout leaves out {join_paths(sorted(left_out))}, which the update "
                "changes; check out all files: git sparse-checkout disable"
            )
    # Each needs a command of its own: git uses only one of the options.
    hidden = {
        "--no-skip-worktree": [path for path, flag in flags.items() if flag in "Ss"],
        "--no-assume-unchanged": [path for path, flag in flags.items() if flag.islower()],
    }
    commands = " && ".join(
        f"git update-index {option} -- {' '.join(shlex.quote(show_path(path)) for path in paths)}"
        for option, paths in hidden.items()
        if paths
    )
    if commands:
        paths = sorted({path for part in hidden.values() for path in part})
        raise SetupError(
            f"git is set to ignore changes of {join_paths(paths)}, which the update changes; run "
            f"{commands}; then commit or restore what git diff shows"
        )


def _read_flags(project: Project, paths: Sequence[str]) -> dict[str, str]:
    """Return git's letter for each file: lowercase is assume-unchanged, S is skip-worktree."""
    if not paths:
        return {}
    listed = project.git.fields("ls-files", "-v", "-z", "--", *(f":(literal){p}" for p in paths))
    return {line[2:]: line[0] for line in listed}


def _find_left_out(project: Project, paths: Sequence[str]) -> list[str]:
    """Return the new files that the sparse checkout leaves out: git add refuses them."""
    if not paths:
        return []
    top = Git(project.top)
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
        git = top.with_env(GIT_INDEX_FILE=str(Path(scratch, "index")))
        empty = git.text("hash-object", "-w", "--stdin")
        names = [project.prefix + path for path in paths]
        add_to_index(git, (format_index_line(name, Entry("100644", empty)) for name in names))
        tree = git.text("write-tree")
        Path(scratch, "index").unlink()
        aside = Path(scratch, "tree")
        aside.mkdir()
        # In older versions of git only this command applies the patterns to paths.
        git.text(f"--work-tree={aside}", "read-tree", "-m", "-u", tree)
        listed = git.fields("ls-files", "-v", "-z")
    prefix = len(project.prefix)
    return [line[2 + prefix :] for line in listed if line[0] in "Ss"]
