"""The packer-toolkit image works for everybody, and holds what versions.env says."""

from __future__ import annotations

import pytest

from rig.docker_engine import DockerEngine


@pytest.mark.parametrize("user", ["", "1234", "4321:4321", "0:0"])
def test_ssh_and_ansible_work_for_any_user(
    docker_engine: DockerEngine, toolkit_image: str, user: str
) -> None:
    """Both refuse a uid that has no name."""
    options = [f"--user={user}"] if user else []
    script = "ssh -G host >/dev/null && ansible localhost -m ping"
    done = docker_engine.docker(
        "run", "--rm", "--network=host", "--group-add=0", *options, toolkit_image,
        "sh", "-ec", script,
    )  # fmt: skip
    assert "pong" in done.stdout
