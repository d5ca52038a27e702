"""Prepare the files of an update beside the work tree, with this repository's line endings."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from packer_toolkit.git.command import Git
from packer_toolkit.template.file_changes import describe_file
from packer_toolkit.template.trees import SUBMODULE, Entry, add_to_index, format_index_line
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.template.update_record import RecordFolder


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
    lines = (format_index_line(project.prefix + path, plan.after[path]) for path in paths)
    add_to_index(git, lines)
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
