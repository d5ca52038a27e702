"""Run the checks of a pull request: each uses one tool, and all of them run in parallel."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from packer_toolkit.checks import ansible, linters
from packer_toolkit.checks.format import check_hcl_format, check_script_format
from packer_toolkit.checks.inspec import check_inspec
from packer_toolkit.checks.tools import Finding, MissingToolError, SkippedError
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.repository.galaxy_install import Options, hold_requirements
from packer_toolkit.repository.requirements_file import RequirementsError

Status = Literal["passed", "failed", "skipped", "missing", "unreachable"]


@dataclass
class CheckResult:
    """The result of a check.

    Attributes:
        name: Of the check.
        status: failed: it has findings; skipped: there was nothing to check, or `reason` explains
            why it need not run; missing: its tool is not on PATH; unreachable: a server that it
            needs cannot be reached.
        reason: Why it did not run, or "".
        seconds: Its duration.
        findings: The mistakes that it found.
    """

    name: str
    status: Status = "passed"
    reason: str = ""
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


# In the order of the table. A group is the first word of the names.
CHECKS: dict[str, Callable[[Path], list[Finding]]] = {
    "packer-fmt": check_hcl_format,
    "packer-validate": linters.check_template,
    "ansible-syntax": ansible.check_syntax,
    "ansible-lint": ansible.run_lint,
    "yamllint": linters.check_yaml,
    "shellcheck": linters.check_scripts,
    "shfmt": check_script_format,
    "inspec": check_inspec,
}
GROUPS = {
    "ansible": ("ansible-syntax", "ansible-lint"),
    "packer": ("packer-fmt", "packer-validate"),
    "shell": ("shellcheck", "shfmt"),
    "yaml": ("yamllint",),
}


def choose_checks(names: Sequence[str]) -> list[str]:
    """Return the checks of some names of checks and groups; without names, all checks."""
    chosen = {check for name in names for check in GROUPS.get(name, (name,))}
    return [name for name in CHECKS if not chosen or name in chosen]


def run_checks(
    root: Path, names: Sequence[str], report: Callable[[str], None] = lambda _: None
) -> list[CheckResult]:
    """Run checks in parallel, and return their results in the order of the names.

    Args:
        root: The repository.
        names: Of the checks.
        report: Called with a line when the checks have to install something first.
    """
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        blocked = _install_requirements(root, names, report, stack)
        return list(pool.map(lambda name: blocked.get(name) or _run_check(root, name), names))


def _install_requirements(
    root: Path, names: Sequence[str], report: Callable[[str], None], stack: contextlib.ExitStack
) -> dict[str, CheckResult]:
    """Install what the playbook and the roles need.

    Returns:
        Results of the checks that cannot run without it; the first of them has the reason.
    """
    first, *others = [name for name in names if name in GROUPS["ansible"]] or [""]
    if not first:
        return {}
    try:
        stack.enter_context(hold_requirements(root, Options(report=report)))
        return {}
    except RequirementsError as error:
        finding = Finding(error.file.as_posix(), error.line, error.reason)
        result = CheckResult(first, "failed", findings=[finding])
    except SetupError as error:
        result = CheckResult(first, "missing", str(error))
    except RemoteError as error:
        result = CheckResult(first, "unreachable", str(error))
    skipped = {name: CheckResult(name, "skipped", f"see {first}") for name in others}
    return {first: result, **skipped}


def _run_check(root: Path, name: str) -> CheckResult:
    start = time.monotonic()
    result = CheckResult(name)
    try:
        result.findings = CHECKS[name](root)
        result.status = "failed" if result.findings else "passed"
    except SkippedError as error:
        result.status, result.reason = "skipped", str(error)
    except MissingToolError as error:
        result.status, result.reason = "missing", f"{error} is not on PATH"
    result.seconds = round(time.monotonic() - start, 1)
    return result
