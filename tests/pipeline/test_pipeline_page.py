"""docs/pipeline.md shows commands and settings that the rendered workflows have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.repositories.template import ROOT, render

PAGE = (ROOT / "docs/pipeline.md").read_text()


@pytest.fixture(scope="module")
def workflows(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the rendered workflows by the name of the file."""
    folder = render(template, tmp_path_factory.mktemp("page") / "packer-ami-web", {})
    files = (folder / ".github/workflows").glob("*.yml")
    return {file.name: yaml.safe_load(file.read_text()) for file in files}


def section(title: str) -> str:
    """Return the text of a section of the page."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found, title
    return found[1]


def test_a_release_of_another_workflow_can_be_built(workflows: dict[str, Any]) -> None:
    """The command for a release that started nothing fits the workflow's inputs (field 33)."""
    text = section("A release that another workflow makes")
    (command,) = re.findall(r"gh workflow run (\S+) --ref \"\$TAG\" --field (\w+)=(\w+)", text)
    file, field, value = command
    inputs = workflows[file][True]["workflow_dispatch"]["inputs"]
    assert value in inputs[field]["options"]
    (step,) = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.S)[0])
    assert set(step["env"]) == {"GH_REPO", "GH_TOKEN", "TAG"}
    assert "actions: write" in text


def test_disabled_schedules_are_explained(workflows: dict[str, Any]) -> None:
    """The page names the limit of GitHub and how to enable each scheduled workflow (field 34)."""
    text = section("When GitHub stops the schedule")
    scheduled = {name for name, workflow in workflows.items() if "schedule" in workflow[True]}
    assert scheduled == {name for name in workflows if name in text}
    assert "60 days" in text
    assert "gh workflow enable push-packer-build-ami.yml" in text
    assert "fleet --organization NAME --workflows" in text
