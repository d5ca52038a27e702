"""The commands that a user runs after an adoption."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from packer_toolkit.template.source import format_uvx_requirement


def describe_commit(folder: Path, argument: Path, release: str) -> str:
    """Return the command that commits what an adoption has written.

    Everything else was committed before: it adds and commits nothing else.

    Args:
        folder: The adopted folder.
        argument: The same, as the user has named it.
        release: The template release.
    """
    git = "git" if folder == Path.cwd() else f"git -C {shlex.quote(str(argument))}"
    message = shlex.quote(f"Adopt the template at {release}")
    return f"{git} add --all . && {git} commit -m {message} ."


def find_runner(folder: Path, source: str, release: str) -> str:
    """Return what runs template-check in an adopted folder: task, packer-toolkit or uvx.

    Args:
        folder: The adopted folder.
        source: URL of the template.
        release: The template release.
    """
    taskfile = folder / "Taskfile.yml"
    if (
        (folder / "toolkit-host.sh").is_file()
        and taskfile.is_file()
        and b"\n  template-check:" in taskfile.read_bytes()
    ):
        return "task"
    # uv puts the folder of this very process first on PATH; a later command does not have it.
    path = os.environ.get("PATH", "").split(os.pathsep)
    if "UV" in os.environ:
        path = [each for each in path if each != str(Path(sys.executable).parent)]
    if shutil.which("packer-toolkit", path=os.pathsep.join(path)):
        return "packer-toolkit"
    return f"uvx --from {shlex.quote(format_uvx_requirement(source, release))} packer-toolkit"
