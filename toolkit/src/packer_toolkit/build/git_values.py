"""Values of a build that Git knows, in forms of a repository that the HCL cannot read.

HCL reads files of .git. It cannot read reftables, and it cannot ask which files Git tracks.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from packer_toolkit.errors import ToolkitError
from packer_toolkit.git.command import Git
from packer_toolkit.repository.answers_file import read_answers


def set_git_values(env: MutableMapping[str, str], folder: Path) -> None:
    """Set variables of Packer that are not set yet: git_commit and template_version.

    Args:
        env: the environment of Packer; changed.
        folder: the folder, or the file, that is built.
    """
    place = (folder if folder.is_dir() else folder.parent).absolute()
    for name, value in {
        "PKR_VAR_git_commit": _read_commit(place),
        "PKR_VAR_template_version": _read_template_version(place),
    }.items():
        if value and not env.get(name):
            env[name] = value


def _read_commit(folder: Path) -> str:
    """Return the commit that is checked out; empty without one."""
    try:
        return Git(folder).text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except ToolkitError:
        return ""


def _read_template_version(folder: Path) -> str:
    """Return the release in the answers file that Git tracks; empty where the HCL is to decide."""
    recorded = read_answers(folder).get("_commit")
    return recorded if isinstance(recorded, str) else ""
