"""Each check of the doctor is run on a machine that consists of the outputs of its programs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.environment import check_aws, check_repository, check_tools, entrypoint
from packer_toolkit.environment.machine import Check, Machine
from packer_toolkit.environment.network import find_changes
from packer_toolkit.environment.registry import (
    Availability,
    Response,
    find_helper_problem,
    find_login,
    request_image,
)
from packer_toolkit.environment.versions import TOOLS, compare_versions
from packer_toolkit.errors import SetupError
from packer_toolkit.process import NOT_ON_PATH, Completed
from rig.repositories.template import git

IMAGE = "registry.example.com/packer-toolkit:1.0.0"


@dataclass(frozen=True)
class FakeMachine(Machine):
    """A machine whose programs print what a test says.

    Attributes:
        outputs: First words of a command -> what it prints; the longest match counts.
    """

    outputs: Mapping[str, Completed] = field(default_factory=dict)

    def run(self, *command: str) -> Completed:
        """Return the output of a command."""
        line = " ".join(command)
        for words in sorted(self.outputs, key=len, reverse=True):
            if line.startswith(words):
                return self.outputs[words]
        return Completed(1, "", f"unknown: {line}")

    def has_program(self, name: str) -> bool:
        """Report whether any command of a program has an output."""
        return any(words.split()[0] == name for words in self.outputs)


def make(
    root: Path | None = None,
    outputs: Mapping[str, Completed] | None = None,
    environ: Mapping[str, str] | None = None,
    **values: str,
) -> FakeMachine:
    """Return a machine."""
    return FakeMachine(root, values, environ or {}, outputs or {})


def state(check: Check) -> tuple[str, str]:
    """Return the state of a check, and its fix or what was found."""
    return check.state, check.fix or check.found


TASK = {"task --version": Completed(0, "3.44.0")}
DOCKER = {
    "docker --version": Completed(0, "Docker version 28"),
    "docker info": Completed(0, "id"),
    "docker context": Completed(0, "unix:///var/run/docker.sock\n"),
}


def test_task_is_checked(tmp_path: Path) -> None:
    """Task has to be Taskfile's, and to read Taskfile.local.yml."""
    (tmp_path / "Taskfile.yml").touch()
    (tmp_path / "Taskfile.local.yml").touch()
    listing = {**TASK, "task --dir": Completed(1, "", "task: no dotenv")}
    assert check_tools.check_task(make(outputs=TASK)).found == "3.44.0"
    assert check_tools.check_task(make()).state == "missing"
    other = {"task --version": Completed(0, "2.6.0")}
    assert "prints: 2.6.0" in check_tools.check_task(make(outputs=other)).found
    broken = check_tools.check_task(make(tmp_path, listing))
    assert broken.found == "Task cannot read Taskfile.local.yml: task: no dotenv"
    inside = make(environ={"PACKER_TOOLKIT_VERSION": "1"})
    for check in (check_tools.check_task, check_tools.check_engine, check_tools.check_image):
        assert check(inside).state in ("ok", "skipped")


def test_engine_is_checked() -> None:
    """The engine has to run on this machine, and the user may have to join its group."""
    assert check_tools.check_engine(make(outputs=DOCKER)).found == "Docker version 28"
    assert check_tools.check_engine(make()).found == "neither docker nor podman is on PATH"
    absent = make(CONTAINER_ENGINE="nerdctl")
    assert check_tools.check_engine(absent).found == "nerdctl is not on PATH"
    denied = {**DOCKER, "docker info": Completed(1, "", "Permission denied")}
    assert "usermod" in str(check_tools.check_engine(make(outputs=denied)).fix)
    older = {
        **DOCKER,
        "docker info": Completed(1, "", "template: x"),
        "docker ps": Completed(1, "", "Cannot connect"),
    }
    stopped = check_tools.check_engine(make(outputs=older, DOCKER_HOST="unix:///x"))
    assert stopped.found == "docker cannot be reached: Cannot connect"
    assert "unset DOCKER_HOST" in str(stopped.fix)
    remote = make(outputs=DOCKER, DOCKER_HOST="ssh://build")
    assert "ssh://build" in check_tools.check_engine(remote).found
    allowed = make(outputs=DOCKER, DOCKER_HOST="ssh://build", TOOLKIT_REMOTE_ENGINE="true")
    assert check_tools.check_engine(allowed).state == "ok"
    podman = {"podman --version": Completed(0, "podman version 5"), "podman info": Completed(0)}
    assert check_tools.check_engine(make(outputs=podman)).state == "ok"


