"""Which runs of the workflow wait for each other, and which one GitHub drops."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.github import events
from rig.github.act import WORKFLOW, Act
from rig.repositories.build_reports import REPOSITORY
from rig.repositories.template import render

# What starts a run: the event, its payload.
RUNS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "push": ("push", events.push()),
    "push to a branch": ("push", events.push("change")),
    "schedule": ("schedule", events.schedule()),
    "pull request": ("pull_request", events.pull_request()),
    "test by a user": ("workflow_dispatch", events.by_hand()),
    "daily by a user": ("workflow_dispatch", events.by_hand(kind="daily")),
    "release": ("release", events.release()),
    "another release": ("release", events.release("v2.0.0")),
    "release by a user": ("workflow_dispatch", events.by_hand("refs/tags/v1.2.3", kind="release")),
    "test of a tag": ("workflow_dispatch", events.by_hand("refs/tags/v1.2.3", kind="test")),
}


@pytest.fixture(scope="module")
def groups(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the concurrency group of each run, as act evaluates the workflow's expression."""
    folder = tmp_path_factory.mktemp("groups")
    checkout = render(template, folder / "packer-ami-web", {"image_name": "web"})
    file = checkout / WORKFLOW
    workflow = yaml.safe_load(file.read_text())
    step = {
        "env": {"GROUP": workflow["concurrency"]["group"]},
        "run": 'echo "group=<$GROUP>"',
    }
    job = {"runs-on": "ubuntu-24.04", "steps": [step]}
    file.write_text(yaml.safe_dump({"on": workflow[True], "jobs": {"show": job}}))
    act = Act(checkout, folder / "act", {"GITHUB_REPOSITORY": REPOSITORY})
    act.directory.mkdir()
    found = {}
    for name, (event, payload) in RUNS.items():
        ran = act.run(event, payload)
        (found[name],) = re.findall(r"^group=<(.+)>$", ran.log, re.MULTILINE)
    return found


def test_no_run_drops_one_of_another_kind(groups: Mapping[str, str]) -> None:
    """A run that waits is dropped only for one that does the same (review R19)."""
    same = ("release", "release by a user")
    assert groups.keys() > set(same)
    for name, group in groups.items():
        others = {other for other, its in groups.items() if its == group} - {name}
        assert others == (set(same) - {name} if name in same else set()), name


def test_builds_of_one_release_never_run_in_parallel(groups: Mapping[str, str]) -> None:
    """A release and the same release started by a user wait for each other (review R19)."""
    assert groups["release"] == groups["release by a user"]
    assert "refs/tags/v1.2.3" in groups["release"]
