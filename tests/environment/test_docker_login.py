"""docker-login lets the engine into a real registry, and docker-run gets its image from there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from rig.aws.rig import Ec2
from rig.docker.engine import DockerEngine
from rig.docker.registry import PASSWORD, Registry
from rig.run.tasks import Tasks, says


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
    assert "the registry denied access (" in says(refused)
    assert "log in with: task docker-login" in says(refused)
    again = tasks.run("docker-login")
    assert again.returncode == 4
    assert f"{registry.name} refused the login (" in says(again)
    assert PASSWORD not in again.stdout + again.stderr


def test_a_wrong_registry_is_named(tasks: Tasks, registry: Registry) -> None:
    """An image that is not there, and a registry where nobody listens."""
    assert tasks.run("docker-login").returncode == 0
    image = f"{registry.name}/packer-toolkit:2"
    absent = tasks.run("docker-run", "--", "true", env={"TOOLKIT_IMAGE": image})
    assert absent.returncode == 4
    assert f"the image {image} does not exist (" in says(absent)
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
    assert "could not get an ECR password (" in says(expired)
    assert "aws sso login" in says(expired)
    none = tasks.run("docker-login", env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert none.returncode == 4
    assert "Unable to locate credentials" in says(none)
    offline = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    away = tasks.run("docker-login", env=offline)
    assert away.returncode == 4
    assert "AWS cannot be reached (Could not connect to the endpoint URL" in says(away)
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


# --- Programs that keep Docker's passwords ------------------------------------------------------


class Helpers:
    """Credential helpers of Docker, and the configuration that names them."""

    def __init__(self, tasks: Tasks, registry: Registry, folder: Path) -> None:
        """Prepare a folder for them, which comes first on PATH."""
        folder.mkdir()
        self._folder = folder
        self._registry = registry
        self.config = Path(tasks.env["DOCKER_CONFIG"]) / "config.json"
        self.env = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def add(self, name: str, *, get: str = "", store: str = "not implemented") -> None:
        """Add a helper: GET is the password that it has, STORE why it refuses to keep one."""
        password = json.dumps({"ServerURL": "", "Username": "AWS", "Secret": get})
        found = f"cat >/dev/null; printf '%s' '{password}'" if get else "echo 'no login'; exit 1"
        helper = self._folder / f"docker-credential-{name}"
        helper.write_text(
            f"#!/bin/sh\ncase $1 in\nget) {found} ;;\n*) echo '{store}'; exit 1 ;;\nesac\n"
        )
        helper.chmod(0o755)

    def name(self, setting: str, name: str) -> None:
        """Name a helper in Docker's configuration, as people write it."""
        settings = {
            "credsStore": {"auths": {}, "credsStore": name},
            "credHelpers": {"credHelpers": {"example.com": "other", self._registry.name: name}},
            "both": {"credHelpers": {self._registry.name: name}, "credsStore": "other"},
        }
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(json.dumps(settings[setting], indent=2))


@pytest.fixture
def helpers(tasks: Tasks, registry: Registry, tmp_path: Path) -> Helpers:
    """Return Docker's credential helpers, none at first."""
    return Helpers(tasks, registry, tmp_path / "helpers")


SETTINGS = ["credsStore", "credHelpers", "both"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_ecr_helper_needs_no_login(
    tasks: Tasks, helpers: Helpers, registry: Registry, ec2: Ec2, setting: str
) -> None:
    """Where Amazon's helper logs in by itself, the task succeeds without a login (field 10)."""
    helpers.add("ecr-login", get=PASSWORD)
    helpers.name(setting, "ecr-login")
    done = tasks.run("docker-login", env=helpers.env)
    assert (done.returncode, says(done)) == (0, "")
    line = (
        f"docker-credential-ecr-login logs in to {registry.name} automatically; no login is needed"
    )
    assert done.stdout == f"{line}\n"
    assert ec2.calls("GetAuthorizationToken") == []
    ran = tasks.run("docker-run", "--", "bash", "-c", "echo in", env=helpers.env)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "in"), ran.stderr