@pytest.mark.parametrize(
    ("availability", "expected"),
    [
        ("available", ("ok", f"{IMAGE} can be pulled")),
        ("missing", ("missing", "compare TOOLKIT_IMAGE")),
        ("refused", ("missing", "log in with: task docker-login")),
        ("unreachable", ("missing", "check the network")),
    ],
)
def test_image_is_checked(availability: Availability, expected: tuple[str, str]) -> None:
    """The answer of the registry decides, where the engine has no such image."""
    machine = make(TOOLKIT_IMAGE=IMAGE)
    check = check_tools.check_image(machine, lambda _: (availability, "reason"))
    assert check.state == expected[0]
    assert expected[1] in (check.fix or check.found)


def test_image_that_is_present_or_refused_is_not_requested() -> None:
    """Nothing is sent for an image of this machine or of another partition."""
    present = {**DOCKER, "docker image inspect": Completed(0, "sha256:1")}
    machine = make(outputs=present, TOOLKIT_IMAGE=IMAGE)
    assert check_tools.check_image(machine).found == f"{IMAGE} is on this machine"
    assert check_tools.check_image(make()).state == "skipped"
    china = make(TOOLKIT_IMAGE="111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/a:1")
    assert "aws-cn is not supported" in check_tools.check_image(china).found
    plugin = "session-manager-plugin"
    assert check_tools.check_session_manager(make()).state == "skipped"
    installed = {f"{plugin} --version": Completed(0, "1.2")}
    assert check_tools.check_session_manager(make(outputs=installed)).found == "1.2"
    inside = make(environ={"PACKER_TOOLKIT_VERSION": "1"})
    assert check_tools.check_session_manager(inside).state == "missing"


def test_repository_is_checked(tmp_path: Path) -> None:
    """The repository, its settings, git and the recorded address each have a check."""
    assert check_repository.check_repository(make()).state == "missing"
    assert check_repository.check_repository(make(tmp_path)).state == "ok"
    assert check_repository.check_settings(make()).state == "skipped"
    assert "does not set TOOLKIT_IMAGE" in check_repository.check_settings(make(tmp_path)).found
    complete = dict.fromkeys(check_repository.REQUIRED_SETTINGS, "x")
    assert check_repository.check_settings(make(tmp_path, **complete)).state == "ok"
    outputs = {"git --version": Completed(0, "git version 2")}
    assert check_repository.check_git(make()).state == "missing"
    assert "git init" in str(check_repository.check_git(make(tmp_path, outputs)).fix)
    git(tmp_path, "init", "--quiet")
    assert check_repository.check_git(make(tmp_path, outputs)).found == "git version 2"
    answers = "image_name: a\nparent_image: b\ntoolkit_image: c/d\n_src_path: ADDRESS\n"
    file = tmp_path / ".copier-answers.yml"
    file.write_text(answers.replace("ADDRESS", "https://x:secret@example.com/t.git"))
    assert "password or token" in check_repository.check_template(make(tmp_path)).found
    file.write_text(answers.replace("ADDRESS", "https://example.com/t.git"))
    assert check_repository.check_template(make(tmp_path)).state == "ok"


