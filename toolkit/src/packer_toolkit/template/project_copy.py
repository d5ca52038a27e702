"""A temporary repository with the files of a project, on which an update is computed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.command import Git, GitError, limit_transfer
from packer_toolkit.template.project import Project
from packer_toolkit.template.trees import Tree, write_tree
from packer_toolkit.text.paths import show_path

# The user's own settings must not change what is compared; Copier's git reads these.
_CONFIG = f"""\
[core]
\tautocrlf = false
\tfileMode = true
\thooksPath = {os.devnull}
[status]
\tshowUntrackedFiles = all
"""
_NAMES = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "packer-toolkit"), ("EMAIL", "packer-toolkit@invalid"))
}


class ProjectCopy:
    """A temporary repository with the files of a project.

    Attributes:
        folder: Its folder.
        git: Git in it.
    """

    def __init__(
        self, project: Project, folder: Path, scratch: Path, env: Mapping[str, str]
    ) -> None:
        """Prepare a copy; `create` writes it.

        Args:
            project: The repository to copy.
            folder: Where the copy goes; does not exist.
            scratch: A folder for temporary files.
            env: The environment of git: migrations can write the copy's configuration, which can
                name programs to run.
        """
        self._project = project
        self._scratch = scratch
        self.folder = folder
        self.git = Git(folder, _NAMES, base=env)

    def create(self) -> None:
        """Create the repository, with the project's files and nothing else; it borrows objects."""
        self.folder.mkdir(parents=True)
        source = self._project.git
        objects = Path(source.text("rev-parse", "--git-path", "objects"))
        kind = source.text("rev-parse", "--show-object-format")
        self.git.text("init", "--quiet", f"--object-format={kind}", "--template=", "-b", "main")
        information = self.folder / ".git" / "objects" / "info"
        information.mkdir(exist_ok=True)
        borrowed = os.fsencode((self._project.folder / objects).resolve())
        if b"\n" in borrowed or borrowed.startswith((b'"', b"#")):  # would need git's quoting
            raise SetupError(
                f"git cannot borrow objects from the folder {show_path(os.fsdecode(borrowed))}, "
                "because of its name; rename the folder"
            )
        (information / "alternates").write_bytes(borrowed + b"\n")
        with (self.folder / ".git" / "config").open("a") as config:
            config.write(_CONFIG)
        fetch_missing(source, self._project.tree)
        commit = self.git.text("commit-tree", "-m", "The project", self._project.tree)
        self.git.text("update-ref", "HEAD", commit)
        self.git.text("read-tree", "HEAD")
        self.git.text("checkout-index", "--all", "--quiet")
        self.git.text("update-index", "-q", "--refresh")

    def write_tree(self, tree: Tree) -> str:
        """Create a tree object from files, and return its ID."""
        return write_tree(self.git, tree, self._scratch / "index")

    def snapshot(self, folder: Path, tracked: Tree | None = None) -> str:
        """Create a tree object from the files of a folder, and return its ID.

        Args:
            folder: The folder.
            tracked: The files of which ignored ones are taken; None to take all ignored files.

        Raises:
            SetupError: Git cannot store a file.
        """
        index = self._scratch / "snapshot-index"
        git = replace(self.git, folder=folder).with_env(
            GIT_INDEX_FILE=str(index),
            GIT_DIR=str(self.folder / ".git"),
            GIT_WORK_TREE=str(folder),
        )
        try:
            if tracked is None:
                # A render: all of it, also what its own .gitignore ignores.
                git.text("add", "--all", "--force", ".")
            else:
                git.text("read-tree", self.write_tree(tracked))
                git.text("add", "--all", ".")
            return git.text("write-tree")
        except GitError as error:
            raise SetupError(
                f"git cannot store the files of the release ({error.reason}); nothing was changed "
                "here; report it to the maintainers of the template"
            ) from None
        finally:
            index.unlink(missing_ok=True)

    def has_changes(self, tree: str) -> bool:
        """Check whether migrations have changed the copy, or its index, since it had a tree.

        Most have nothing to do in most updates; a snapshot takes three times as long.
        """
        changed = ["ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard"]
        if self.git.raw(*changed):
            return True
        return self.git.run("write-tree").stdout.decode().strip() != tree


def fetch_missing(git: Git, tree: str) -> None:
    """Fetch the objects of a tree that a partial clone does not have, with one command.

    These are, for example, files outside of its sparse checkout.

    Args:
        git: Git in the repository.
        tree: The tree object.

    Raises:
        RemoteError: The remote cannot be read.
    """
    pattern = r"^remote\..*\.(promisor|partialclonefilter)$"
    names = git.run("config", "--null", "--name-only", "--get-regexp", pattern).stdout
    remotes = [
        os.fsdecode(name).partition(".")[2].rpartition(".")[0]
        for name in names.split(b"\0")
        if name
    ]
    if not remotes:
        return
    try:
        # Missing trees are fetched one by one while they are listed.
        listed = limit_transfer(git).text("rev-list", "--objects", "--missing=print", tree, "--")
        missing = [line[1:] for line in listed.splitlines() if line.startswith("?")]
        if missing:
            fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none")
            limit_transfer(git).text(
                *("-c", "fetch.negotiationAlgorithm=noop", *fetch),
                *("--recurse-submodules=no", "--stdin", "--", remotes[0]),
                stdin="\n".join(missing).encode() + b"\n",
            )
    except GitError as error:
        raise RemoteError(
            f"this partial clone lacks files of its commit, which cannot be fetched from "
            f"{remotes[0]}: {error.reason}; check the network, and that you may read it with git"
        ) from None
