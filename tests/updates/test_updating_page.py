"""docs/updating.md says what the commands say and do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from packer_toolkit import errors
from rig.small_template import RELEASES
from rig.template import ROOT, git
from rig.updating import toolkit

PAGE = (ROOT / "docs" / "updating.md").read_text()


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_message_of_the_page_is_one_of_the_toolkit() -> None:
    """So that who searches for it finds it."""
    rows = re.findall(r"^\| ([a-z][^|]+?) \|", section("Before the first update"), re.MULTILINE)
    source = "".join(
        " ".join(re.sub(r'"\n\s*f?"', "", path.read_text()).split())
        for pattern in ("template/*.py", "commands/template_*.py")
        for path in (ROOT / "toolkit/src/packer_toolkit").glob(pattern)
    )
    assert len(rows) >= 9
    for row in rows:
        if row.startswith("a merge, rebase"):
            row = "is in progress"
        found = row.replace(".copier-answers.yml", "{DEFAULT}")
        assert found in source or row in source, row


def test_the_exit_codes_are_those_of_the_toolkit() -> None:
    """The table of the page, and the classes."""
    listed = re.findall(r"^\| ([0-9]) \|", PAGE, re.MULTILINE)
    assert listed == ["0", "1", "2", "3", "4"]
    assert (errors.NotGoodError.code, errors.SetupError.code, errors.RemoteError.code) == (1, 3, 4)


def test_the_shown_verdict_is_a_real_one(project: Path) -> None:
    """Line by line, with other names and numbers."""
    text = (project / "build.hcl").read_text()
    (project / "build.hcl").write_text(text.replace("build 3\n", "ours 3\n"))
    git(project, "commit", "--quiet", "--all", "-m", "Ours")
    said = toolkit(project, "template-update", "--to", RELEASES[1]).stdout.splitlines()
    shown = section("After it: conflicts, and the way back").split("```")[1].splitlines()[2:]
    assert len(said) == len(shown)
    for real, example in zip(said, shown, strict=True):
        assert real.split()[:2] == example.split()[:2] or example.startswith("  ")


def test_renovate_is_off_in_what_a_team_gets() -> None:
    """Both would open pull requests for the same release."""
    import json

    settings = json.loads((ROOT / "template/renovate.json").read_text())
    rules = [rule for rule in settings["packageRules"] if "copier" in rule["matchManagers"]]
    assert [rule["enabled"] for rule in rules] == [False]


@pytest.mark.parametrize("line", re.findall(r"^task (template-\w+)", PAGE, re.MULTILINE))
def test_the_tasks_of_the_page_exist(line: str) -> None:
    """In a rendered repository."""
    tasks = yaml.safe_load((ROOT / "template/Taskfile.yml").read_text())["tasks"]
    assert "desc" in tasks[line]
