"""Files whose changes git is set to ignore, and files that a sparse checkout leaves out."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import Entry, add_to_index, format_index_line
from packer_toolkit.text.paths import join_paths, show_path


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
    if _is_sparse(project):
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


def _is_sparse(project: Project) -> bool:
    process = project.git.run("config", "--type=bool", "--get", "core.sparseCheckout")
    return process.stdout.strip() == b"true"


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
