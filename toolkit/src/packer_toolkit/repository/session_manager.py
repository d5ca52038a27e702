"""Whether a repository chooses Session Manager, and the program that it needs then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

PROGRAM = "session-manager-plugin"
INSTALL = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html"
)
INTERFACE = "session_manager"
# A value, also in a conditional; not a comparison, and not the list of what the variable accepts.
_CHOSEN = re.compile(r'^[^#\n]*(?<![=!])[=?:]\s*"session_manager"', re.M)


def is_configured(root: Path | None, environment: Mapping[str, str], *more: Path) -> bool:
    """Return whether the files of a repository, or the environment, choose Session Manager.

    Args:
        root: The repository; None when there is none.
        environment: The environment, with the settings of the repository.
        more: Further files, such as a JSON template.
    """
    if environment.get("PKR_VAR_ssh_interface") == INTERFACE:
        return True
    files = [*(sorted(root.glob("*.pkr*")) if root else []), *more]
    return any(_CHOSEN.search(file.read_text(errors="replace")) for file in files if file.is_file())
