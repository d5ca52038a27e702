"""A build ends before its credentials do, and cleans up with them."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from packer_toolkit.build.deadline import Deadline, enforce_deadline, find_deadline
from packer_toolkit.errors import SetupError
from rig.aws import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import add_script, small_repository


def test_hour_is_warned_at_45_minutes_and_stopped_at_55() -> None:
    """Five minutes are left for the clean-up."""
    found = find_deadline({"PACKER_CREDENTIALS_SECONDS": "3600"}, None)
    assert found == Deadline(warn=45 * 60, stop=55 * 60, end=60 * 60)


def test_two_hours_leave_five_minutes_too() -> None:
    """No more than it takes."""
    assert find_deadline({"PACKER_CREDENTIALS_SECONDS": "7200"}, None) == Deadline(5400, 6900, 7200)


def test_what_the_credentials_tell_counts_when_it_is_earlier() -> None:
    """A profile or a role's session knows its end; the workflow may have asked for more."""
    ends = datetime.now(timezone.utc) + timedelta(minutes=30)
    told = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    for environment in ({}, {"PACKER_CREDENTIALS_SECONDS": "3600"}):
        found = find_deadline(environment, told)
        assert found
        assert found.end == pytest.approx(1800, abs=3)


def test_time_before_the_build_counts() -> None:
    """It is credentials' time too."""
    found = find_deadline({"PACKER_CREDENTIALS_SECONDS": "3600"}, None, 600)
    assert found
    assert found.end == 3000


def test_nobody_knows() -> None:
    """Then nothing is stopped."""
    assert find_deadline({}, None) is None
    assert find_deadline({"PACKER_CREDENTIALS_SECONDS": " "}, None) is None


@pytest.mark.parametrize("value", ["an hour", "-1", "0", "inf", "nan"])
def test_setting_that_is_no_time_is_refused(value: str) -> None:
    """In one line."""
    with pytest.raises(SetupError, match="set it to a number of seconds"):
        find_deadline({"PACKER_CREDENTIALS_SECONDS": value}, None)


def test_word_and_end_come_in_time_and_only_while_it_runs() -> None:
    """A build that is done is left alone."""
    said: list[str] = []
    stopped = threading.Event()

    def stop(line: str) -> None:
        said.append(line)
        stopped.set()

    with enforce_deadline(Deadline(0.05, 0.1, 0.2), said.append, stop):
        assert stopped.wait(5)
    assert "the credentials expire in" in said[0]
    assert "stopped before the credentials expire" in said[1]
    said.clear()
    with enforce_deadline(Deadline(0.2, 0.3, 0.4), said.append, said.append):
        pass
    with enforce_deadline(None, said.append, said.append):
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
    assert "::warning title=packer-toolkit::the credentials expire in" in done.output
    report = json.loads((repository / "build-report.json").read_text())
    assert report["exit_code"] == 143
    assert "stopped before the credentials expire" in report["last_lines"][-1]
    assert report["builds"][0]["failed_step"] == "shell: 10-wait.sh"
    assert ec2.leftovers() == {}


def in_seconds(seconds: float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """Return a time from now on."""
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime(form)


@pytest.mark.parametrize(
    "write",
    [
        lambda: in_seconds(2700),
        lambda: in_seconds(2700, "%Y-%m-%dT%H:%M:%S+00:00"),
        lambda: in_seconds(2700 + 7200, "%Y-%m-%dT%H:%M:%S+02:00"),
        lambda: in_seconds(2700, "%Y-%m-%d %H:%M:%Sz"),
        lambda: f"{time.time() + 2700:.0f}",
        lambda: f"{time.time() + 2700}",
        lambda: f" {time.time() + 2700:.0f}\n",
    ],
)
def test_deadline_counts_from_the_time_of_the_role(write: Callable[[], str]) -> None:
    """The minutes between the role and the build are not taken from the clean-up (review R17)."""
    noted = write()
    environment = {"PACKER_CREDENTIALS_SECONDS": "3600", "PACKER_CREDENTIALS_EXPIRE_AT": noted}
    found = find_deadline(environment, None, since_start=30)
    assert found
    assert found.end == pytest.approx(2700, abs=5)
    assert found.end - found.stop == pytest.approx(225, abs=10)
    only = find_deadline({"PACKER_CREDENTIALS_EXPIRE_AT": noted}, None)
    assert only
    assert only.end == pytest.approx(2700, abs=5)
    # The earliest of all ends counts.
    for expires, end in ((in_seconds(600), 600), (in_seconds(9000), 2700)):
        earliest = find_deadline(environment, expires)
        assert earliest
        assert earliest.end == pytest.approx(end, abs=5)


@pytest.mark.parametrize(
    "noted", ["soon", "2026-13-01T00:00:00Z", "nan", "inf", "-5", "1e400", "9" * 30]
)
def test_time_that_is_not_valid_is_refused(noted: str) -> None:
    """A time that is not valid ends the build in one line, before Packer starts (review R17)."""
    with pytest.raises(SetupError, match="set it to a time, such as"):
        find_deadline({"PACKER_CREDENTIALS_EXPIRE_AT": noted}, None)


def test_expired_credentials_start_nothing() -> None:
    """A build whose credentials have expired does not start (review R17)."""
    with pytest.raises(
        SetupError, match=r"the credentials expired at .*start the workflow run again"
    ):
        find_deadline({"PACKER_CREDENTIALS_EXPIRE_AT": in_seconds(-1)}, None)
