"""A server that does not answer ends a command in one line, and nothing keeps running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import SECONDS, Git, limit_query, limit_transfer
from packer_toolkit.repository.galaxy_command import is_unreachable, run_in_ansible
from rig.repositories.template import git
from rig.run.updating import toolkit
from rig.servers.silent_server import find_processes, has_ended, silent_server

pytestmark = pytest.mark.integration

ANSWERS = ".copier-answers.yml"


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the address of a server that never answers."""
    with silent_server() as address:
        yield address


@pytest.fixture
def of_silent(project: Path, silent: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository whose template is on a server that never answers."""
    monkeypatch.setenv(SECONDS, "1")
    text = (project / ANSWERS).read_text()
    line = f"_src_path: http://{silent}/t.git"
    (project / ANSWERS).write_text(re.sub("(?m)^_src_path: .*$", line, text))
    git(project, "commit", "--quiet", "--all", "-m", "Elsewhere")
    return project


@pytest.mark.parametrize(
    "command",
    [
        ["template-check"],
        ["template-diff"],
        ["template-update"],
        ["template-update", "--dry-run", "--to", "v1.1.0"],
        ["template-pr", "--dry-run"],
        ["template-pr", "--fetch", "FILE"],
    ],
    ids=" ".join,
)
def test_every_command_gives_up(of_silent: Path, silent: str, command: list[str]) -> None:
    """A template that does not answer is named in one line, and git is stopped (review C22)."""
    git(of_silent, "remote", "add", "origin", f"http://{silent}/web.git")
    began = time.monotonic()
    answer = toolkit(of_silent, *command)
    assert time.monotonic() - began < 15
    assert answer.code == 4
    assert f"http://{silent}/t.git cannot be read: no answer within 1 seconds" in answer.stderr
    assert has_ended(silent)


def test_recorded_commit_gives_up(of_silent: Path) -> None:
    """A recorded commit, for which the tags are read, does not wait either (review C22)."""
    text = (of_silent / ANSWERS).read_text().replace("v1.0.0", "v1.0.0-3-g0123abc")
    (of_silent / ANSWERS).write_text(text)
    answer = toolkit(of_silent, "template-check")
    assert (answer.code, "no answer within 1 seconds" in answer.stderr) == (4, True)


def test_clone_of_a_server_that_falls_silent_ends(
    project: Path, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transfer has an end, too, and so has a connection without a byte (review C22)."""
    monkeypatch.setenv(SECONDS, "1")
    git_with_limit = limit_transfer(Git(project))
    assert git_with_limit.env["GIT_HTTP_LOW_SPEED_TIME"] == "60"
    done = git_with_limit.run("clone", "--bare", f"http://{silent}/t.git", str(tmp_path / "t"))
    assert done.returncode == 124
    assert b"no answer within 1 seconds" in done.stderr
    assert has_ended(silent)


def test_ssh_ends_together_with_git(
    project: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program that git has started for SSH is stopped with git (review C22)."""
    monkeypatch.setenv(SECONDS, "1")
    monkeypatch.setenv("GIT_SSH_COMMAND", f"sleep 98765 # {silent}")
    done = limit_query(Git(project)).run("ls-remote", f"ssh://{silent}/t.git")
    assert done.returncode == 124
    assert has_ended("sleep 98765")


def test_requirements_are_looked_up_with_a_limit(tmp_path: Path, silent: str) -> None:
    """The git that looks up a version of requirements.yml is stopped, too (review C22)."""
    command = ["git", "ls-remote", f"http://{silent}/role.git"]
    (tmp_path / "provisioners/ansible").mkdir(parents=True)
    completed = run_in_ansible(tmp_path, command, os.environ, timeout=1.0)
    assert (completed.code, completed.line) == (124, "git timed out after 1 seconds")
    assert is_unreachable(completed.stderr)
    assert has_ended(silent)


def test_limits_suit_a_user_who_types_a_password(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal a question may take minutes, unless the caller limits it (review C22)."""
    monkeypatch.setattr("packer_toolkit.git.command.is_on_terminal", lambda: True)
    assert limit_query(Git(project)).timeout == 300
    limited = limit_query(Git(project), 20)
    assert (limited.timeout, limited.env["GIT_TERMINAL_PROMPT"]) == (20, "0")
    monkeypatch.setenv(SECONDS, "7.5")
    assert limit_query(Git(project)).timeout == 7.5
    assert limit_query(Git(project), 20).timeout == 7.5


@pytest.mark.parametrize("text", ["soon", "-1", "0", "inf", "nan"])
def test_limit_that_is_not_a_number_is_refused(
    project: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable takes seconds, and another value is refused in one line (review C22)."""
    monkeypatch.setenv(SECONDS, text)
    with pytest.raises(SetupError, match=f'{SECONDS} is "{text}"; set it to a number of seconds'):
        limit_query(Git(project))


def test_interrupt_stops_git(of_silent: Path, silent: str) -> None:
    """Ctrl+C ends the command and what it has started (review C22)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "packer_toolkit", "template-check"],
        cwd=of_silent,
        env={**os.environ, SECONDS: "60"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while not any("remote" in line for line in find_processes(silent)):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    assert has_ended(silent)
