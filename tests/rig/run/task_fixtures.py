"""Fixtures for tests that run the tasks of a rendered repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.docker.engine import DockerEngine
from rig.docker.registry import PASSWORD, Registry, tiny_image
from rig.host import tools
from rig.repositories.repository import small_repository
from rig.run.tasks import Tasks


@pytest.fixture(scope="session")
def rendered(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a rendered repository, to be copied."""
    return small_repository(template, tmp_path_factory.mktemp("rendered") / "packer-ami-small")


@pytest.fixture
def repository(rendered: Path, tmp_path: Path) -> Path:
    """Return a rendered repository at a path with every sign that may do harm."""
    place = tmp_path / "a team's, répo: $x" / "packer-ami-small"
    return Path(shutil.copytree(rendered, place, symlinks=True))


@pytest.fixture
def tasks(repository: Path, docker_engine: DockerEngine, toolkit_image: str) -> Tasks:
    """Return the repository's tasks, with the private engine and the image built here."""
    env = {
        **docker_engine.env,
        "TOOLKIT_IMAGE": toolkit_image,
        # The engine has no network of its own.
        "TOOLKIT_DOCKER_ARGS": "--network=host",
        "GIT_CONFIG_GLOBAL": os.environ["GIT_CONFIG_GLOBAL"],
    }
    return Tasks(repository, env)


@pytest.fixture
def registry(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[Registry]:
    """Return a registry that holds the image packer-toolkit:1, which no engine has."""
    tools.require("docker-registry")
    folder = tmp_path / "registry"
    folder.mkdir()
    with Registry(folder, "AWS", PASSWORD) as registry:
        image = f"{registry.name}/packer-toolkit:1"
        tiny_image(docker_engine, image)
        config = {"DOCKER_CONFIG": str(folder / "client")}
        login = ("login", "--username=AWS", "--password-stdin", registry.name)
        docker_engine.docker(*login, input=PASSWORD, env=config)
        docker_engine.docker("push", image, env=config)
        docker_engine.docker("rmi", image)
        yield registry
        docker_engine.docker("rmi", "--force", image, check=False)
