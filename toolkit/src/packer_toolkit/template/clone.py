"""Clone the template with the user's own access, so that rendering needs no access."""

from __future__ import annotations

from pathlib import Path

from packer_toolkit.errors import RemoteError
from packer_toolkit.git.addresses import expand_address, remove_secrets
from packer_toolkit.git.command import Git, GitError, limit_transfer
from packer_toolkit.template.project import Project


def clone_template(project: Project, folder: Path) -> Path:
    """Clone the template of a project, with all of its branches and tags.

    None of the template's code runs: nothing is checked out, and a clone has no hooks.

    Args:
        project: A repository; its answers file names the template.
        folder: Where the clone goes; does not exist.

    Returns:
        The folder: a bare repository, which does not record the template's address.

    Raises:
        RemoteError: Git cannot read the template.
    """
    url = expand_address(project.source)
    git = limit_transfer(Git(project.folder))
    try:
        git.text(
            "clone", "--quiet", "--bare", "--template=", "-o", "origin", "--", url, str(folder)
        )
        # The address may hold a password.
        Git.open_repository(folder).text("remote", "remove", "origin")
    except GitError as error:
        raise RemoteError(
            f"the template {remove_secrets(project.source)} cannot be fetched: "
            f"{remove_secrets(error.reason)}; check the network, and that you may read it with git"
        ) from None
    return folder