def test_role_and_region_are_checked(tmp_path: Path) -> None:
    """The role is that of the environment, or of Taskfile.local.yml."""
    values = {"PERSONAL_ROLE_VARIABLE": "MY_ROLE", "AWS_ACCOUNT_ID": "111122223333"}
    arn = "arn:aws:iam::111122223333:role/builder"
    environ = {"MY_ROLE": "builder"}
    assert (
        check_aws.check_role(make(environ=environ, **values)).found
        == f"{arn}, from the environment"
    )
    assert check_aws.check_role(make(**values)).state == "skipped"
    assert "MY_ROLE is not set" in check_aws.check_role(make(tmp_path, **values)).found
    local = tmp_path / "Taskfile.local.yml"
    local.write_text("env: {MY_ROLE: none}\n")
    none = check_aws.check_role(make(tmp_path, **values))
    assert none.found == "Taskfile.local.yml sets no role; using the current credentials"
    local.write_text("env: {MY_ROLE: AddYourRoleHere}\n")
    assert check_aws.check_role(make(tmp_path, **values)).state == "missing"
    local.write_text("env: [\n")
    assert check_aws.check_role(make(tmp_path, **values)).state == "missing"
    for environ in ({"AWS_PROFILE": "packer-toolkit-role"}, {"GITHUB_ACTIONS": "true"}):
        assert check_aws.check_role(make(environ=environ)).state in ("ok", "skipped")
    assert check_aws.check_region(make()).state == "missing"
    assert check_aws.check_region(make(AWS_REGION="Frankfurt")).fix == (
        "fix AWS_REGION in toolkit.env"
    )
    assert check_aws.check_region(make(AWS_REGION="cn-north-1")).state == "missing"
    assert check_aws.check_region(make(AWS_REGION="eu-west-1")).found == "eu-west-1"


class FakeSession:
    """A session of boto3 with an identity."""

    region_name = "eu-west-1"

    def client(self, *_: object, **__: object) -> Any:
        """Return itself as the client of STS."""
        return self

    def get_caller_identity(self) -> dict[str, str]:
        """Return the identity."""
        return {"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:user/me"}

    def get_credentials(self) -> None:
        """Return credentials that never expire."""


@contextmanager
def open_fake_session(_: Machine) -> Iterator[FakeSession]:
    """Open a session without AWS."""
    yield FakeSession()


@contextmanager
def refuse_session(_: Machine) -> Iterator[FakeSession]:
    """Refuse the login."""
    raise SetupError("no AWS credentials; log in")
    yield


def test_login_to_aws_is_checked() -> None:
    """The account of the login has to be the one that builds."""
    machine = make(AWS_ACCOUNT_ID="111122223333")
    assert check_aws.check_aws(machine, open_fake_session).state == "ok"
    other = check_aws.check_aws(make(AWS_ACCOUNT_ID="444455556666"), open_fake_session)
    assert "but images are built in account 444455556666" in other.found
    refused = check_aws.check_aws(machine, refuse_session)
    assert (refused.found, refused.fix) == ("no AWS credentials", "log in")
    checks = check_aws.check_trust(make(), refuse_session)
    assert [check.state for check in checks] == ["skipped", "skipped"]


# --- Registry, versions, network ---------------------------------------------------------------


def test_registry_answers_after_a_token() -> None:
    """A challenge leads to a token, which the second request carries."""
    sent: list[tuple[str, str]] = []
    challenge = 'Bearer realm="https://auth.example.com/token",service="s"'

    def send(url: str, headers: Mapping[str, str]) -> Response:
        sent.append((url, headers.get("Authorization", "")))
        if "/token?" in url:
            return Response(200, body=b'{"token": "t0ken"}')
        return Response(200) if sent[-1][1] == "Bearer t0ken" else Response(401, "", challenge)

    answer = request_image(IMAGE, send, lambda _: "bG9naW4=")
    assert answer == ("available", "")
    assert sent[0][1] == sent[1][1] == "Basic bG9naW4="
    assert "scope=repository%3Apacker-toolkit%3Apull" in sent[1][0]
    for status, availability in ((0, "unreachable"), (404, "missing"), (403, "refused")):
        response = Response(status, "reason")
        answer = request_image("localhost:5000/a", lambda *_, r=response: r, lambda _: None)
        assert answer == (availability, "reason")


