"""The private Docker daemon comes and goes without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rig import base_images, tools
from rig.base_images import debian
from rig.docker_engine import SCRATCH_LABEL, DockerEngine, DockerError, why_not
from rig.session import Session


@pytest.fixture(autouse=True)
def _possible_here() -> None:
    reason = why_not() or base_images.why_not()
    if reason:
        tools.missing(reason)


def traces(run_dir: Path) -> dict[str, list[str]]:
    """Return what is left of an engine: processes, mounts and files."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (
                (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            cgroups = (process / "cgroup").read_text()
        except OSError:
            continue
        if str(run_dir) in command or run_dir.name in cgroups:
            commands.append(command)
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "processes": commands,
        "mounts": [line for line in mounts if str(run_dir) in line],
        "files": [str(run_dir)] if run_dir.exists() else [],
    }


NOTHING: dict[str, list[str]] = {"processes": [], "mounts": [], "files": []}


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.05)


def test_stopping_leaves_no_process_mount_or_file() -> None:
    """What start() made is gone after stop(), the images' store aside."""
    with DockerEngine() as engine:
        run_dir = engine.run_dir
        assert engine.docker("info", "--format={{.Driver}}").stdout.strip() == "overlay2"
        during = traces(run_dir)
        assert during["processes"]
        assert during["files"]
    assert traces(run_dir) == NOTHING


def test_stopping_ends_containers_and_removes_scratch_images() -> None:
    """What a failed test left behind does not outlive the engine; base images stay."""
    with DockerEngine() as engine:
        run_dir = engine.run_dir
        base = debian(engine, "13", bare=True)
        container = engine.docker("run", "--detach", "--network=host", base, "sleep", "1000")
        engine.docker(
            "commit", f"--change=LABEL {SCRATCH_LABEL}", container.stdout.strip(), "made:here"
        )
        assert any("sleep 1000" in command for command in traces(run_dir)["processes"])
    assert traces(run_dir) == NOTHING

    # Free again, and the lowest: the same slot, unless another test run took it meanwhile.
    with DockerEngine() as engine:
        assert engine.docker("ps", "--all", "--quiet").stdout == ""
        images = engine.docker("images", "--format={{.Repository}}:{{.Tag}}").stdout.split()
        assert "made:here" not in images


def test_two_engines_share_nothing() -> None:
    """Test runs side by side do not see each other's images."""
    with DockerEngine() as one, DockerEngine() as other:
        assert one.data_root != other.data_root
        base = debian(one, "13", bare=True)
        one.docker("tag", base, "only:here")
        try:
            found = other.docker("image", "inspect", "only:here", check=False)
            assert "No such image: only:here" in found.stderr
        finally:
            one.docker("rmi", "only:here")


def test_it_ends_when_its_owner_is_killed() -> None:
    """Nobody calls stop() when pytest dies; the keeper notices."""
    script = (
        "import time; from rig.docker_engine import DockerEngine;"
        " print(DockerEngine().start().run_dir, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout
        run_dir = Path(owner.stdout.readline().strip())
        try:
            assert traces(run_dir)["processes"]
        finally:
            owner.kill()
    wait_until(lambda: traces(run_dir) == NOTHING)


def test_it_starts_after_its_daemon_was_killed() -> None:
    """Stale pid file, socket, mounts and containers of a killed daemon are no obstacle."""
    killed = DockerEngine().start()
    run_dir = killed.run_dir
    base = debian(killed, "13", bare=True)
    killed.docker("run", "--detach", "--network=host", base, "sleep", "1000")
    daemon = int((run_dir / "pid").read_text())
    os.kill(killed.state["keeper_pid"], signal.SIGKILL)
    os.kill(daemon, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{daemon}").exists())
    assert traces(run_dir) != NOTHING

    others = []
    try:
        while True:  # up to the same slot: other test runs may hold lower ones
            engine = DockerEngine().start()
            others.append(engine)
            if engine.run_dir == run_dir or len(others) > 5:
                break
        assert engine.run_dir == run_dir
        assert engine.docker("run", "--rm", "--network=host", base, "echo", "up").stdout == "up\n"
        assert not any("sleep 1000" in command for command in traces(run_dir)["processes"])
    finally:
        for engine in others:
            engine.stop()
    assert traces(run_dir) == NOTHING


def test_a_failed_command_shows_what_docker_said() -> None:
    """The message of the error is enough to see what went wrong."""
    said = r"docker image inspect no:such: exit 1\n[^$]*No such"
    with DockerEngine() as engine, pytest.raises(DockerError, match=said):
        engine.docker("image", "inspect", "no:such")


def test_a_stopped_engine_says_so() -> None:
    """Using an engine before start() is told apart from a daemon in trouble."""
    with pytest.raises(DockerError, match="not running"):
        DockerEngine().docker("version")


def test_all_workers_of_a_run_get_the_same_engine() -> None:
    """A second worker attaches to what the first one started, and one call ends it."""
    session = Session.new()
    first = DockerEngine.shared(session)
    try:
        second = DockerEngine.shared(Session.told(session.as_json()))
        assert second.env == first.env
        assert second.docker("version").returncode == 0
    finally:
        DockerEngine.stop_shared(session)
        session.forget()
    assert traces(Path(first.state["run_dir"])) == NOTHING
