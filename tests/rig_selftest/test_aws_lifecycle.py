"""The rig starts fast and ends what it started, however its owner ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rig import CHECKOUT
from rig.aws import Ec2
from rig.docker.engine import DockerEngine

OWNER = """
import json, sys, time
from rig.aws import Ec2
docker_env, bases = json.loads(sys.argv[1])
with Ec2(docker_env, bases) as rig:
    with rig.boot(rig.newest_parent("debian-12-amd64-*")) as instance:
        told = [rig._server.pid, rig.container(instance["InstanceId"]), rig._state.name]
        print(json.dumps(told), flush=True)
        time.sleep(600)
"""

CONFTEST = """
import json, os, types
import pytest
pytest_plugins = ["rig.aws.fixtures"]
ENV, IMAGES = json.loads(os.environ["RIG_TOLD"])
@pytest.fixture(scope="session")
def docker_engine(): return types.SimpleNamespace(env=ENV)
@pytest.fixture(scope="session")
def cloud_images(): return IMAGES
"""
TESTS = """
import json, pathlib, sys, time
def start(ec2, name):
    run = ec2.client().run_instances(
        ImageId=ec2.newest_parent("debian-12-amd64-*"), MinCount=1, MaxCount=1)
    child = ec2.spawn([sys.executable, "-c", "import time; time.sleep(600)"])
    container = ec2.container(run["Instances"][0]["InstanceId"])
    told = [ec2._server.pid, child.pid, container]
    pathlib.Path(__file__).with_name(name).write_text(json.dumps(told))
def test_that_fails(ec2):
    start(ec2, "failed")
    raise AssertionError
def test_that_is_interrupted(ec2):
    start(ec2, "interrupted")
    time.sleep(600)
"""


def test_it_starts_in_three_seconds(
    docker_engine: DockerEngine, cloud_images: Mapping[str, str], ec2: Ec2
) -> None:
    """Processor time of the server, of which moto's import is most: the machine may be busy."""
    del ec2  # its start has made the images of the parents
    with Ec2(docker_engine.env, cloud_images) as rig:
        assert rig._server is not None
        stat = Path(f"/proc/{rig._server.pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(stat[11]), int(stat[12])
    assert (user + system) / os.sysconf("SC_CLK_TCK") < 3


def test_rigs_run_side_by_side(
    docker_engine: DockerEngine, cloud_images: Mapping[str, str], ec2: Ec2
) -> None:
    """Each has its own port, address range, account and containers."""
    with Ec2(docker_engine.env, cloud_images) as other:
        assert {other.port, other.cidr}.isdisjoint({ec2.port, ec2.cidr})
        with ec2.boot(ec2.newest_parent("debian-12-amd64-*")) as instance:
            assert other.leftovers() == {}
            other.reset()
            assert ec2.ssh(instance, "admin", "true").code == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_owner_is_killed(
    docker_engine: DockerEngine, cloud_images: Mapping[str, str], how: signal.Signals
) -> None:
    """Server and containers end with the process that started them."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, json.dumps([docker_engine.env, cloud_images])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "tests")},
    )
    assert owner.stdout is not None
    with owner.stdout:
        server, container, state = json.loads(owner.stdout.readline())
        owner.send_signal(how)
        owner.wait(30)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{server}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{server}").exists()
    assert container not in _names(docker_engine)
    assert not Path(state).exists()


def test_a_failed_test_and_ctrl_c_leave_nothing(
    docker_engine: DockerEngine, cloud_images: Mapping[str, str], tmp_path: Path
) -> None:
    """Under xdist: one worker's test fails, the other one's is interrupted by Ctrl-C."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_inner.py").write_text(TESTS)
    inner = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-n2", "-q", "-c", os.devnull, f"--rootdir={tmp_path}",
         str(tmp_path)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "PYTHONPATH": str(CHECKOUT / "tests"),
            "RIG_TOLD": json.dumps([dict(docker_engine.env), dict(cloud_images)]),
        },
    )  # fmt: skip
    try:
        files = [tmp_path / "failed", tmp_path / "interrupted"]
        _wait_until(lambda: all(file.exists() and file.read_text() for file in files))
        told = [json.loads(file.read_text()) for file in files]
        _wait_until_gone(told[0][1])  # after the failed test
        os.killpg(inner.pid, signal.SIGINT)  # as a terminal does
        inner.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(inner.pid, signal.SIGKILL)
        inner.wait()
    assert len(told) == 2
    for server, child, container in told:
        _wait_until_gone(server)
        assert not Path(f"/proc/{child}").exists()
        assert container not in _names(docker_engine)


def test_a_killed_server_leaves_nothing_to_the_next_one(
    docker_engine: DockerEngine, cloud_images: Mapping[str, str]
) -> None:
    """Its containers hold addresses: the next rig to start removes them."""
    first = Ec2(docker_engine.env, cloud_images).start()
    parent = first.newest_parent("debian-12-amd64-*")
    run = first.client().run_instances(ImageId=parent, MinCount=1, MaxCount=1)
    container = first.container(run["Instances"][0]["InstanceId"])
    assert first._server is not None
    first._server.kill()
    first._server.wait()
    first.stop()
    assert container in _names(docker_engine)
    with Ec2(docker_engine.env, cloud_images):
        assert container not in _names(docker_engine)


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _wait_until_gone(pid: int) -> None:
    _wait_until(lambda: not Path(f"/proc/{pid}").exists())


def _names(docker_engine: DockerEngine) -> list[str]:
    return docker_engine.docker("ps", "--all", "--format", "{{.Names}}").stdout.split()
