"""Run all checks of the doctor: what a build needs, each with the way to fix it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packer_toolkit.environment import check_aws, check_repository, check_tools
from packer_toolkit.environment.machine import Check, Machine, report_missing
from packer_toolkit.errors import ToolkitError
from packer_toolkit.repository import session_manager, settings


def run_doctor(start: Path | None = None) -> list[Check]:
    """Check this machine and the repository around a folder.

    Args:
        start: The folder; by default the working directory.
    """
    root = settings.find_repository(start)
    broken = None
    try:
        values = settings.read_settings(start)
    except ToolkitError as error:
        values = dict(os.environ)
        broken = report_missing("settings", str(error), f"correct this line of {settings.FILE}")
    machine = Machine(root, values)
    uses_session_manager = session_manager.is_configured(root, values)
    checks: list[Callable[[Machine], Check]] = [
        check_repository.check_repository,
        lambda machine: broken or check_repository.check_settings(machine),
        check_repository.check_git,
        *([check_repository.check_template] if check_repository.find_recorded_secret(root) else []),
        check_tools.check_task,
        check_tools.check_engine,
        check_tools.check_image,
        check_aws.check_role,
        check_aws.check_region,
        check_aws.check_aws,
        *([check_tools.check_session_manager] if uses_session_manager else []),
    ]
    # Most of them wait for a program or for the network.
    with ThreadPoolExecutor(len(checks) + 1) as pool:
        trust = pool.submit(check_aws.check_trust, machine)
        return [*pool.map(lambda check: check(machine), checks), *trust.result()]
