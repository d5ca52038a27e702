"""Builds through Session Manager: their requirements, and when to stop one that cannot connect.

docs/pipeline.md has the settings, docs/decisions/0040-session-manager.md the reasons.
"""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packer_toolkit.build.source_settings import (
    UNREADABLE,
    find_settings,
    is_json_template,
    read_json,
    read_template,
)
from packer_toolkit.build.values import Values
from packer_toolkit.errors import SetupError
from packer_toolkit.hcl.sources import UNKNOWN
from packer_toolkit.repository.session_manager import INSTALL, INTERFACE, PROGRAM, is_configured

_PROFILE = "iam_instance_profile"
_TEMPORARY_PROFILE = "temporary_iam_instance_profile_policy_document"
# A variable in a JSON template, the format before HCL: {{user `name`}}.
_USER_VARIABLE = re.compile(r"\{\{ *user +[`\"]([\w-]+)[`\"] *\}\}")

# So many sessions in so many seconds mean that none of them works: Packer starts the next one
# immediately, until ssh_timeout is over.
_MOST_SESSIONS = 20
_WITHIN_SECONDS = 60.0
_STARTED = re.compile(r"Starting portForwarding session")
_REFUSED = re.compile(r"ssm error: (?!.*context canceled)(.*)")
_CONNECTED = re.compile(r"Connected to SSH!")
_SESSION_ID = re.compile(r'"[^"]+"')
_LONGEST_MEMORY = 100


def require_session_manager(
    values: Values, names: Sequence[str], template: Path, environment: Mapping[str, str]
) -> None:
    """Make sure that builds through Session Manager have its program and an instance profile.

    Args:
        values: Values of the HCL, with the arguments of the build.
        names: Names of the selected builds, such as amazon-ebs.x86_64.
        template: Folder or file with the HCL.
        environment: Environment of the build.

    Raises:
        SetupError: If one of them is missing.
    """
    folder = template if template.is_dir() else template.parent
    is_selected = any(text.startswith(INTERFACE) for text in values.raw.values())
    if not (is_selected or is_configured(folder, environment, template)):
        return  # as in most builds, whose HCL need not be evaluated
    for name in names:
        if not values.kinds.get(name, "").startswith("amazon-"):
            continue
        interface, profile = _read_settings(values, name, template)
        if not interface.startswith(INTERFACE):
            continue
        if not shutil.which(PROGRAM, path=environment.get("PATH")):
            raise SetupError(
                f"{name}: it connects through Session Manager, but {PROGRAM} is not on PATH; build "
                f"in the toolkit image with `task packer-build`, or install it: {INSTALL}"
            )
        if not profile:
            raise SetupError(
                f"{name}: it connects through Session Manager, but its instance has no instance "
                f"profile; add -var {_PROFILE}=NAME, a profile whose role has the policy "
                "AmazonSSMManagedInstanceCore"
            )


def _read_settings(values: Values, name: str, template: Path) -> tuple[str, bool]:
    """Return the ssh_interface of a build, and whether it has an instance profile."""
    by_variable = values.text("var.ssh_interface"), bool(values.text(f"var.{_PROFILE}"))
    if is_json_template(template):
        return _read_json_settings(values, name, template) or by_variable
    hcl = read_template(template)
    interfaces = find_settings(hcl, name, values, "ssh_interface")
    if hcl.unread or not interfaces:
        return by_variable
    names = [
        by_variable[0] if UNKNOWN in str(each.value) else str(each.value or "")
        for each in interfaces
    ]
    interface = next((each for each in names if each.startswith(INTERFACE)), names[0])
    profiles = find_settings(hcl, name, values, _PROFILE)
    has_profile = any(bool(each.value) or _TEMPORARY_PROFILE in each.blocks for each in profiles)
    return interface, has_profile


def _read_json_settings(values: Values, name: str, template: Path) -> tuple[str, bool] | None:
    """Read the same from a JSON template; None if that is not possible."""
    try:
        document = read_json(template)
        (builder,) = (
            each
            for each in document["builders"]
            if name in (each.get("name"), f"{each['type']}.{each.get('name')}", each["type"])
        )
        defaults = dict(document.get("variables") or {})
    except UNREADABLE:
        return None

    def evaluate(text: Any) -> str:
        return _USER_VARIABLE.sub(
            lambda match: values.text(f"var.{match[1]}") or str(defaults.get(match[1]) or ""),
            str(text or ""),
        )

    profile = builder.get(_TEMPORARY_PROFILE) or evaluate(builder.get(_PROFILE))
    return evaluate(builder.get("ssh_interface")), bool(profile)


class SessionWatch:
    """Follows the output of Packer, and detects that Session Manager will never connect.

    Attributes:
        is_hopeless: Whether it will never connect.
    """

    def __init__(self) -> None:
        self.is_hopeless = False
        self._starts: dict[str, deque[float]] = {}
        self._connected: set[str] = set()
        self._repeated: dict[str, None] = {}
        self._last = ""

    def read(self, build: str, text: str, time: float) -> str:
        """Read a line; return the reason to stop the build, the first time that there is one.

        Args:
            build: Name of the build that printed the line.
            text: The line without the name of the build.
            time: Seconds since the start of Packer.
        """
        if _CONNECTED.search(text):
            self._connected.add(build)
        reason = ""
        if _STARTED.search(text):
            starts = self._starts.setdefault(build, deque(maxlen=_MOST_SESSIONS))
            starts.append(time)
            if len(starts) == _MOST_SESSIONS and time - starts[0] < _WITHIN_SECONDS:
                reason = f"{PROGRAM} failed {_MOST_SESSIONS} times: {self._last}"
        elif build in self._starts:
            self._last = text or self._last
        if (refused := _REFUSED.search(text)) and build not in self._connected:
            reason = f"Session Manager refused the session: {refused[1]}"
        if build in self._starts and len(self._repeated) < _LONGEST_MEMORY:
            self._repeated[_remove_session_ids(text)] = None
        if not reason or self.is_hopeless:
            return ""
        self.is_hopeless = True
        return reason

    def is_repetition(self, text: str) -> bool:
        """Return whether an earlier session printed the same line."""
        return self.is_hopeless and _remove_session_ids(text) in self._repeated


def _remove_session_ids(text: str) -> str:
    return _SESSION_ID.sub('""', text)
