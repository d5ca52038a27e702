"""The suite sets the signal handlers that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rig import CHECKOUT
from rig.repositories.template import ROOT

# Starts pytest as a background job, `nohup` or a supervisor does.
STARTER = """
import os, signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGCHLD"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])
"""
TEST = """
import signal, subprocess, sys

CHILD = '''
import os, signal
print("ready", flush=True)
os.kill(os.getpid(), {number})
'''

def test_children_receive_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        child = subprocess.run([sys.executable, "-c", CHILD.format(number=int(number))],
                               capture_output=True, text=True)
        assert child.returncode == -number, child
    assert subprocess.run(["sh", "-c", "exit 7"]).returncode == 7
"""


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_children_of_a_test_receive_signals_however_the_suite_was_started(
    tmp_path: Path, workers: str
) -> None:
    """A child of a test is stopped by a signal also where the suite ignores it (issue 11)."""
    (tmp_path / "test_inner.py").write_text(TEST)
    (tmp_path / "conftest.py").write_text("from rig.host import signals\nsignals.set_handlers()\n")
    env = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-c", STARTER, workers, "-q", "-c", os.devnull]
    done = subprocess.run(
        [*command, f"--rootdir={tmp_path}", str(tmp_path)],
        cwd=tmp_path,
        env={**env, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_suite_itself_sets_its_handlers() -> None:
    """The suite's own conftest sets the handlers (issue 11)."""
    test = f"{CHECKOUT}/tests/updates/test_way_back.py"
    env = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-c", STARTER, "-n0", "-q", test, "-k", "ended_politely"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
