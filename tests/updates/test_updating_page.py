"""docs/updating.md says what the commands say and do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from packer_toolkit import errors
from rig.repositories.small_template import RELEASES
from rig.repositories.template import ROOT, git
from rig.run.updating import toolkit

pytestmark = pytest.mark.integration

PAGE = (ROOT / "docs" / "updating.md").read_text()


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def read_part(part: ast.expr) -> str:
    """Return a part of an f-string, {NAME} for what is filled in."""
    if isinstance(part, ast.FormattedValue):
        return f"{{{ast.unparse(part.value)}}}"
    return str(ast.literal_eval(part))


def read_texts(file: Path) -> list[str]:
    """Return the strings of a module that are no docstrings, with {NAME} for what is filled in."""
    tree = ast.parse(file.read_text())
    texts = []
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(read_part(part) for part in node.values))
        elif isinstance(node, ast.Constant) and id(node) not in docstrings:
            texts.append(str(node.value))
    return texts


def test_every_message_of_the_page_is_one_of_the_toolkit() -> None:
    """A text of the program has each, not just a comment or a docstring (issue 12)."""
    table = section("Before the first update").partition("| --- | --- |\n")[2].partition("\n\n")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines()]
    assert len(rows) > 15
    texts = [
        text
        for pattern in (
            "cli/template/*.py",
            "git/*.py",
            "repository/answers_file.py",
            "template/*.py",
        )
        for path in (ROOT / "toolkit/src/packer_toolkit").glob(pattern)
        for text in read_texts(path)
    ]
    for row in rows:
        end = row.rpartition("… ")[2].replace(".copier-answers.yml", "{DEFAULT}")
        assert any(end in text for text in texts), row


def test_the_exit_codes_are_those_of_the_toolkit() -> None:
    """The table of the page, and the classes."""
    listed = re.findall(r"^\| ([0-9]) \|", PAGE, re.MULTILINE)
    assert listed == ["0", "1", "2", "3", "4"]
    assert (errors.CommandFailedError.code, errors.SetupError.code, errors.RemoteError.code) == (
        1,
        3,
        4,
    )


def generalize(line: str) -> str:
    """Return a line of the verdict without what differs between two updates."""
    line = re.sub(r"v\d+\.\d+\.\d+", "VERSION", line.replace("./toolkit-host.sh ", ""))
    line = re.sub(r"\d+ changed(?:, \d+ \w+)*", "COUNTS", line)
    return re.sub(r"^  \S+:|(?<=-- ).+", "FILES", line)


def test_the_shown_verdict_is_a_real_one(project: Path) -> None:
    """Line by line, but for files, numbers and how the toolkit was started (issue 12)."""
    text = (project / "build.hcl").read_text()
    (project / "build.hcl").write_text(text.replace("build 3\n", "ours 3\n"))
    git(project, "commit", "--quiet", "--all", "-m", "Ours")
    said = toolkit(project, "template-update", "--to", RELEASES[1]).stdout.splitlines()
    shown = section("After it: conflicts, and how to undo it").split("```")[1].splitlines()[2:]
    assert [generalize(line) for line in said] == [generalize(line) for line in shown]


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
