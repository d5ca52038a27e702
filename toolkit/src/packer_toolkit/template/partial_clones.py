"""Fetch what a partial clone does not have, such as files outside of its sparse checkout."""

from __future__ import annotations

import os

from packer_toolkit.errors import RemoteError
from packer_toolkit.git.command import Git, GitError, limit_transfer


def fetch_missing(git: Git, tree: str) -> None:
    """Fetch the objects of a tree that a partial clone does not have, with one command.

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
