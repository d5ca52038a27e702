"""Read the settings of a repository: toolkit.env, and the environment, which takes precedence.

toolkit.sh reads the same file, and `docker run --env-file` accepts it: each line is NAME=VALUE or a
comment, and a value has neither quotes nor escapes.
"""

from __future__ import annotations

import os
from pathlib import Path

from packer_toolkit.errors import SetupError

FILE = "toolkit.env"


def find_repository(start: Path | None = None) -> Path | None:
    """Return the packer-ami repository that a folder is in; None when it is in none.

    Args:
        start: The folder; by default the working directory.

    Raises:
        SetupError: This user may not read the folder.
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
        SetupError: The folder is in none, or this user may not read it.
    """
    root = find_repository(start)
    if root is None:
        raise SetupError(
            f"{start or Path.cwd()} is not in a packer-ami repository: neither it nor a folder"
            f" above it has {FILE}; run the command in a repository, or see"
            " `packer-toolkit template adopt --help`"
        )
    return root


def read_env_file(file: Path) -> dict[str, str]:
    """Return the names and values of an .env file, as toolkit.sh and `docker run` read it.

    Raises:
        SetupError: A line is not NAME=VALUE.
    """
    values = {}
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.isidentifier():
            raise SetupError(
                f"{file}: line {number} is not NAME=VALUE: {line.strip()}; correct the line"
            )
        values[name] = value
    return values


def read_settings(start: Path | None = None) -> dict[str, str]:
    """Return the settings of the repository; a variable of the environment that is set wins.

    Outside of a repository these are the variables of the environment alone.
    """
    root = find_repository(start)
    values = read_env_file(root / FILE) if root else {}
    return {**values, **{name: value for name, value in os.environ.items() if value}}