def test_another_helper_that_stores_nothing_needs_no_login(
    tasks: Tasks, helpers: Helpers, registry: Registry
) -> None:
    """A wrapper of Amazon's helper under another name is understood by its answer (field 10)."""
    helpers.add("acme", get=PASSWORD)
    helpers.name("credHelpers", "acme")
    done = tasks.run("docker-login", env=helpers.env)
    assert (done.returncode, says(done)) == (0, "")
    assert f"logs in to {registry.name} automatically; no login is needed" in done.stdout


@pytest.mark.parametrize("task", ["docker-login", "docker-run"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_ecr_helper_without_credentials_names_itself(
    tasks: Tasks, helpers: Helpers, setting: str, task: str
) -> None:
    """Neither task refers to the other: the line names the helper and its reason (field 10)."""
    helpers.add("ecr-login")
    helpers.name(setting, "ecr-login")
    done = tasks.run(task, env=helpers.env)
    assert done.returncode == 4
    assert says(done).splitlines()[-1] == (
        f"toolkit.sh: docker-credential-ecr-login, which {helpers.config} uses, returned no "
        "password (no login); renew your credentials, such as with: aws sso login"
    )


@pytest.mark.parametrize("task", ["docker-login", "docker-run"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_missing_helper_is_named(tasks: Tasks, helpers: Helpers, setting: str, task: str) -> None:
    """A helper that is not installed, such as Docker Desktop's in WSL, is named (field 10)."""
    helpers.name(setting, "desktop.exe")
    done = tasks.run(task, env=helpers.env)
    assert done.returncode == 3
    assert says(done).splitlines()[-1] == (
        f"toolkit.sh: docker-credential-desktop.exe is not on PATH, but {helpers.config} uses it"
        " for passwords; install it, or remove its line there"
    )


def test_a_store_that_fails_is_not_a_refusal(tasks: Tasks, helpers: Helpers) -> None:
    """A store that is locked is named with Docker's file (field 10)."""
    helpers.add("pass", store="pass not initialized")
    helpers.name("credsStore", "pass")
    done = tasks.run("docker-login", env=helpers.env)
    assert done.returncode == 3
    assert "docker cannot store the password (" in says(done)
    assert "pass not initialized" in says(done)
    assert f"correct credsStore and credHelpers in {helpers.config}" in says(done)
    assert PASSWORD not in done.stdout + done.stderr


# --- In a workflow ------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["nothing", "settings"])
def test_a_job_leaves_no_password_on_its_runner(
    tasks: Tasks, registry: Registry, tmp_path: Path, before: str
) -> None:
    """A login is in the folder that the runner empties, with the runner's settings (review R10)."""
    config = Path(tasks.env["DOCKER_CONFIG"])
    kept = json.dumps({"auths": {"example.com": {"auth": "dXNlcjpwYXNz"}}, "detachKeys": "ctrl-x"})
    if before == "settings":
        (config / "contexts/meta").mkdir(parents=True)
        (config / "config.json").write_text(kept)
    temporary = tmp_path / "_temp"
    temporary.mkdir()
    job = {"GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(temporary)}
    done = tasks.run("docker-login", env=job)
    assert done.returncode == 0, done.stderr
    ran = tasks.run("docker-run", "--", "bash", "-c", "echo in", env=job)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "in"), ran.stderr

    if before == "settings":
        assert (config / "config.json").read_text() == kept
    else:
        assert not (config / "config.json").exists()
    (logins,) = temporary.iterdir()
    assert logins.stat().st_mode & 0o077 == 0
    in_job = json.loads((logins / "config.json").read_text())
    assert registry.name in in_job["auths"]
    assert (in_job.get("detachKeys") == "ctrl-x") == (before == "settings")
    assert (logins / "contexts").exists() == (before == "settings")

    # The runner empties the folder; the next job, a fork's, has no login.
    shutil.rmtree(logins)
    other = f"{registry.name}/packer-toolkit:other"
    refused = tasks.run("docker-run", "--", "true", env={**job, "TOOLKIT_IMAGE": other})
    assert refused.returncode == 4
    assert "log in with: task docker-login" in says(refused)
