"""Find out whether a repository builds through Session Manager, which needs a program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PROGRAM = "session-manager-plugin"
INSTALL = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html"
)
INTERFACE = "session_manager"


def is_configured(root: Path | None, environment: Mapping[str, str], *more: Path) -> bool:
    """Report whether the files of a repository, or the environment, may choose Session Manager.

    Args:
        root: The repository; None outside of one.
        environment: The environment, with the settings of the repository.
        more: Further files, such as a JSON template.
    """
    if environment.get("PKR_VAR_ssh_interface") == INTERFACE:
        return True
    from packer_toolkit.hcl.parse import may_set

    files = [*(sorted(root.glob("*.pkr*")) if root else []), *more]
    return any(may_set(file, INTERFACE) for file in files if file.is_file())
