"""A repository that was created from the template: its recorded answers, and its state in git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.version import Version

from packer_toolkit.errors import SetupError
from packer_toolkit.git.addresses import describe_secret, remove_secrets
from packer_toolkit.git.command import Git, GitError, explain_ownership
from packer_toolkit.github.actions import warn
from packer_toolkit.repository.answers_file import (
    BESIDE_ANOTHER,
    DEFAULT,
    choose_answers_file,
    find_answers_files,
    is_ours,
    names_template,
    parse_answers,
    read_candidates,
)
from packer_toolkit.template.source import require_version, resolve_release
from packer_toolkit.text.paths import join_paths


@dataclass(frozen=True)
class Project:
    """A folder with an answers file.

    Attributes:
        folder: The folder, absolute.
        answers: The recorded answers; empty where the file may be gone, as after a killed update.
        answers_file: The file's path below the folder.
    """

    folder: Path
    answers: Mapping[str, Any] = field(default_factory=dict)
    answers_file: str = DEFAULT

    @classmethod
    def read(cls, folder: Path, answers_file: str | None = None) -> Project:
        """Read the answers file of a folder.

        Args:
            folder: The folder that the template was rendered into.
            answers_file: The file's path below the folder; None to look for it.

        Raises:
            SetupError: There is no such file, or it does not name a template and its release.
        """
        folder = folder.absolute()
        answers_file = choose_answers_file(folder, answers_file)
        file = folder / answers_file
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            raise SetupError(_explain_missing_file(folder)) from None
        except OSError as error:
            raise SetupError(f"{file} cannot be read: {error.strerror}; make it readable") from None
        answers = parse_answers(text, str(file))
        if answers.get("_src_path") and not is_ours(text):
            raise SetupError(_explain_other_template(folder, answers_file, answers))
        for key, meaning in (("_src_path", "the template's address"), ("_commit", "its release")):
            if not answers.get(key) or not isinstance(answers[key], str):
                raise SetupError(
                    f"{file} does not name {meaning} ({key}), which updates need; "
                    "add it as docs/updating.md of the template describes"
                )
        if warning := describe_secret(answers["_src_path"], answers_file):
            warn(warning)
        return cls(folder, answers, answers_file)

    @property
    def source(self) -> str:
        """The template's address, as recorded."""
        return str(self.answers["_src_path"])

    @cached_property
    def release(self) -> str:
        """The template's release that this repository is at."""
        return resolve_release(self.source, str(self.answers["_commit"]), self.answers_file)

    def set_release(self, release: str) -> None:
        """Set the release, which another job has read from the template."""
        self.__dict__["release"] = release

    @property
    def version(self) -> Version:
        """The version of `release`; see `require_version`."""
        return require_version(self.release, self.answers_file)

    @cached_property
    def git(self) -> Git:
        """Git in this folder."""
        return Git(self.folder)

    @cached_property
    def top(self) -> Path:
        """The repository's top folder; this one, unless the project is in a sub-folder."""
        try:
            return Path(self.git.text("rev-parse", "--show-toplevel"))
        except GitError as error:
            raise SetupError(
                explain_ownership(self.folder, error.reason)
                or f"{self.folder} is not in the work tree of a git repository; updates need one: "
                "git init, and commit everything"
            ) from None

    @cached_property
    def prefix(self) -> str:
        """The folder's path in the repository: empty, or ending in a slash."""
        return self.git.text("rev-parse", "--show-prefix") if self.top else ""

    @cached_property
    def git_dir(self) -> Path:
        """Git's own folder for this work tree."""
        return Path(Git(self.top).text("rev-parse", "--absolute-git-dir"))

    def read_head(self) -> str:
        """Return the commit that is checked out now."""
        return self.git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")

    @cached_property
    def head(self) -> str:
        """The commit that was checked out at the first look."""
        try:
            return self.read_head()
        except GitError:
            raise SetupError(f"{self.folder} has no commit yet; commit all of its files") from None

    @cached_property
    def tree(self) -> str:
        """The tree of this folder in `head`."""
        try:
            return self.git.text("rev-parse", "--verify", "--quiet", f"{self.head}:{self.prefix}")
        except GitError:
            raise SetupError(
                f"{self.folder} is not committed yet; commit all of its files"
            ) from None


def _explain_missing_file(folder: Path) -> str:
    reason = f"{folder} has no {DEFAULT}"
    for parent in _list_folders_above(folder):
        if find_answers_files(parent):
            return f"{reason}; the answers file is in {parent}: run the command there"
    below = [path for path, text in read_candidates(folder) if "/" in path and is_ours(text)]
    if below:
        return (
            f"{reason}; the answers file is in {(folder / below[0]).parent}: run the command there"
        )
    for path, text in read_candidates(folder):
        if names_template(text):
            return _explain_other_template(folder, path, {})
    return (
        f"{reason}, so it was not created from the template; run `packer-toolkit template adopt` "
        "to connect it"
    )


def _list_folders_above(folder: Path) -> list[Path]:
    """Return the folders above one, up to the top of its repository."""
    folders = [folder, *folder.parents]
    tops = [index for index, item in enumerate(folders) if (item / ".git").exists()]
    return folders[1 : tops[0] + 1] if tops else []


def _explain_other_template(folder: Path, file: str, answers: Mapping[str, Any]) -> str:
    address = answers.get("_src_path")
    named = f" ({remove_secrets(str(address))})" if address else ""
    return (
        f"{folder} was not created from this template: {file} is an answers file of another "
        f"one{named}; run `packer-toolkit template adopt` to add {BESIDE_ANOTHER} beside it"
    )


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
    # Each of them raises the error that explains what is missing.
    _ = (project.top, project.head, project.tree)


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
        raise SetupError(f"{file} is not committed; run git add --force {file}, and commit it")
    if not entry.startswith("100"):
        raise SetupError(
            f"{file} is a symbolic link to a file that is not in this folder; replace it with "
            "the file, and commit that"
        )