def test_login_comes_from_a_file_or_a_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper without a login is named, with the file that uses it."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    file = tmp_path / "config.json"

    def run(command: list[str], **_: object) -> Completed:
        assert command == ["docker-credential-ecr-login", "get"]
        return output

    assert find_login("r.example.com", run) is None
    file.write_text(json.dumps({"auths": {"r.example.com": {"auth": "stored"}}}))
    assert find_login("r.example.com", run) == "stored"
    assert find_helper_problem("r.example.com", run) is None
    file.write_text(json.dumps({"credsStore": "ecr-login"}))
    output = Completed(0, '{"Username": "AWS", "Secret": "password"}')
    assert find_login("r.example.com", run) == base64.b64encode(b"AWS:password").decode()
    problem = find_helper_problem("r.example.com", run)
    assert problem
    assert "docker-credential-ecr-login is not on PATH" in problem[0]
    program = tmp_path / "docker-credential-ecr-login"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_helper_problem("r.example.com", run) is None
    output = Completed(1)
    problem = find_helper_problem("r.example.com", run)
    assert problem
    assert "returned no password" in problem[0]


def test_versions_are_compared(tmp_path: Path) -> None:
    """A pin may be the tag of an image or a range; a tool may be missing or print nothing."""
    pins = {tool.key: "1.2.3" for tool in TOOLS}
    pins |= {"PACKER_IMAGE": "hashicorp/packer:1.16.0@sha256:1", "GIT": "2.*", "TASK": "9"}
    file = tmp_path / "versions.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in pins.items()))
    outputs = {
        "packer": Completed(0, "Packer v1.16.0\n"),
        "git": Completed(0, "git version 2.47.1\n"),
        "docker": Completed(NOT_ON_PATH, stderr="docker is not on PATH"),
        "tini": Completed(1, "", "broken"),
    }

    def run(command: list[str], **_: object) -> Completed:
        return outputs.get(command[0], Completed(0, "1.2.3"))

    tools = {tool.name: tool for tool in compare_versions(file, run)}
    assert tools["packer"].ok
    assert tools["git"].ok
    assert tools["docker"].problem == "docker is not on PATH"
    assert tools["tini"].problem == "tini --version: broken"
    assert tools["packer-plugin-amazon"].problem == "packer plugins installed prints no version"
    assert not any(tool.pinned for tool in compare_versions(tmp_path / "none", run))
    file.write_text("GIT=1\n")
    with pytest.raises(SetupError, match="does not set TOOLKIT_VERSION"):
        compare_versions(file, run)


def test_network_of_the_user_is_that_of_every_tool() -> None:
    """Certificates get all names, and metadata services bypass a proxy."""
    changes = find_changes({"SSL_CERT_FILE": "/ca", "HTTPS_PROXY": "http://p", "NO_PROXY": "a"})
    assert changes["GIT_SSL_CAINFO"] == changes["REQUESTS_CA_BUNDLE"] == "/ca"
    assert changes["NO_PROXY"] == "a,169.254.169.254,169.254.170.2,fd00:ec2::254"
    assert find_changes({"HTTPS_PROXY": "http://p", "NO_PROXY": "*"}) == {}


def test_entry_point_prepares_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that does not exist has the exit code of a shell."""
    (tmp_path / "toolkit.env").write_text("AWS_REGION=eu-west-1\n")
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("sys.argv", ["packer-toolkit-entrypoint", "no-such-command"])
    with pytest.raises(SystemExit) as stopped:
        entrypoint.main()
    assert stopped.value.code == 127
    (tmp_path / "toolkit.env").write_text("nonsense\n")
    with pytest.raises(SystemExit) as stopped:
        entrypoint.main()
    assert stopped.value.code == 3
