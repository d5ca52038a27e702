"""Every package that is imported is declared, and every declared package is imported.

pyproject.toml and toolkit/pyproject.toml hold the settings of deptry.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig import tools
from rig.template import ROOT


def run_deptry(project: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run deptry with the settings of a project.

    Args:
        project: The folder of its pyproject.toml.
        arguments: The folders to read, and options.

    Returns:
        The process; its standard error has the findings.
    """
    return subprocess.run(
        [tools.require("deptry"), *arguments, "--no-ansi"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("project", "arguments"),
    [
        # A hook runs where only Copier is installed: DEP004 refuses a package of the tests there.
        pytest.param(ROOT, ["hooks"], id="hooks"),
        # Tests use groups, and not all packages of a group are imported.
        pytest.param(ROOT, ["tests/rig", "--ignore=DEP002,DEP004"], id="rig"),
        pytest.param(ROOT / "toolkit", ["src"], id="toolkit"),
    ],
)
def test_what_is_imported_is_declared(project: Path, arguments: list[str]) -> None:
    """No import depends on a package that comes only because another package needs it."""
    process = run_deptry(project, *arguments)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        ("import certifi\n", "DEP003 'certifi' imported but it is a transitive dependency"),
        ("import moto\n", "DEP004 'moto' imported but declared as a dev dependency"),
    ],
)
def test_an_undeclared_import_of_a_hook_is_found(tmp_path: Path, code: str, finding: str) -> None:
    """The check fails for a package that a user's machine does not have."""
    (tmp_path / "hook.py").write_text(code)
    process = run_deptry(ROOT, tmp_path)
    assert process.returncode == 1
    assert finding in process.stderr
