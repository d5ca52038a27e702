"""`packer-toolkit doctor` finds what is missing, each with its fix, and changes nothing."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from packer_toolkit.environment.registry import split_image
from rig.aws import Ec2
from rig.aws.trust import Hosted, documented
from rig.docker.engine import DockerEngine
from rig.github import GitHub
from rig.host import tools
from rig.servers.web import Handler, serving

LOGIN = base64.b64encode(b"AWS:password").decode()
PROGRAM = Path(sys.executable).with_name("packer-toolkit")


@dataclass
class Machine:
    """A machine that has everything; a test takes something away.

    Attributes:
        root: the repository.
        env: the environment, without the machine's own.
        settings: toolkit.env.
    """

    root: Path
    env: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)

    def doctor(self, code: int) -> dict[str, dict[str, str]]:
        """Run it, and return the checks by name."""
        if self.settings:
            text = "".join(f"{name}={value}\n" for name, value in self.settings.items())
            (self.root / "toolkit.env").write_text(f"# settings\n{text}")
        before = self._files()
        done = subprocess.run(
            [PROGRAM, "doctor", "--json"],
            cwd=self.root, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert self._files() == before, "it leaves nothing behind"
        shown = json.loads(done.stdout)
        assert shown["ok"] == (code == 0)
        return {check["name"]: check for check in shown["checks"]}

    def _files(self) -> list[Path]:
        folders = (self.root, Path(self.env["TMPDIR"]), Path(self.env["HOME"]))
        return sorted(
            path for each in folders for path in each.rglob("*") if ".git" not in path.parts
        )


@pytest.fixture
def machine(docker_engine: DockerEngine, toolkit_image: str, ec2: Ec2, tmp_path: Path) -> Machine:
    """Return a machine on which nothing is missing."""
    root, home = tmp_path / "packer ami", tmp_path / "home"
    for folder in (root, home, tmp_path / "tmp", tmp_path / "bin"):
        folder.mkdir()
    for name in ("docker", "git", "task"):
        (tmp_path / "bin" / name).symlink_to(tools.require(name))
    subprocess.run(["git", "init", "--quiet", root], check=True)
    (root / "Taskfile.local.yml").write_text("version: '3'\nenv:\n  MY_ROLE: builder\n")
    aws = {name: value for name, value in ec2.env.items() if name.startswith("AWS_")}
    del aws["AWS_REGION"], aws["AWS_DEFAULT_REGION"]
    return Machine(
        root,
        {
            **aws, **docker_engine.env, "PATH": str(tmp_path / "bin"), "HOME": str(home),
            "TMPDIR": str(tmp_path / "tmp"), "GIT_CONFIG_GLOBAL": os.devnull,
        },
        {
            "TOOLKIT_IMAGE": toolkit_image,
            "AWS_REGION": "eu-west-1",
            "AWS_ACCOUNT_ID": "111122223333",
            "PERSONAL_ROLE_VARIABLE": "MY_ROLE",
        },
    )  # fmt: skip


class Registry(Handler):
    """A registry with one image, for who logs in; a token it takes too, as others than ECR do."""

    scheme = "Basic"

    def get(self) -> None:
        """Answer as https://github.com/opencontainers/distribution-spec says."""
        host = self.headers["Host"]
        login = self.headers.get("Authorization", "")
        if self.path.startswith("/token?"):
            assert "scope=repository%3Apacker-toolkit%3Apull" in self.path
            body = json.dumps({"token": "t0ken" if login == f"Basic {LOGIN}" else "other"})
            self.send(200, body)
        elif login not in (f"Basic {LOGIN}", "Bearer t0ken"):
            challenge = f'{self.scheme} realm="http://{host}/token",service="registry"'
            self.send(401, "{}", WWW_Authenticate=challenge)
        else:
            self.send(200 if self.path == "/v2/packer-toolkit/manifests/1.0.0" else 404, "{}")


@pytest.fixture
def registry() -> Iterator[str]:
    """Serve a registry; return its name."""
    with serving(Registry) as address:
        yield address


