"""deptry finds an undeclared import; tests/test_style.py runs it on this project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.host import tools
from rig.repositories.template import ROOT

pytestmark = pytest.mark.integration


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
    process = subprocess.run(
        [tools.require("deptry"), tmp_path, "--no-ansi"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 1
    assert finding in process.stderr
