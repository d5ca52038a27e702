"""The private Docker daemon comes and goes without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig import CHECKOUT
from rig.docker import base_images
from rig.docker.base_images import debian
from rig.docker.engine import SCRATCH_LABEL, DockerEngine, DockerError, why_not
from rig.host import tools
from rig.host.cache import cache_dir
from rig.host.machine import birth
from rig.host.session import Session


@pytest.fixture(scope="module")
def slots() -> Iterator[Path]:
    """Return an empty place for images; in the common one others take what is let go here."""
    reason = why_not() or base_images.why_not()
    if reason:
        tools.missing(reason)
    directory = cache_dir(f"docker-{uuid.uuid4().hex[:8]}")
    yield directory
    shutil.rmtree(directory)


def traces(run_dir: Path, data_root: Path) -> dict[str, list[str]]:
    """Return what is left of an engine: processes, mounts and files; its images aside."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (
                (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            cgroups = (process / "cgroup").read_text()
        except OSError:
            continue
        # Without a command line it has ended, and only waits for its parent to ask for the result.
        if command and (str(run_dir) in command or run_dir.name in cgroups):
            commands.append(command)
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    ours = tuple(f"{directory}/" for directory in (run_dir, data_root))
    return {
        "processes": commands,
        "mounts": [point for point in mounts if f"{point}/".startswith(ours)],
        "files": [str(run_dir)] if run_dir.exists() else [],
    }


NOTHING: dict[str, list[str]] = {"processes": [], "mounts": [], "files": []}


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.05)


def test_stopping_leaves_no_process_mount_or_file(slots: Path) -> None:
    """What start() made is gone after stop(), the images' store aside."""
    with DockerEngine(slots=slots) as engine:
        places = (engine.run_dir, engine.data_root)
        assert engine.docker("info", "--format={{.Driver}}").stdout.strip() == "overlay2"
        during = traces(*places)
        assert during["processes"]
        assert during["files"]
    assert traces(*places) == NOTHING


def test_stopping_ends_containers_and_removes_scratch_images(slots: Path) -> None:
    """What a failed test left behind does not outlive the engine; base images stay."""
    with DockerEngine(slots=slots) as engine:
        places = (engine.run_dir, engine.data_root)
        base = debian(engine, "13", "bare")
        container = engine.docker("run", "--detach", "--network=host", base, "sleep", "1000")
        engine.docker(
            "commit", f"--change=LABEL {SCRATCH_LABEL}", container.stdout.strip(), "made:here"
        )
        assert any("sleep 1000" in command for command in traces(*places)["processes"])
    assert traces(*places) == NOTHING

    # The same store again: its slot is free.
    with DockerEngine(slots=slots) as engine:
        assert engine.docker("ps", "--all", "--quiet").stdout == ""
        images = engine.docker("images", "--format={{.Repository}}:{{.Tag}}").stdout.split()
        assert "made:here" not in images


def test_two_engines_share_nothing(slots: Path) -> None:
    """Test runs side by side do not see each other's images."""
    with DockerEngine(slots=slots) as one, DockerEngine(slots=slots) as other:
        assert one.data_root != other.data_root
        base = debian(one, "13", "bare")
        one.docker("tag", base, "only:here")
        try:
            found = other.docker("image", "inspect", "only:here", check=False)
            assert "No such image: only:here" in found.stderr
        finally:
            one.docker("rmi", "only:here")


def test_it_ends_when_its_owner_is_killed(slots: Path) -> None:
    """Nobody calls stop() when pytest dies; the keeper notices."""
    script = (
        "import pathlib, sys, time; from rig.docker.engine import DockerEngine;"
        " engine = DockerEngine(slots=pathlib.Path(sys.argv[1])).start();"
        " print(engine.run_dir, engine.data_root, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(slots)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "tests")},
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout
        run_dir, data_root = owner.stdout.readline().split()
        places = (Path(run_dir), Path(data_root))
        try:
            assert traces(*places)["processes"]
        finally:
            owner.kill()
    wait_until(lambda: traces(*places) == NOTHING)


def test_it_starts_after_its_daemon_was_killed(slots: Path) -> None:
    """Stale pid file, socket, mounts and containers of a killed daemon are no obstacle."""
    killed = DockerEngine(slots=slots).start()
    places = (killed.run_dir, killed.data_root)
    base = debian(killed, "13", "bare")
    killed.docker("run", "--detach", "--network=host", base, "sleep", "1000")
    daemon = int((killed.run_dir / "pid").read_text())
    os.kill(killed.state["keeper_pid"], signal.SIGKILL)
    os.kill(daemon, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{daemon}").exists())
    assert traces(*places) != NOTHING

    with DockerEngine(slots=slots) as engine:
        assert (engine.run_dir, engine.data_root) == places
        assert engine.docker("run", "--rm", "--network=host", base, "echo", "up").stdout == "up\n"
        assert not any("sleep 1000" in command for command in traces(*places)["processes"])
    assert traces(*places) == NOTHING


def test_a_failed_command_shows_what_docker_said(slots: Path) -> None:
    """The message of the error is enough to see what went wrong."""
    said = r"docker image inspect no:such: exit code 1\n[^$]*No such"
    with DockerEngine(slots=slots) as engine, pytest.raises(DockerError, match=said):
        engine.docker("image", "inspect", "no:such")


def test_a_stopped_engine_says_so() -> None:
    """Using an engine before start() is told apart from a daemon in trouble."""
    with pytest.raises(DockerError, match="not running"):
        DockerEngine().docker("version")


@pytest.mark.usefixtures("slots")
def test_all_workers_of_a_run_get_the_same_engine() -> None:
    """A second worker attaches to what the first one started, and one call ends it."""
    session = Session.new()
    first = DockerEngine.shared(session)
    keeper = int(first.state["keeper_pid"])
    try:
        second = DockerEngine.shared(Session.told(session.as_json()))
        assert second.env == first.env
        assert second.docker("version").code == 0
        assert birth(keeper)
    finally:
        DockerEngine.stop_shared(session)
        session.forget()
    assert not birth(keeper)
