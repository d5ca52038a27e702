"""The README's two commands are complete, and what they promise is what happens."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rig.host.tools import require
from rig.repositories.template import ROOT, git

pytestmark = pytest.mark.integration


def commands() -> list[str]:
    """Return the shell blocks of the README, first the copy, then the tests."""
    text = (ROOT / "README.md").read_text()
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)]


def test_ci_runs_the_readmes_test_command() -> None:
    """The last line of .ci/run is the README's test command, with the arguments of .ci/run."""
    last_line = (ROOT / ".ci/run").read_text().rstrip().splitlines()[-1]
    assert last_line == f'{commands()[1]} "$@"'


def test_the_first_command_makes_a_committed_repository(tmp_path: Path) -> None:
    """On a clone, with nothing but git and Python, the one line makes the repository beside it."""
    require("uv")
    clone = tmp_path / "template-packer-ami"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    done = subprocess.run(
        ["bash", "-c", commands()[0]], cwd=clone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = tmp_path / "packer-ami-example"
    assert git(made, "status", "--porcelain") == ""
    assert git(made, "rev-list", "--count", "HEAD") == "1"
    assert (made / "build.pkr.hcl").exists()
    for number in ("1.", "2.", "3."):
        assert f"\n  {number} " in done.stderr
    # What was made can be updated: the template's place is known, and so is its version.
    answers = (made / ".copier-answers.yml").read_text()
    assert re.search(rf"^_src_path: {re.escape(str(clone))}$", answers, re.M)
    assert re.search(r"^_commit: \S+$", answers, re.M)


def test_the_readme_is_short() -> None:
    """A page that a stranger reads to its end."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100
