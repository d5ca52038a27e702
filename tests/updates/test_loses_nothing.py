"""Whatever a team did to its repository, an update loses nothing of it.

Histories are drawn by hypothesis: 200 in each run, a number of them in each test, so that the
workers share them.  The seed stands in the first lines of pytest's output.

    TEMPLATE_PACKER_AMI_HISTORIES=2000 .venv/bin/pytest tests/updates/test_loses_nothing.py
    TEMPLATE_PACKER_AMI_SEED=123 .venv/bin/pytest tests/updates/test_loses_nothing.py

The first is the long run, the second repeats one.  `promises.py` says what is looked at.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import promises
import pytest
from histories import History, Team, histories
from renders import cached_renders

from packer_toolkit.template import render
from rig.repositories.template import ROOT, git
from rig.run.updating import state, toolkit

pytestmark = pytest.mark.integration

HISTORIES = int(os.environ.get("TEMPLATE_PACKER_AMI_HISTORIES", "200"))
BATCHES = 8
# What this run has set for itself, and its workers.
_OWN = ("TEMPLATE_PACKER_AMI_SEED", "PYTEST_")


def live(history: History, made_by: dict[str, Path], repository: Path) -> None:
    """Let a team live through a history, and look at each of its updates."""
    shutil.copytree(made_by[history.start], repository, symlinks=True)
    team = Team(repository)
    at = history.start
    for commits, release, undo in history.stations:
        for edits in commits:
            team.commit(edits)
        before = promises.look(repository, made_by[at], made_by[release])
        answer = toolkit(repository, "template-update", "--json", "--to", release)
        ways = promises.refused(repository, before, answer)
        if ways:
            # As the message says, they are renamed.
            team.rename_ignored(ways)
            before = promises.look(repository, made_by[at], made_by[release])
            answer = toolkit(repository, "template-update", "--json", "--to", release)
        promises.check(repository, before, answer)
        if undo:
            assert toolkit(repository, "template-update", "--undo").code == 0
            assert state(repository) == before.state
            toolkit(repository, "template-update", "--json", "--to", release)
            promises.check(repository, before, answer)
        # What conflicts is committed with its marks: from here on it is the team's text.
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--allow-empty", "-m", f"Update to {release}")
        at = release


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_line_is_lost_and_no_file_of_theirs_is_touched(
    batch: int, made_by: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn histories, each with one or two updates over one or several releases."""
    monkeypatch.setattr(render, "render_update", cached_renders(render.render_update))
    if os.access("/dev/shm", os.W_OK):  # noqa: S108 - folders of one's own are made there
        # Thousands of small files that are synced to the disk: in memory that takes no time.
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")  # noqa: S108
    seed = int(os.environ["TEMPLATE_PACKER_AMI_SEED"])
    wanted = math.ceil(HISTORIES / BATCHES)
    lived = 0

    @hypothesis.seed(seed * BATCHES + batch)
    @hypothesis.settings(
        max_examples=wanted,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        print_blob=True,
    )
    @hypothesis.given(histories())
    def lose_nothing(history: History) -> None:
        nonlocal lived
        with tempfile.TemporaryDirectory() as folder:
            live(history, made_by, Path(folder, "web"))
        lived += 1

    lose_nothing()
    assert lived >= wanted


def test_the_seed_stands_in_the_first_lines_of_the_output() -> None:
    """Without it nobody could repeat what was drawn."""
    env = {name: text for name, text in os.environ.items() if not name.startswith(_OWN)}
    command = [sys.executable, "-m", "pytest", "-n0", "--collect-only", __file__]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    (seed,) = re.findall(r"^seed: TEMPLATE_PACKER_AMI_SEED=(\d+)$", done.stdout, re.M)
    env["TEMPLATE_PACKER_AMI_SEED"] = seed
    again = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert f"seed: TEMPLATE_PACKER_AMI_SEED={seed}\n" in again.stdout
