"""Fixtures for tests that need EC2; tests/conftest.py loads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from rig.aws.rig import Ec2
from rig.docker.engine import DockerEngine


@pytest.fixture(scope="session")
def ec2_of_the_worker(
    docker_engine: DockerEngine, cloud_images: Mapping[str, str]
) -> Iterator[Ec2]:
    """Run one rig for each xdist worker."""
    with Ec2(docker_engine.env, cloud_images) as rig:
        yield rig


@pytest.fixture
def ec2(ec2_of_the_worker: Ec2) -> Iterator[Ec2]:
    """Return an EC2 in which nothing has happened yet; afterwards nothing of it runs on."""
    ec2_of_the_worker.reset()
    yield ec2_of_the_worker
    ec2_of_the_worker.reset()
