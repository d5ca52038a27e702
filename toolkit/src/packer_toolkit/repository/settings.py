"""What a repository says about itself: toolkit.env, below the environment.

Task reads the same file, and `docker run --env-file` takes it too; so it has neither quotes nor
escapes: NAME=VALUE, comments on lines of their own.
"""

from __future__ import annotations

import os
from pathlib import Path

from packer_toolkit.errors import SetupError

FILE = "toolkit.env"


def repository(start: Path | None = None) -> Path | None:
    """Return the packer-ami repository that a folder is in, or None.

    Args:
        start: the folder; by default the present one.

    Raises:
        SetupError: when this user may not read the folder.
    """
    folder = (start or Path.cwd()).absolute()
    if not os.access(folder, os.R_OK | os.X_OK):
        raise SetupError(
            f"uid {os.getuid()} may not read {folder}; run as its owner, in a container with --user"
        )
    for candidate in (folder, *folder.parents):
        if os.path.isfile(candidate / FILE):  # no error where a folder may not be read
            return candidate
    return None


def require_repository(start: Path | None = None) -> Path:
    """Return the packer-ami repository that a folder is in.

    Raises:
        SetupError: when there is none, or this user may not read the folder.
    """
    found = repository(start)
    if found is None:
        raise SetupError(
            f"no packer-ami repository here: {start or Path.cwd()} and the folders above it have no"
            f" {FILE}; go to one, or see `packer-toolkit adopt --help`"
        )
    return found


def read(file: Path) -> dict[str, str]:
    """Return the names and values of an .env file.

    Raises:
        SetupError: when a line is not NAME=VALUE.
    """
    found = {}
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise SetupError(f"{file}: line {number} is not NAME=VALUE: {text}")
        found[name.strip()] = _unquoted(value.strip())
    return found


def settings(start: Path | None = None) -> dict[str, str]:
    """Return the repository's settings; what the environment has set, and not to nothing, wins.

    Without a repository it is the environment alone.
    """
    root = repository(start)
    own = read(root / FILE) if root else {}
    return {**own, **{name: value for name, value in os.environ.items() if value}}


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