def log_in(machine: Machine, registry: str, helper: bool = False) -> None:
    """Note a login as `docker login` does: in the file, or with a program."""
    folder = Path(machine.env["HOME"]) / ".docker"
    folder.mkdir()
    machine.env["DOCKER_CONFIG"] = str(folder)
    config: dict[str, object] = {"auths": {registry: {"auth": LOGIN}}}
    if helper:
        config = {"auths": {registry: {}}, "credsStore": "test"}
        program = Path(machine.env["PATH"]) / "docker-credential-test"
        program.write_text('#!/bin/sh\necho \'{"Username": "AWS", "Secret": "password"}\'\n')
        program.chmod(0o755)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
@pytest.mark.parametrize("helper", [False, True], ids=["file", "helper"])
def test_an_image_that_can_be_pulled_is_not_missing(
    machine: Machine, registry: str, monkeypatch: pytest.MonkeyPatch, scheme: str, helper: bool
) -> None:
    """With a login from either place, to a registry of either kind."""
    monkeypatch.setattr(Registry, "scheme", scheme)
    log_in(machine, registry, helper)
    machine.settings["TOOLKIT_IMAGE"] = f"{registry}/packer-toolkit:1.0.0"
    assert machine.doctor(code=0)["image"]["found"].endswith("can be pulled")


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        (
            "1.dkr.ecr.eu-west-1.amazonaws.com/a/b:1",
            ("1.dkr.ecr.eu-west-1.amazonaws.com", "a/b", "1"),
        ),
        ("localhost/a@sha256:12", ("localhost", "a", "sha256:12")),
        ("host:5000/a:1@sha256:12", ("host:5000", "a", "sha256:12")),
        ("debian", ("registry-1.docker.io", "library/debian", "latest")),
        ("hashicorp/packer:1", ("registry-1.docker.io", "hashicorp/packer", "1")),
    ],
)
def test_a_name_has_a_registry(image: str, parts: tuple[str, str, str]) -> None:
    """As engines read it."""
    assert split_image(image) == parts


def test_nothing_is_missing(machine: Machine, ec2: Ec2) -> None:
    """The role of Taskfile.local.yml is assumed, as it is for a build."""
    checks = machine.doctor(code=0)
    states = {name: check["state"] for name, check in checks.items()}
    # No token of GitHub and no answers: that is missing for nothing that is built here.
    assert (states.pop("subject"), states.pop("trust")) == ("skipped", "skipped")
    assert set(states.values()) == {"ok"}
    assert "account 111122223333, role builder, region eu-west-1" in checks["aws"]["found"]
    assert ec2.call("AssumeRole")["RoleArn"] == "arn:aws:iam::111122223333:role/builder"


# What is taken away -> the check that finds it, and words of the fix.
MISSING = {
    "the repository": ("repository", "run this command in a packer-ami repository"),
    "a setting": ("settings", "git checkout toolkit.env"),
    "a readable setting": ("settings", "correct this line"),
    "the git repository": ("git", "git init"),
    "git": ("git", "https://git-scm.com/downloads"),
    "task": ("task", "https://taskfile.dev/installation/"),
    "an engine": ("engine", "install Docker (https://docs.docker.com/get-docker/) or Podman"),
    "the daemon": ("engine", "unset DOCKER_HOST, which is unix:///nowhere.sock"),
    "the network to the registry": ("image", "check the network, a VPN or a proxy"),
    "the image in the registry": ("image", "compare TOOLKIT_IMAGE in toolkit.env"),
    "the login to the registry": ("image", "task docker-login"),
    "the role": ("role", "version: '3'\n\nenv:\n  MY_ROLE: \"AddYourRoleHere\""),
    "the role's name": ("role", "write into Taskfile.local.yml"),
    "the region": ("region", "fix AWS_REGION in toolkit.env"),
    "credentials": ("aws", "aws sso login"),
    "a login that has not expired": ("aws", "aws sso login"),
    "the right to assume the role": ("aws", "check its name and account"),
    "the right account": ("aws", "use the role or the profile of that account"),
    "the network to AWS": ("aws", "check the network"),
}


