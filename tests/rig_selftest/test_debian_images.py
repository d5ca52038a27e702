"""The Debian images are what a build may expect of them, and reach Debian's archive."""

from __future__ import annotations

import pytest

from rig.docker import base_images
from rig.docker.engine import DockerEngine
from rig.host import tools


@pytest.mark.parametrize(("release", "python"), [("12", "3.11"), ("13", "3.13")])
def test_image_has_what_packer_meets_on_an_instance(
    docker_engine: DockerEngine, request: pytest.FixtureRequest, release: str, python: str
) -> None:
    """Python for Ansible, sudo, sshd, and the release that the tag says."""
    tag = request.getfixturevalue(f"debian_{release}")
    assert tag == f"debian:{release}"
    script = "cat /etc/debian_version; python3 --version; command -v sudo; ls /usr/sbin/sshd"
    shown = docker_engine.docker("run", "--rm", "--network=host", tag, "sh", "-ec", script).stdout
    version, found_python, *paths = shown.splitlines()
    assert version.startswith(f"{release}.")
    assert found_python.startswith(f"Python {python}.")
    assert paths == ["/usr/bin/sudo", "/usr/sbin/sshd"]


def test_packages_can_be_installed_in_a_container(
    docker_engine: DockerEngine, debian_12: str
) -> None:
    """The machine's way to Debian's archive works inside a container too."""
    script = "apt-get update -qq && apt-get install -qq --yes hello >/dev/null && hello"
    shown = docker_engine.docker(
        "run", "--rm", "--network=host", "--env=DEBIAN_FRONTEND=noninteractive", debian_12,
        "sh", "-ec", script,
    )  # fmt: skip
    assert "Hello, world!" in shown.stdout


def test_bare_image_is_as_empty_as_docker_hubs(docker_engine: DockerEngine) -> None:
    """A Dockerfile that forgets to install Python fails here as it would with the real one."""
    if reason := base_images.why_not():
        tools.missing(reason)
    tag = base_images.debian(docker_engine, "12", "bare")
    script = "command -v python3 || command -v sudo || command -v sshd || echo none"
    shown = docker_engine.docker("run", "--rm", "--network=host", tag, "sh", "-c", script)
    assert shown.stdout == "none\n"
    assert tag == "debian:12-bare"


def test_no_service_starts_on_installation(docker_engine: DockerEngine, debian_12: str) -> None:
    """With the host's network a started service would take the host's port."""
    shown = docker_engine.docker("run", "--rm", debian_12, "/usr/sbin/policy-rc.d", check=False)
    assert shown.returncode == 101, "policy-rc.d's code for: action forbidden"


def test_an_image_that_is_there_is_not_made_again(
    docker_engine: DockerEngine, debian_12: str
) -> None:
    """The second test run of the day does not wait for the images of the first."""
    before = docker_engine.docker("image", "inspect", "--format={{.Id}}", debian_12).stdout
    base_images.debian(docker_engine, "12")
    after = docker_engine.docker("image", "inspect", "--format={{.Id}}", debian_12).stdout
    assert before == after
