"""A repository that was made from the template: its answers, and whether it can be updated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.version import Version

from packer_toolkit.errors import SetupError
from packer_toolkit.git.addresses import describe_secret, without_secret
from packer_toolkit.git.command import Git, GitError
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

ANSWERS_FILE = DEFAULT

# What git keeps in its folder while something is unfinished -> what that is.
_UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
}


@dataclass(frozen=True)
class Project:
    """A folder with an answers file.

    Attributes:
        folder: where it is, absolute.
        answers: what the file holds.
        answers_file: the file's path below the folder.
    """

    folder: Path
    answers: Mapping[str, Any]
    answers_file: str = DEFAULT

    @classmethod
    def at(cls, folder: Path, answers_file: str | None = None) -> Project:
        """Read the answers file of a folder.

        Args:
            folder: the folder that the template was rendered into.
            answers_file: the file's path below the folder; None to look for it.

        Raises:
            SetupError: when there is none, or it does not say which release of what it is.
        """
        folder = folder.absolute()
        answers_file = choose_answers_file(folder, answers_file)
        file = folder / answers_file
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            raise SetupError(_no_answers(folder)) from None
        except OSError as error:
            raise SetupError(f"{file} cannot be read: {error.strerror}") from None
        answers = parse_answers(text, str(file))
        if answers.get("_src_path") and not is_ours(text):
            raise SetupError(_of_another_template(folder, answers_file, answers))
        for key, meaning in (("_src_path", "the template's address"), ("_commit", "its release")):
            if not answers.get(key) or not isinstance(answers[key], str):
                raise SetupError(
                    f"{file} does not name {meaning} ({key}), so there is nothing to compare with; "
                    "docs/updating.md of the template says how to set it once"
                )
        if warning := describe_secret(answers["_src_path"], answers_file):
            warn(warning)
        return cls(folder, answers, answers_file)

    @classmethod
    def anywhere(cls, folder: Path) -> Project:
        """Return a folder whose answers file may be gone, as after a killed update."""
        return cls(folder.absolute(), {})

    @property
    def source(self) -> str:
        """The template's address, as recorded."""
        return str(self.answers["_src_path"])

    @cached_property
    def release(self) -> str:
        """The template's release that this repository is at."""
        return resolve_release(self.source, str(self.answers["_commit"]), self.answers_file)

    def set_release(self, release: str) -> None:
        """Take the release from another job, which could ask the template for it."""
        self.__dict__["release"] = release

    @property
    def version(self) -> Version:
        """The version of `release`; see `require_version`."""
        return require_version(self.release, self.answers_file)

    @cached_property
    def git(self) -> Git:
        """Git in this folder."""
        return Git.at(self.folder)

    @cached_property
    def top(self) -> Path:
        """The repository's top folder; this one, unless the project is in a sub-folder."""
        try:
            return Path(self.git.text("rev-parse", "--show-toplevel"))
        except GitError as error:
            if "dubious ownership" in error.reason:
                raise SetupError(
                    f"{self.folder} belongs to somebody else, and git refuses it; "
                    f"git config --global --add safe.directory {self.folder}"
                ) from None
            raise SetupError(
                f"{self.folder} is not in the work tree of a git repository; updates need one: "
                "git init, and commit everything"
            ) from None

    @cached_property
    def prefix(self) -> str:
        """The folder's path in the repository: empty, or ending in a slash."""
        return self.git.text("rev-parse", "--show-prefix") if self.top else ""

    @cached_property
    def git_dir(self) -> Path:
        """Git's own folder for this work tree."""
        return Path(Git.at(self.top).text("rev-parse", "--absolute-git-dir"))

    def read_head(self) -> str:
        """Return the commit that is checked out now."""
        return self.git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")

    @cached_property
    def head(self) -> str:
        """The commit that was checked out at the first look."""
        try:
            return self.read_head()
        except GitError:
            raise SetupError(f"{self.folder} has no commit yet; commit everything first") from None

    @cached_property
    def tree(self) -> str:
        """The tree of this folder in `head`."""
        try:
            return self.git.text("rev-parse", "--verify", "--quiet", f"{self.head}:{self.prefix}")
        except GitError:
            raise SetupError(
                f"{self.folder} is not committed yet; commit everything first"
            ) from None

    def require_commit(self) -> None:
        """Make sure that this is a git repository with something to start from.

        Raises:
            SetupError: when it is not.
        """
        for part in (self.top, self.head, self.tree):
            if not part:
                raise SetupError(f"{self.folder} has nothing committed; commit everything first")

    def uncommitted(self) -> list[str]:
        """Return what is changed or untracked here, ignored files left out."""
        status = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"]
        # Without a lock of the index, which would be left if git is killed.
        git = self.git.with_env(GIT_OPTIONAL_LOCKS="0")
        return [entry[3:] for entry in git.fields(*status, "--", ".")]

    def require_committed(self) -> None:
        """Make sure that nothing here is changed or untracked.

        Raises:
            SetupError: when something is.
        """
        changed = self.uncommitted()
        if changed:
            raise SetupError(
                f"not everything is committed here ({join_paths(changed)}); commit it, or put it "
                "aside with git stash --include-untracked"
            )

    def require_clean(self) -> None:
        """Make sure that an update can be told from a person's own work, and taken back.

        Raises:
            SetupError: when something is unfinished or uncommitted.
        """
        self.require_commit()
        for name, what in _UNFINISHED.items():
            if (self.git_dir / name).exists():
                raise SetupError(f"{what} is in progress here; finish it, or end it with --abort")
        self.require_committed()
        self.require_committed_answers()

    def require_committed_answers(self) -> None:
        """Make sure that the answers file is a file that git has.

        Raises:
            SetupError: when it is not.
        """
        file = self.answers_file
        entry = self.git.text("ls-tree", "HEAD", "--", f":(literal){file}")
        if not entry:
            raise SetupError(f"{file} is not committed; git add --force {file}, and commit it")
        if not entry.startswith("100"):
            raise SetupError(
                f"{file} is a symbolic link to a file that is not in this folder; replace it with "
                "the file, and commit that"
            )


def _no_answers(folder: Path) -> str:
    why = f"{folder} has no {DEFAULT}"
    for parent in _folders_above(folder):
        if find_answers_files(parent):
            return f"{why}; there is one in {parent}, go there"
    below = [path for path, text in read_candidates(folder) if "/" in path and is_ours(text)]
    if below:
        return f"{why}; there is one in {(folder / below[0]).parent}, go there"
    for path, text in read_candidates(folder):
        if names_template(text):
            return _of_another_template(folder, path, {})
    return f"{why}, so it was not made from the template; packer-toolkit adopt brings it under it"


def _folders_above(folder: Path) -> list[Path]:
    """Return the folders above one, up to the top of its repository."""
    places = [folder, *folder.parents]
    tops = [index for index, place in enumerate(places) if (place / ".git").exists()]
    return places[1 : tops[0] + 1] if tops else []


def _of_another_template(folder: Path, file: str, answers: Mapping[str, Any]) -> str:
    address = answers.get("_src_path")
    named = f" ({without_secret(str(address))})" if address else ""
    return (
        f"{folder} was not made from this template: {file} is an answers file of another "
        f"one{named}; packer-toolkit adopt adds {BESIDE_ANOTHER} beside it"
    )