@pytest.mark.parametrize("what", MISSING)
def test_what_is_missing_is_found(machine: Machine, ec2: Ec2, registry: str, what: str) -> None:
    """With exit code 3, and what to do about it."""
    name, fix = MISSING[what]
    path = Path(machine.env["PATH"])
    if what == "the repository":
        machine.settings = {}
    elif what == "a setting":
        del machine.settings["TOOLKIT_IMAGE"]
    elif what == "a readable setting":
        machine.settings["nonsense without"] = "a name"
    elif what == "the git repository":
        shutil.rmtree(machine.root / ".git")
    elif what in ("git", "task", "an engine"):
        (path / {"an engine": "docker"}.get(what, what)).unlink()
    elif what == "the daemon":
        machine.env["DOCKER_HOST"] = "unix:///nowhere.sock"
    elif what == "the network to the registry":
        machine.settings["TOOLKIT_IMAGE"] = "127.0.0.1:9/packer-toolkit:1.0.0"
    elif what == "the image in the registry":
        log_in(machine, registry)
        machine.settings["TOOLKIT_IMAGE"] = f"{registry}/packer-toolkit:9.9.9"
    elif what == "the login to the registry":
        machine.settings["TOOLKIT_IMAGE"] = f"{registry}/packer-toolkit:1.0.0"
    elif what == "the role":
        (machine.root / "Taskfile.local.yml").unlink()
    elif what == "the role's name":
        machine.env["MY_ROLE"] = "AddYourRoleHere"
    elif what == "the region":
        machine.settings["AWS_REGION"] = "Frankfurt"
    elif what == "credentials":
        del machine.env["AWS_ACCESS_KEY_ID"], machine.env["AWS_SECRET_ACCESS_KEY"]
    elif what == "a login that has not expired":
        ec2.fault("*", "expire")
    elif what == "the right to assume the role":
        ec2.fault("AssumeRole", "deny")
    elif what == "the right account":
        machine.env["MY_ROLE"] = "none"
    elif what == "the network to AWS":
        machine.env |= dict.fromkeys(
            ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"), "http://127.0.0.1:9"
        )
    checks = machine.doctor(code=3)
    assert checks[name]["state"] == "missing"
    assert fix in checks[name]["fix"]
    others = {each for each, check in checks.items() if check["state"] == "missing"} - {name}
    # Without a role or settings there is no way to AWS and to the image either.
    assert others <= {"aws", "image", "settings", "role", "region"}


def test_a_docker_that_is_podman_is_asked_as_podman(machine: Machine) -> None:
    """Some distributions call Podman docker; its `info` has other fields."""
    docker = Path(machine.env["PATH"]) / "docker"
    docker.unlink()
    docker.write_text(
        "#!/bin/sh\ncase $* in\n--version) echo podman version 5.4.2 ;;\n"
        "'info --format {{.Host.OS}}') echo linux ;;\n'image inspect'*) echo sha256:1 ;;\n"
        '*) echo "unknown: $*" >&2; exit 125 ;;\nesac\n'
    )
    docker.chmod(0o755)
    assert machine.doctor(code=0)["engine"]["found"] == "podman version 5.4.2"


ANSWERS = {"ecr-login": "echo no credentials; exit 1", "desktop.exe": None}


@pytest.mark.parametrize("setting", ["credsStore", "credHelpers"])
@pytest.mark.parametrize("helper", ANSWERS)
def test_a_credential_helper_without_a_login_is_named(
    machine: Machine, registry: str, helper: str, setting: str
) -> None:
    """A helper that is missing or has no credentials is the reason, not the login (field 10)."""
    folder = Path(machine.env["HOME"]) / ".docker"
    folder.mkdir()
    machine.env["DOCKER_CONFIG"] = str(folder)
    value: object = helper if setting == "credsStore" else {registry: helper}
    (folder / "config.json").write_text(json.dumps({setting: value}))
    if answer := ANSWERS[helper]:
        program = Path(machine.env["PATH"]) / f"docker-credential-{helper}"
        program.write_text(f"#!/bin/sh\n{answer}\n")
        program.chmod(0o755)
    machine.settings["TOOLKIT_IMAGE"] = f"{registry}/packer-toolkit:1.0.0"
    image = machine.doctor(code=3)["image"]
    assert f"docker-credential-{helper}" in image["found"]
    assert str(folder / "config.json") in image["found"] + image["fix"]
    assert "docker-login" not in image["fix"]


