"""The rig starts fast and ends what it started, however its owner ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from rig.docker_engine import DockerEngine
from rig.ec2 import Ec2

OWNER = """
import json, sys, time
from rig.ec2 import Ec2
docker_env, bases = json.loads(sys.argv[1])
with Ec2(docker_env, bases) as rig:
    with rig.boot(rig.newest_parent("debian-12-amd64-*")) as instance:
        told = [rig._server.pid, rig.container(instance["InstanceId"]), rig._state.name]
        print(json.dumps(told), flush=True)
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
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
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


def _names(docker_engine: DockerEngine) -> list[str]:
    return docker_engine.docker("ps", "--all", "--format", "{{.Names}}").stdout.split()
