"""A build ends before its credentials do, and cleans up with them."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from packer_toolkit.deadline import Deadline, deadline, watched
from packer_toolkit.errors import SetupError
from rig.ec2 import Ec2
from rig.repository import add_script, small_repository
from rig.tools import Packer


def test_hour_is_warned_at_45_minutes_and_stopped_at_55() -> None:
    """Five minutes are left for the clean-up."""
    found = deadline({"PACKER_CREDENTIALS_SECONDS": "3600"}, None)
    assert found == Deadline(warn=45 * 60, stop=55 * 60, end=60 * 60)


def test_two_hours_leave_five_minutes_too() -> None:
    """No more than it takes."""
    assert deadline({"PACKER_CREDENTIALS_SECONDS": "7200"}, None) == Deadline(5400, 6900, 7200)


def test_what_the_credentials_tell_counts_when_it_is_earlier() -> None:
    """A profile or a role's session knows its end; the workflow may have asked for more."""
    ends = datetime.now(timezone.utc) + timedelta(minutes=30)
    told = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    for environment in ({}, {"PACKER_CREDENTIALS_SECONDS": "3600"}):
        found = deadline(environment, told)
        assert found
        assert found.end == pytest.approx(1800, abs=3)


def test_time_before_the_build_counts() -> None:
    """It is credentials' time too."""
    found = deadline({"PACKER_CREDENTIALS_SECONDS": "3600"}, None, 600)
    assert found
    assert found.end == 3000


def test_nobody_knows() -> None:
    """Then nothing is stopped."""
    assert deadline({}, None) is None
    assert deadline({"PACKER_CREDENTIALS_SECONDS": " "}, None) is None


@pytest.mark.parametrize("value", ["an hour", "-1", "0", "inf", "nan"])
def test_setting_that_is_no_time_is_refused(value: str) -> None:
    """In one line."""
    with pytest.raises(SetupError, match="give a number of seconds"):
        deadline({"PACKER_CREDENTIALS_SECONDS": value}, None)


def test_word_and_end_come_in_time_and_only_while_it_runs() -> None:
    """A build that is done is left alone."""
    said: list[str] = []
    stopped = threading.Event()

    def stop(line: str) -> None:
        said.append(line)
        stopped.set()

    with watched(Deadline(0.05, 0.1, 0.2), said.append, stop):
        assert stopped.wait(5)
    assert "the credentials end in" in said[0]
    assert "stopped before the credentials end" in said[1]
    said.clear()
    with watched(Deadline(0.2, 0.3, 0.4), said.append, said.append):
        pass
    with watched(None, said.append, said.append):
        pass
    time.sleep(0.4)
    assert said == []


def test_real_build_is_stopped_and_leaves_nothing(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """Packer, on the rig: a script that takes too long; exit code, report, annotation."""
    repository = small_repository(template, tmp_path / "packer-ami-slow")
    add_script(repository, "10-wait.sh", "sleep 60")
    done = ec2.run(
        ["packer-toolkit", "build"],
        cwd=repository,
        env={
            **packer.env,
            "GITHUB_ACTIONS": "true",
            "PACKER_CREDENTIALS_SECONDS": "24",
            "PATH": f"{packer.path.parent}:{os.environ['PATH']}",
        },
    )
    assert done.code == 143, done.output
    assert "::warning title=packer-toolkit::the credentials end in" in done.output
    report = json.loads((repository / "build-report.json").read_text())
    assert report["exit_code"] == 143
    assert "stopped before the credentials end" in report["last_lines"][-1]
    assert report["builds"][0]["failed_step"] == "shell: 10-wait.sh"
    assert ec2.leftovers() == {}