def test_an_engine_of_another_machine_is_missing(machine: Machine) -> None:
    """The doctor names the address and both ways out, as the tasks do (field 38)."""
    docker = Path(machine.env["PATH"]) / "docker"
    docker.unlink()
    docker.write_text(
        "#!/bin/sh\ncase $* in\n--version) echo Docker version 28.2.2 ;;\n"
        "context*) echo ssh://build.example.com ;;\n*) ;;\nesac\n"
    )
    docker.chmod(0o755)
    del machine.env["DOCKER_HOST"]
    engine = machine.doctor(code=3)["engine"]
    assert "docker is on another machine (ssh://build.example.com)" in engine["found"]
    assert "docker context use default" in engine["fix"]
    machine.settings["TOOLKIT_REMOTE_ENGINE"] = "true"
    assert machine.doctor(code=0)["engine"]["state"] == "ok"
    del machine.settings["TOOLKIT_REMOTE_ENGINE"]
    machine.env["DOCKER_HOST"] = "tcp://127.0.0.1:2375"
    assert machine.doctor(code=0)["engine"]["state"] == "ok"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: '3'\ndotenv: [.env]\nenv: {MY_ROLE: builder}\n", "can't have dotenv"),
        ("version: '3.49'\nenv: {MY_ROLE: builder}\n", "versions should match"),
        ("env: {MY_ROLE: builder}\n", "Missing schema version"),
        ("version: '3'\nenv: {MY_ROLE: builder}\nincludes: {a: ./no.yml}\n", "No Taskfile found"),
        ("version: '3'\nenv: {MY_ROLE: builder}\n tasks: [\n", "did not find expected key"),
    ],
)
def test_a_local_taskfile_that_task_refuses_is_explained(
    machine: Machine, text: str, reason: str
) -> None:
    """What stops every task is named with Task's reason and the way to correct it (field 35)."""
    local = "includes: {local: {taskfile: ./Taskfile.local.yml, optional: true}}\n"
    (machine.root / "Taskfile.yml").write_text(f"version: '3'\n{local}")
    machine.doctor(code=0)
    (machine.root / "Taskfile.local.yml").write_text(text)
    task = machine.doctor(code=3)["task"]
    assert "Task cannot read Taskfile.local.yml: " in task["found"]
    assert reason in task["found"]
    assert "begins with version: '3'" in task["fix"]
    assert "dotenv: only within a task" in task["fix"]


def test_role_that_rejects_the_repository_is_found(
    machine: Machine, ec2: Ec2, github: GitHub
) -> None:
    """The doctor names the subject that a role of the workflows rejects.

    (issue 9)
    """
    account, prefix = "111122223333", "repo:acme@1001/packer-ami-web@2002"
    role = f"arn:aws:iam::{account}:role/packer-ami-builder"
    answers = {"_src_path": "gh:acme/t", "_commit": "v1", "aws_build_role": role}
    answers |= {"github_host": "github.com", "github_organization": "acme", "image_name": "web"}
    answers |= {"parent_image": "debian-12", "aws_management_account": "111122223333"}
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in answers.items())
    (machine.root / ".copier-answers.yml").write_text("".join(lines))
    machine.env |= {"GH_TOKEN": "of-a-developer", "GITHUB_API_URL": github.url}
    hub = github.repository("acme/packer-ami-web")
    hub.oidc_subject = {"use_default": True, "sub_claim_prefix": prefix}
    iam = session_in(ec2, account).client("iam", endpoint_url=ec2.env["AWS_ENDPOINT_URL"])
    trust = documented("pipeline.md", "Trust of the build role", Hosted("acme/packer-ami-web"))
    wrong = json.dumps(trust).replace("@1001/", "@3/")
    iam.create_role(RoleName="packer-ami-builder", AssumeRolePolicyDocument=wrong)
    checks = machine.doctor(code=3)
    assert checks["subject"]["found"] == f"{prefix}:…"
    assert checks["trust"]["found"] == f"packer-ami-builder rejects {prefix}:ref:refs/heads/main"
    assert "Trust of the build role" in checks["trust"]["fix"]
    iam.update_assume_role_policy(RoleName="packer-ami-builder", PolicyDocument=json.dumps(trust))
    assert machine.doctor(code=0)["trust"]["found"] == "packer-ami-builder trusts this repository"


