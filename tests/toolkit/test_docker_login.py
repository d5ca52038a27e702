"""docker-login lets the engine into a real registry, and docker-run gets its image from there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rig.docker_engine import DockerEngine
from rig.ec2.rig import Ec2
from rig.registry import PASSWORD, Registry
from rig.tasks import Tasks, says


@pytest.fixture
def tasks(
    repository: Path, tmp_path: Path, docker_engine: DockerEngine, registry: Registry, ec2: Ec2
) -> Tasks:
    """Return tasks of a repository whose image is in the registry."""
    env = {
        **docker_engine.env,
        **ec2.env,
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "TOOLKIT_IMAGE": f"{registry.name}/packer-toolkit:1",
        "TOOLKIT_ECR": "true",
        "TOOLKIT_DOCKER_ARGS": "--network=host",
        "SOL_CET_USER_ROLE": "none",
    }
    return Tasks(repository, env)


def test_login_then_run(tasks: Tasks, registry: Registry, ec2: Ec2) -> None:
    """Without one there is one line with the way to it; after it the image is pulled and runs."""
    refused = tasks.run("docker-run", "--", "bash", "-c", "echo in")
    assert refused.returncode == 4
    assert "log in with: task docker-login" in says(refused)

    done = tasks.run("docker-login")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Logged in to {registry.name}, for 12 hours\n"
    assert says(done) == ""
    assert len(ec2.calls("GetAuthorizationToken")) == 1

    ran = tasks.run("docker-run", "--", "bash", "-c", "echo in $PWD; exit 5")
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (5, "in /workspace"), ran.stderr


def test_an_expired_login_says_how_to_renew_it(tasks: Tasks, registry: Registry) -> None:
    """The engine keeps a password that the registry takes no longer."""
    assert tasks.run("docker-login").returncode == 0
    registry.set_password("of the next day")
    refused = tasks.run("docker-run", "--", "bash", "-c", "true")
    assert refused.returncode == 4
    assert "the registry refused (" in says(refused)
    assert "log in with: task docker-login" in says(refused)
    again = tasks.run("docker-login")
    assert again.returncode == 4
    assert f"{registry.name} refused (" in says(again)
    assert PASSWORD not in again.stdout + again.stderr


def test_a_wrong_registry_is_named(tasks: Tasks, registry: Registry) -> None:
    """An image that is not there, and a registry where nobody listens."""
    assert tasks.run("docker-login").returncode == 0
    image = f"{registry.name}/packer-toolkit:2"
    absent = tasks.run("docker-run", "--", "true", env={"TOOLKIT_IMAGE": image})
    assert absent.returncode == 4
    assert f"there is no image {image} (" in says(absent)
    registry.stop()
    for words in (("docker-run", "--", "true"), ("docker-login",)):
        gone = tasks.run(*words)
        assert gone.returncode == 4
        assert "refused" in says(gone)
        assert "toolkit.env" in says(gone)


def test_credentials_of_aws_that_do_not_work_are_told(tasks: Tasks, ec2: Ec2) -> None:
    """Expired ones, none at all, and no network: one line each."""
    ec2.expire_key(ec2.env["AWS_ACCESS_KEY_ID"])
    expired = tasks.run("docker-login")
    assert expired.returncode == 4
    assert "AWS gave no password (" in says(expired)
    assert "aws sso login" in says(expired)
    none = tasks.run("docker-login", env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert none.returncode == 4
    assert "Unable to locate credentials" in says(none)
    offline = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    away = tasks.run("docker-login", env=offline)
    assert away.returncode == 4
    assert "AWS is out of reach (Could not connect to the endpoint URL" in says(away)
    for done in (expired, none, away):
        assert len(says(done).splitlines()) == 1, done.stderr


def test_the_password_is_kept_by_the_engine_alone(tasks: Tasks, registry: Registry) -> None:
    """Nothing of it is in the repository."""
    assert tasks.run("docker-login").returncode == 0
    config = json.loads((Path(tasks.env["DOCKER_CONFIG"]) / "config.json").read_text())
    assert list(config["auths"]) == [registry.name]
    for folder, _, names in os.walk(tasks.repository):
        for name in names:
            assert PASSWORD.encode() not in (Path(folder) / name).read_bytes()
