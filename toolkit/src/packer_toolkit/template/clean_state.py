"""Check that a project has a commit to start from, and no uncommitted changes."""

from __future__ import annotations

from packer_toolkit.errors import SetupError
from packer_toolkit.template.project import Project
from packer_toolkit.text.paths import join_paths

# Files and folders of git while an operation is unfinished -> the operation.
_UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
}


def require_commit(project: Project) -> None:
    """Make sure that a project is in a git repository, and committed.

    Raises:
        SetupError: It is not.
    """
    for part in (project.top, project.head, project.tree):
        if not part:
            raise SetupError(f"{project.folder} has no committed files; commit everything first")


def find_uncommitted(project: Project) -> list[str]:
    """Return the changed and untracked files of a project; ignored files are left out."""
    status = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"]
    # Without a lock of the index, which would be left if git is killed.
    git = project.git.with_env(GIT_OPTIONAL_LOCKS="0")
    return [entry[3:] for entry in git.fields(*status, "--", ".")]


def require_committed(project: Project) -> None:
    """Make sure that a project has no changed and no untracked files.

    Raises:
        SetupError: It has.
    """
    changed = find_uncommitted(project)
    if changed:
        raise SetupError(
            f"there are uncommitted changes ({join_paths(changed)}); commit them, or put them "
            "aside with git stash --include-untracked"
        )


def require_clean(project: Project) -> None:
    """Make sure that an update can be distinguished from the user's own changes, and undone.

    Raises:
        SetupError: A git operation is unfinished, or there are uncommitted changes.
    """
    require_commit(project)
    for name, operation in _UNFINISHED.items():
        if (project.git_dir / name).exists():
            raise SetupError(f"{operation} is in progress; finish it, or cancel it with --abort")
    require_committed(project)
    require_committed_answers(project)


def require_committed_answers(project: Project) -> None:
    """Make sure that the answers file is a committed file.

    Raises:
        SetupError: It is not.
    """
    file = project.answers_file
    entry = project.git.text("ls-tree", "HEAD", "--", f":(literal){file}")
    if not entry:
        raise SetupError(f"{file} is not committed; git add --force {file}, and commit it")
    if not entry.startswith("100"):
        raise SetupError(
            f"{file} is a symbolic link to a file that is not in this folder; replace it with "
            "the file, and commit that"
        )
