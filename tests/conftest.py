"""What every test starts from: an isolated environment, and the tools that tests share."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from rig.docker import (
    base_images,
    engine as docker_engine_module,
    toolkit_image as toolkit_image_module,
)
from rig.docker.engine import DockerEngine
from rig.host import tools
from rig.host.cache import CACHE_ROOT
from rig.host.session import Session
from rig.host.signals import set_handlers
from rig.repositories import template as template_module

pytest_plugins = [
    "rig.aws.fixtures",
    "rig.host.fast_tests",
    "rig.github.fixtures",
    "rig.iam.fixtures",
    "rig.run.pipeline_fixtures",
    "rig.run.task_fixtures",
    "rig.terraform.fixtures",
]

_SESSION = pytest.StashKey[Session]()

# Whoever runs the tests may have set these; a test must not depend on it.
_SCRUBBED_PREFIXES = (
    "ANSIBLE_",
    "AWS_",
    "COPIER_",
    "DOCKER_",
    "GH_",
    "GIT_",
    "GITHUB_",
    "PACKER_",
    "PKR_",
    "TASK_",
    "TF_",
    "XDG_",
)

_GIT_CONFIG = """\
[user]
    name = Tess Tester
    email = tess@example.com
[advice]
    defaultBranchName = false
[maintenance]
    auto = false
"""


def pytest_configure(config: pytest.Config) -> None:
    """Name the test run: the controller does, its xdist workers are told."""
    set_handlers()
    told = getattr(config, "workerinput", {}).get("rig_session")
    config.stash[_SESSION] = Session.told(told) if told else Session.new()
    # Workers take it from the controller, so that all of them draw from the same.
    os.environ.setdefault("TEMPLATE_PACKER_AMI_SEED", str(random.SystemRandom().randrange(10**6)))


def pytest_report_header() -> str:
    """Name the seed of what is drawn at random; the same seed repeats it."""
    return f"seed: TEMPLATE_PACKER_AMI_SEED={os.environ['TEMPLATE_PACKER_AMI_SEED']}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker the name of the run."""
    node.workerinput["rig_session"] = node.config.stash[_SESSION].as_json()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what needs compiled programs last: on a new machine they are being compiled meanwhile."""
    order = ("packer", "terraform")

    def rank(item: pytest.Item) -> int:
        fixtures = getattr(item, "fixturenames", ())
        return max((number for number, name in enumerate(order, 1) if name in fixtures), default=0)

    items.sort(key=rank)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what the workers shared; only the controller does, after the last of them."""
    session = config.stash.get(_SESSION, None)
    if session and session.owner_pid == os.getpid():
        DockerEngine.stop_shared(session)
        session.forget()


@pytest.fixture(scope="session")
def rig_session(request: pytest.FixtureRequest) -> Session:
    """Return the test run, for what all its workers share."""
    return request.config.stash[_SESSION]


@pytest.fixture(scope="session", autouse=True)
def _isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove from the environment what a person or a runner has set for other purposes.

    Git gets a name and an address; a test of a machine without them sets GIT_CONFIG_GLOBAL to
    os.devnull. No init.defaultBranch: the branch's name is for the hook to decide.
    """
    home = tmp_path_factory.mktemp("home")
    git_config = tmp_path_factory.mktemp("git") / "config"
    git_config.write_text(_GIT_CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(_SCRUBBED_PREFIXES):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        # Also when pytest was not started by `uv run`: Packer calls ansible-playbook by name.
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        patch.setenv("GIT_CONFIG_GLOBAL", str(git_config))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_TERMINAL_PROMPT", "0")
        patch.setenv("TEMPLATE_PACKER_AMI_CACHE", str(CACHE_ROOT))
        yield


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each test an empty HOME and variables of its own.

    No test finds what another one wrote there, also where the code under test sets variables.
    """
    with mock.patch.dict(os.environ, HOME=str(tmp_path_factory.mktemp("home"))):
        yield


@pytest.fixture(scope="session")
def packer() -> tools.Packer:
    """Return Packer with its plugins, in the versions of tests/rig/host/tools/packer/go.mod."""
    return tools.packer()


@pytest.fixture(scope="session")
def docker_engine(rig_session: Session) -> DockerEngine:
    """Return the private Docker daemon of this test run."""
    reason = docker_engine_module.why_not()
    if reason:
        tools.missing(reason)
    return DockerEngine.shared(rig_session)


@pytest.fixture(scope="session")
def debian_12(docker_engine: DockerEngine) -> str:
    """Return the tag of Debian 12 with Python, sudo and sshd, in the private engine."""
    return _debian(docker_engine, "12")


@pytest.fixture(scope="session")
def debian_13(docker_engine: DockerEngine) -> str:
    """Return the tag of Debian 13 with Python, sudo and sshd, in the private engine."""
    return _debian(docker_engine, "13")


@pytest.fixture(scope="session")
def cloud_images(docker_engine: DockerEngine) -> Mapping[str, str]:
    """Return the tags of Debian's releases as its cloud images are, by release."""
    return {release: _debian(docker_engine, release, "cloud") for release in ("12", "13")}


def _debian(
    engine: DockerEngine, release: base_images.Release, flavour: base_images.Flavour = "login"
) -> str:
    reason = base_images.why_not()
    if reason:
        tools.missing(reason)
    return base_images.debian(engine, release, flavour)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template of this working tree, as a repository with the release v1.0.0."""
    return template_module.snapshot(tmp_path_factory.mktemp("template") / "template-packer-ami")


@pytest.fixture(scope="session")
def toolkit_image(docker_engine: DockerEngine, packer: tools.Packer) -> str:
    """Return the tag of the packer-toolkit image, built from toolkit/Dockerfile when it changed."""
    del packer  # is in the image, and has to be built before
    if reason := base_images.why_not():
        tools.missing(reason)
    return toolkit_image_module.toolkit_image(docker_engine)