def session_in(ec2: Ec2, account: str) -> boto3.Session:
    """Return a session of boto3 in an account of the rig."""
    role = f"arn:aws:iam::{account}:role/me"
    keys = ec2.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    return boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "eu-west-1"
    )


def test_a_person_reads_it_too(machine: Machine) -> None:
    """The same, as text, with a closing line on standard error."""
    machine.doctor(code=0)
    (Path(machine.env["PATH"]) / "task").unlink()
    done = subprocess.run(
        [PROGRAM, "doctor"],
        cwd=machine.root, env=machine.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "MISSING  task        not on PATH" in done.stdout
    assert "install Task: https://taskfile.dev/installation/" in done.stdout
    error = "this machine cannot build, missing: task; apply the fixes above"
    assert done.stderr == f"packer-toolkit: {error}\n"


def test_in_the_container_it_looks_at_what_can_be_seen_there(
    machine: Machine, docker_engine: DockerEngine, toolkit_image: str
) -> None:
    """Engine and image are there; Task is the host's; the entry point assumes the role."""
    machine.doctor(code=0)
    names = [name for name in machine.env if name.startswith("AWS_") and "FILE" not in name]
    done = docker_engine.docker(
        "run", "--rm", "--network=host", "--user=0:0", "--env=MY_ROLE=builder",
        *(f"--env={name}={machine.env[name]}" for name in names),
        "--mount", f"type=bind,source={machine.root},target=/workspace",
        toolkit_image, "packer-toolkit", "doctor", "--json", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    states = {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert states == {
        "repository": "ok", "settings": "ok", "git": "ok", "task": "skipped",
        "engine": "ok", "image": "ok", "role": "ok", "region": "ok", "aws": "ok",
        "subject": "skipped", "trust": "skipped",
    }  # fmt: skip


@pytest.mark.parametrize("way", ["values", "json", "environment"])
def test_session_manager_needs_its_program(
    machine: Machine, docker_engine: DockerEngine, toolkit_image: str, way: str
) -> None:
    """Where a repository chooses Session Manager, the doctor reports its program.

    On the host, where builds do not run, it need not be installed.  (field 9, review R2)
    """
    name = "session-manager-plugin"
    assert name not in machine.doctor(code=0)
    if way == "values":
        values = '# ssh_interface = "public_ip"\nssh_interface   = "session_manager"\n'
        (machine.root / "image.auto.pkrvars.hcl").write_text(values)
    elif way == "json":
        values = '{"ssh_interface": "session_manager"}'
        (machine.root / "image.auto.pkrvars.json").write_text(values)
    else:
        machine.env["PKR_VAR_ssh_interface"] = "session_manager"
    assert machine.doctor(code=0)[name]["state"] == "skipped"
    if way == "values":
        done = docker_engine.docker(
            "run", "--rm", "--mount", f"type=bind,source={machine.root},target=/workspace",
            "--user=0:0", "--env=MY_ROLE=none", toolkit_image,
            "packer-toolkit", "doctor", "--json", check=False,
        )  # fmt: skip
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        assert checks[name]["state"] == "ok", checks
