"""The same tasks with real Podman: login, pull and run.

How rootless Podman is called is in test_toolkit_sh.py, with a stand-in; a build runs with Docker.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.aws.rig import Ec2
from rig.docker.registry import Registry
from rig.host import tools
from rig.run.tasks import Tasks, says

# Podman raises limits for root, which root may not do everywhere.
LIMITS = "--ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024"


@pytest.fixture
def podman(repository: Path, tmp_path: Path, registry: Registry, ec2: Ec2) -> Iterator[Tasks]:
    """Return tasks that run with Podman, which keeps its images where the test ends."""
    program = tools.require("podman")
    storage = tmp_path / "podman"
    storage.mkdir()
    (storage / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{storage}/root"\nrunroot = "{storage}/run"\n'
    )
    (storage / "registries.conf").write_text(
        f'[[registry]]\nlocation = "{registry.name}"\ninsecure = true\n'
    )
    (storage / "auth.json").write_text("{}")
    env = {
        **ec2.env,
        "CONTAINER_ENGINE": str(program),
        "CONTAINERS_REGISTRIES_CONF": str(storage / "registries.conf"),
        "CONTAINERS_STORAGE_CONF": str(storage / "storage.conf"),
        "REGISTRY_AUTH_FILE": str(storage / "auth.json"),
        "SOL_CET_USER_ROLE": "none",
        "TOOLKIT_DOCKER_ARGS": f"--network=host {LIMITS}",
        "TOOLKIT_ECR": "true",
        "TOOLKIT_IMAGE": f"{registry.name}/packer-toolkit:1",
    }
    yield Tasks(repository, env)
    reset = [program, "--root", storage / "root", "--runroot", storage / "run"]
    subprocess.run([*map(str, reset), "rm", "--all", "--force"], capture_output=True, check=False)
    subprocess.run(["umount", storage / "root/overlay"], capture_output=True, check=False)


def test_login_pull_and_run(podman: Tasks, registry: Registry) -> None:
    """As with Docker: the way to the login, the login, a command with its exit code and owner."""
    refused = podman.run("docker-run", "--", "bash", "-c", "true")
    assert refused.returncode == 4, refused.stderr
    assert "log in with: task docker-login" in says(refused)

    done = podman.run("docker-login")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Logged in to {registry.name}, for 12 hours\n"

    subprocess.run(["chown", "-R", "4321:4321", podman.repository], check=True)
    script = "echo $UID in $PWD; echo x >made; exit 5"
    ran = podman.run("docker-run", "--", "bash", "-c", script)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (5, "4321 in /workspace"), ran.stderr
    assert (podman.repository / "made").stat().st_uid == 4321

    absent = podman.run("docker-run", "--", "bash", env={"TOOLKIT_IMAGE": f"{registry.name}/a:1"})
    assert absent.returncode == 4
    assert f"the image {registry.name}/a:1 does not exist" in says(absent), absent.stderr
    registry.stop()
    gone = podman.run("docker-login")
    assert gone.returncode == 4
    assert f"{registry.name} refused the login (" in says(gone)


def test_a_job_leaves_no_password_on_its_runner_with_podman(
    podman: Tasks, registry: Registry, tmp_path: Path
) -> None:
    """Podman keeps the login of a job in the folder that the runner empties, too (review R10)."""
    temporary = tmp_path / "_temp"
    temporary.mkdir()
    before = Path(podman.env["REGISTRY_AUTH_FILE"]).read_text()
    job = {"GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(temporary)}
    done = podman.run("docker-login", env=job)
    assert done.returncode == 0, done.stderr
    ran = podman.run("docker-run", "--", "bash", "-c", "echo in", env=job)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "in"), ran.stderr
    assert Path(podman.env["REGISTRY_AUTH_FILE"]).read_text() == before
    assert registry.name in (temporary / "packer-toolkit-logins/config.json").read_text()


def test_an_image_without_a_registry_is_explained(podman: Tasks) -> None:
    """Podman refuses an image without a registry, so the line has the full name (report 1)."""
    for image in ("acme/packer-toolkit:1", "packer-toolkit"):
        done = podman.run("docker-run", "--", "true", env={"TOOLKIT_IMAGE": image})
        assert done.returncode == 3
        assert says(done).splitlines()[-1] == (
            f"toolkit.sh: {image} has no registry, which Podman requires; add it in toolkit.env,"
            f" such as docker.io/{image}"
        )
