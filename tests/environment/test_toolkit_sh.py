"""toolkit.sh hands over what a command needs, as it is, and keeps secrets off the command line.

The engine is a stand-in that records how it is called (tests/rig/standins/engine); with a real one
the same paths are walked in test_docker_run.py, test_docker_login.py and test_packer_build.py.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rig.repositories.template import ROOT, git, render
from rig.run.tasks import Tasks, says

pytestmark = pytest.mark.integration

STANDIN = Path(__file__).parents[1] / "rig/standins/engine"
ROLE = "SOL_CET_USER_ROLE"
# What the seed's page tells people to write.
SEEDS_FILE = """\
version: '3'

env:
  # Set your personal role here, if you not set it globally:
  SOL_CET_USER_ROLE: "from-the-file"
"""


@dataclass(frozen=True)
class Call:
    """One call of an engine."""

    engine: str
    arguments: list[str]
    environment: dict[str, str]

    @property
    def is_run(self) -> bool:
        """Whether it starts the container of the command, not one that looks for the agent."""
        return self.arguments[0] == "run" and "--entrypoint" not in self.arguments

    @property
    def command(self) -> list[str]:
        """What runs in the container."""
        return self.arguments[self.arguments.index("toolkit:1") + 1 :]

    def options(self, name: str) -> list[str]:
        """Return the values of an option of `docker run`."""
        end = self.arguments.index("toolkit:1")
        return [self.arguments[n + 1] for n in range(end) if self.arguments[n] == name]


@dataclass
class Recorded:
    """The tasks of a repository, with engines that record how they are called."""

    tasks: Tasks
    record: Path

    def run(self, *words: str, env: dict[str, str] | None = None, folder: str = ".") -> Call:
        """Run a task; return its call of `docker run`."""
        self.forget()
        done = self.tasks.run(*words, env=env, folder=folder)
        assert done.returncode == 0, done.stderr
        (call,) = [call for call in self.calls() if call.is_run]
        return call

    def forget(self) -> None:
        """Begin a new record."""
        shutil.rmtree(self.record, ignore_errors=True)

    def calls(self) -> list[Call]:
        """Return all calls."""
        calls = []
        for folder in sorted(self.record.glob("*"), key=lambda path: int(path.name)):
            environment = (folder / "environment").read_text().split("\0")[:-1]
            calls.append(
                Call(
                    (folder / "engine").read_text(),
                    (folder / "arguments").read_text().split("\0")[:-1],
                    dict(line.split("=", 1) for line in environment),
                )
            )
        return calls


@pytest.fixture
def recorded(repository: Path, tmp_path: Path) -> Recorded:
    """Return tasks with a stand-in for docker, and for podman, which is second."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "podman"):
        (folder / name).symlink_to(STANDIN)
    record = tmp_path / "calls"
    env = {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "ENGINE_RECORD": str(record),
        "TOOLKIT_IMAGE": "toolkit:1",
        ROLE: "none",
    }
    return Recorded(Tasks(repository, env), record)


@contextmanager
def listening(path: Path) -> Iterator[str]:
    """Yield the address of a Unix socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield str(path)


# --- What runs ----------------------------------------------------------------------------------

HARMFUL = [
    *("a b", "it's", '"', "\\", "new\nline", "ünï", "", "%s"),
    *("$HOME", "${x}", "`id`", "$(id)", ";true", "&", "|", ">x", "#", "!"),
    *("*", "~", "{a,b}", "[x]", "-", "--", "a=b"),
]

COMMANDS = {
    "ansible-collection-init": ["packer-toolkit", "collection", "init"],
    "ansible-collection-install": ["packer-toolkit", "collection", "install"],
    "ansible-collection-update": ["packer-toolkit", "collection", "update"],
    "ansible-validate-playbooks": ["packer-toolkit", "check", "--only=ansible"],
    "check": ["packer-toolkit", "check"],
    "create-legacy-packer-deps": ["packer-toolkit", "legacy-deps"],
    "docker-run": [],
    "format": ["packer-toolkit", "format"],
    "packer-build": ["packer-toolkit", "build"],
    "packer-build-local": ["packer-toolkit", "build", "-only=docker.local"],
    "toolkit": ["packer-toolkit"],
}


@pytest.mark.parametrize("task", COMMANDS)
def test_arguments_reach_the_command_unharmed(
    recorded: Recorded, task: str, tmp_path: Path
) -> None:
    """From a folder below the root too, whatever signs they hold."""
    with socket.socket(socket.AF_UNIX) as engine:
        address = tmp_path / "s"
        engine.bind(str(address))
        call = recorded.run(
            task, "--", *HARMFUL, folder="provisioners/ansible", env={"ENGINE_SOCKET": str(address)}
        )
    assert call.command == [*COMMANDS[task], *HARMFUL]
    mount = f'type=bind,"source={recorded.tasks.repository}",target=/workspace'
    assert mount in call.options("--mount")


@pytest.mark.parametrize("task", [task for task in COMMANDS if task != "packer-build-local"])
def test_double_braces_can_be_handed_on(recorded: Recorded, task: str) -> None:
    """Written as the Taskfile and the page say, braces reach the command of a task (review C28)."""
    written = '{{"{{"}}'
    for text in (ROOT / "template/Taskfile.yml", ROOT / "docs/tasks.md"):
        assert written in text.read_text()
    call = recorded.run(task, "--", f"x={written}timestamp}}}}", f"{written}.HOME}}}}")
    assert call.command == [*COMMANDS[task], "x={{timestamp}}", "{{.HOME}}"]


def test_braces_are_evaluated_by_task_alone(recorded: Recorded) -> None:
    """Task evaluates braces, which the page says; launcher and environment do not (review C28)."""
    home = {"HOME": "/home/of-a-developer"}
    assert recorded.run("toolkit", "--", "{{.HOME}}", env=home).command[1:] == [home["HOME"]]
    done = recorded.tasks.run("toolkit", "--", "{{timestamp}}")
    assert 'function "timestamp" not defined' in done.stderr
    page = (ROOT / "docs/tasks.md").read_text()
    assert '| `function "…" not defined` |' in page

    value = "{{timestamp}} {{.HOME}}"
    call = recorded.run("packer-build", env={**home, "PKR_VAR_motd": value})
    assert call.environment["PKR_VAR_motd"] == value
    recorded.forget()
    script = str(recorded.tasks.repository / "toolkit.sh")
    env = {**os.environ, **recorded.tasks.env}
    subprocess.run([script, "packer-toolkit", "build", "-var", value], env=env, check=True)
    assert recorded.calls()[-1].command == ["packer-toolkit", "build", "-var", value]


def test_docker_run_starts_bash(recorded: Recorded) -> None:
    """Unless something else is asked for."""
    assert recorded.run("docker-run").command == ["bash"]


def test_in_the_container_a_task_runs_the_command_itself(recorded: Recorded) -> None:
    """Task is in the image too."""
    inside = {"PACKER_TOOLKIT_VERSION": "1.0.0"}
    done = recorded.tasks.run("docker-run", "--", "printf", "%s|", "a b", "c", env=inside)
    assert (done.returncode, done.stdout) == (0, "a b|c|")
    assert not recorded.record.exists()


def test_without_a_terminal_none_is_asked_for(recorded: Recorded) -> None:
    """CI has none; what is piped in still arrives."""
    arguments = recorded.run("docker-run").arguments
    assert "--interactive" in arguments
    assert "--tty" not in arguments


def test_toolkit_sh_explains_itself(recorded: Recorded) -> None:
    """Without a command it prints how to use it."""
    script = str(recorded.tasks.repository / "toolkit.sh")
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ./toolkit.sh [OPTION]... COMMAND [ARGUMENT]...\n")


@pytest.mark.parametrize("words", [["--help"], ["eu-west-1"]])
def test_a_login_takes_no_arguments(recorded: Recorded, words: list[str]) -> None:
    """What it does not know is not left unheard."""
    done = recorded.tasks.run("docker-login", "--", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ./toolkit.sh ")
    assert not recorded.record.exists()


@pytest.mark.parametrize("engine", ["docker", "podman"])
@pytest.mark.parametrize("chosen", ["on PATH", "in the environment", "in toolkit.env"])
def test_a_container_is_stopped_by_the_engine_that_runs_it(
    recorded: Recorded, tmp_path: Path, engine: str, chosen: str
) -> None:
    """A stop uses the engine that the build used, however that was chosen (review R6)."""
    only = tmp_path / "only"
    only.mkdir()
    for name in {engine, "docker" if chosen != "on PATH" else engine}:
        (only / name).symlink_to(STANDIN)
    env = {**os.environ, **recorded.tasks.env, "PATH": f"{only}:{without_engines(tmp_path)}"}
    if chosen == "in the environment":
        env["CONTAINER_ENGINE"] = engine
    if chosen == "in toolkit.env":
        with (recorded.tasks.repository / "toolkit.env").open("a") as settings:
            settings.write(f"CONTAINER_ENGINE={engine}\n")
    script = str(recorded.tasks.repository / "toolkit.sh")
    subprocess.run([script, "packer-toolkit", "build"], env=env, check=True)
    built = recorded.calls()[-1]
    done = subprocess.run([script, "--stop", "packer-77-1"], env=env, check=False)
    assert done.returncode == 0
    last = recorded.calls()[-1]
    assert (last.engine, last.arguments) == (built.engine, ["stop", "--time=120", "packer-77-1"])
    assert last.engine == engine


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        ("Error response from daemon: No such container: packer-77-1", 0, ""),
        ('Error: no container with name or ID "packer-77-1" found: no such container', 0, ""),
        (
            "Error response from daemon: cannot stop container: permission denied",
            4,
            "toolkit.sh: docker cannot stop packer-77-1 (Error response from daemon: cannot stop"
            " container: permission denied); stop it with: docker kill packer-77-1\n",
        ),
    ],
)
def test_a_container_that_has_ended_needs_no_stop(
    recorded: Recorded, output: str, code: int, message: str
) -> None:
    """A container that is gone is stopped already; another failure is one line (review R6)."""
    script = str(recorded.tasks.repository / "toolkit.sh")
    env = {**os.environ, **recorded.tasks.env, "ENGINE_STOP": output}
    done = subprocess.run(
        [script, "--stop", "packer-77-1"], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, message)


def test_workflows_leave_the_engine_to_the_launcher(recorded: Recorded) -> None:
    """No workflow calls Docker or Podman itself, which a runner may not have (review R6)."""
    files = [*(recorded.tasks.repository / ".github").rglob("*.yml")]
    text = "\n".join(
        line for file in files for line in file.read_text().splitlines() if "#" not in line
    )
    assert "./toolkit.sh --stop " in text
    assert not re.search(r"\b(?:docker|podman|CONTAINER_ENGINE)\b(?!-login)", text)


@pytest.mark.parametrize("words", [[], ["a", "b"], ["--help"]])
def test_a_stop_takes_one_name(recorded: Recorded, words: list[str]) -> None:
    """Without exactly one name the usage is printed (review R6)."""
    script = str(recorded.tasks.repository / "toolkit.sh")
    done = subprocess.run([script, "--stop", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ./toolkit.sh ")


@pytest.mark.parametrize("part", ["toolkit-engine.sh", "toolkit-container.sh"])
def test_a_part_that_is_missing_is_named(recorded: Recorded, part: str) -> None:
    """The line names the missing part of the launcher, and how to restore it (review R6)."""
    (recorded.tasks.repository / part).unlink()
    done = recorded.tasks.run("docker-run")
    assert done.returncode == 3
    assert says(done) == f"toolkit.sh: {part} is missing; restore it with: git checkout {part}"


# --- Secrets, settings, files -------------------------------------------------------------------

SECRET = "no-eyes-but-the-container's"  # noqa: S105 - opens nothing
PASSED = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "HTTPS_PROXY",
          "PKR_VAR_password", "PACKER_LOG", "ANSIBLE_GALAXY_SERVER_TOKEN", ROLE]  # fmt: skip
KEPT = ["GITHUB_ENV", "GITHUB_PATH", "PACKER_PLUGIN_PATH", "PACKER_CACHE_DIR", "SSH_AUTH_SOCK",
        "MY_SECRET", "DOCKER_CONFIG"]  # fmt: skip


def test_values_go_by_name_and_never_on_a_command_line(recorded: Recorded) -> None:
    """Everybody on a machine can read the command lines of its processes."""
    call = recorded.run("check", env=dict.fromkeys([*PASSED, *KEPT], SECRET))
    for each in recorded.calls():
        assert SECRET not in "\0".join(each.arguments)
    names = call.options("--env")
    assert set(PASSED) <= set(names)
    assert not set(KEPT) & set(names)
    environment = call.environment
    assert all(environment[name] == SECRET for name in PASSED)


@pytest.mark.parametrize("command", ["template-check", "template-update", "template-pr"])
def test_updates_get_no_access(recorded: Recorded, tmp_path: Path, command: str) -> None:
    """The container of an update has no credentials; template-pr has its token (review C3)."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").touch()
    env = {**dict.fromkeys(PASSED, SECRET), "AWS_CONFIG_FILE": str(home / ".aws" / "config")}
    call = recorded.run("toolkit", "--", command, env={**env, "HOME": str(home)})
    tokens = {"GITHUB_TOKEN", "GH_TOKEN"} if command == "template-pr" else set()
    names = set(call.options("--env"))
    assert {*PASSED, "AWS_CONFIG_FILE"} & names == {"HTTPS_PROXY", *tokens}
    assert {"AWS_REGION", "AWS_ACCOUNT_ID"} <= names
    assert ".aws" not in "".join(call.options("--mount"))


def test_settings_of_the_repository_are_known_inside(recorded: Recorded) -> None:
    """What toolkit.env says and the environment does not; a variable that is set wins."""
    call = recorded.run("check", env={"AWS_REGION": "us-east-1"})
    environment = call.environment
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_ACCOUNT_ID"] == "111122223333"
    assert {"AWS_REGION", "AWS_ACCOUNT_ID", "PERSONAL_ROLE_VARIABLE"} <= set(call.options("--env"))


def test_files_of_aws_and_of_the_runner_are_there(recorded: Recorded, tmp_path: Path) -> None:
    """~/.aws, and what variables name, at the same path; each once."""
    home = tmp_path / "home, of: me"
    (home / ".aws").mkdir(parents=True)
    for name in ("config", "token", "summary", "event.json"):
        (tmp_path / name).touch()
    env = {
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "REQUESTS_CA_BUNDLE": str(tmp_path / "token"),
        "SSL_CERT_FILE": "",
    }
    mounts = recorded.run("check", env=env).options("--mount")
    path = str(tmp_path)
    assert mounts[1:] == [
        f'type=bind,"source={home}/.aws",target=/home/packer/.aws',
        f"type=bind,source={path}/config,target={path}/config,readonly",
        f"type=bind,source={path}/token,target={path}/token,readonly",
        f"type=bind,source={path}/event.json,target={path}/event.json,readonly",
        f"type=bind,source={path}/summary,target={path}/summary",
    ]


def test_certificates_of_git_and_aws_are_there(recorded: Recorded, tmp_path: Path) -> None:
    """A bundle with a private certificate authority is mounted for each tool (report 2)."""
    names = ("AWS_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    for name in names:
        (tmp_path / name).touch()
    call = recorded.run("check", env={name: str(tmp_path / name) for name in names})
    assert set(names) <= set(call.options("--env"))
    for name in names:
        path = tmp_path / name
        assert f"type=bind,source={path},target={path},readonly" in call.options("--mount")


PROXIES = {
    "HTTPS_PROXY": "http://me:secret@127.0.0.1:3128",
    "http_proxy": "localhost:3128/",
    "all_proxy": "socks5h://[::1]:1080",
}


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_of_this_machine_is_reached_from_the_container(
    recorded: Recorded, name: str
) -> None:
    """On Linux the container shares the network in which the proxy listens (report 2)."""
    call = recorded.run("check", env={name: PROXIES[name]})
    assert call.options("--network") == ["host"]
    assert call.environment[name] == PROXIES[name]
    assert name in call.options("--env")
    assert PROXIES[name] not in "\0".join(call.arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "http://me:secret@host.docker.internal:3128"),
        ("http_proxy", "host.docker.internal:3128/"),
        ("all_proxy", "socks5h://host.docker.internal:1080"),
    ],
)
@pytest.mark.parametrize(
    "env", [{"OSTYPE": "darwin24"}, {"ENGINE_INFO": "[name=seccomp] Docker Desktop"}], ids=str
)
def test_a_virtual_machine_reaches_a_proxy_by_name(
    recorded: Recorded, env: dict[str, str], name: str, value: str
) -> None:
    """Where the engine is in a virtual machine, the proxy has the name of its host (report 2)."""
    call = recorded.run("check", env={**env, name: PROXIES[name]})
    assert call.options("--network") == []
    assert call.environment[name] == value


@pytest.mark.parametrize(
    "env",
    [
        {"HTTPS_PROXY": "http://proxy.corp:3128"},
        {"HTTPS_PROXY": "http://127.0.0.1@proxy.corp:3128"},
        {"HTTPS_PROXY": ""},
        {"HTTPS_PROXY": PROXIES["HTTPS_PROXY"], "TOOLKIT_DOCKER_ARGS": "--network=lan"},
        {"HTTPS_PROXY": PROXIES["HTTPS_PROXY"], "TOOLKIT_DOCKER_ARGS": "--rm --net lan"},
    ],
)
def test_other_proxies_and_networks_stay(recorded: Recorded, env: dict[str, str]) -> None:
    """A proxy of another machine, and a network that was chosen, change nothing (report 2)."""
    call = recorded.run("check", env=env)
    assert "host" not in call.options("--network")
    assert call.environment["HTTPS_PROXY"] == env["HTTPS_PROXY"]


def test_commit_of_the_repository_around_is_passed(recorded: Recorded, tmp_path: Path) -> None:
    """The container of a project below a folder of a repository knows the commit (field 36)."""
    top = tmp_path / "top"
    shutil.copytree(
        recorded.tasks.repository, top / "web", ignore=shutil.ignore_patterns(".git"), symlinks=True
    )
    below = Recorded(Tasks(top / "web", recorded.tasks.env), recorded.record)
    assert "PKR_VAR_git_commit" not in below.run("check").options("--env")
    git(top, "init", "--quiet")
    git(top, "commit", "--quiet", "--allow-empty", "-m", "Ours")
    head = git(top, "rev-parse", "HEAD")
    assert below.run("check").environment["PKR_VAR_git_commit"] == head
    given = {"PKR_VAR_git_commit": "0123abc"}
    assert below.run("check", env=given).environment["PKR_VAR_git_commit"] == "0123abc"
    assert "PKR_VAR_git_commit" not in recorded.run("check").options("--env")


def test_git_works_in_a_linked_worktree(recorded: Recorded, tmp_path: Path) -> None:
    """Its files lie in the main worktree, at an absolute path."""
    main = recorded.tasks.repository
    git(main, "commit", "--quiet", "--all", "-m", "Without scripts and roles")
    git(main, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    linked = Recorded(Tasks(tmp_path / "linked", recorded.tasks.env), recorded.record)
    mounts = linked.run("check").options("--mount")
    assert mounts[1] == f'type=bind,"source={main}/.git","target={main}/.git"'


def test_git_works_in_a_worktree_with_relative_paths(recorded: Recorded, tmp_path: Path) -> None:
    """The main worktree's files are where the relative path leads from /workspace (review R13)."""
    main = recorded.tasks.repository
    git(main, "commit", "--quiet", "--all", "-m", "Without scripts and roles")
    git(main, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    pointer = tmp_path / "linked" / ".git"
    absolute = pointer.read_text().removeprefix("gitdir: ").strip()
    relative = os.path.relpath(absolute, tmp_path / "linked")
    pointer.write_text(f"gitdir: {relative}\n")
    linked = Recorded(Tasks(tmp_path / "linked", recorded.tasks.env), recorded.record)
    mounts = linked.run("check").options("--mount")
    inside = os.path.normpath(f"/workspace/{relative}/../..")
    assert mounts[1] == f'type=bind,"source={main}/.git","target={inside}"'


def test_the_agent_of_ssh_is_for_collections_and_shells(recorded: Recorded, tmp_path: Path) -> None:
    """A build has its own key; an agent full of others would make SSH give up."""
    agent = f"type=bind,source={tmp_path}/agent,target=/run/ssh-agent.sock"
    with listening(tmp_path / "agent") as address:
        for task in COMMANDS:
            if task != "packer-build-local":
                call = recorded.run(task, env={"SSH_AUTH_SOCK": address})
                has_it = agent in call.options("--mount")
                assert has_it == (
                    task
                    in {"docker-run", "ansible-collection-install", "ansible-collection-update"}
                ), task


# --- Whose files, whose engine ------------------------------------------------------------------


def test_the_container_runs_as_the_owner_of_the_repository(recorded: Recorded) -> None:
    """With the image's group 0 for what is in the image."""
    os.chown(recorded.tasks.repository, 12345, 54321)
    call = recorded.run("docker-run")
    assert call.options("--user") == ["12345:54321"]
    assert call.options("--group-add") == ["0"]


@pytest.mark.parametrize(
    ("engine", "rootless", "expected"),
    [
        ("docker", "", {"--user": ["12345:54321"], "--userns": []}),
        ("docker", "1", {"--user": ["0:0"], "--userns": []}),
        ("podman", "", {"--user": ["12345:54321"], "--userns": []}),
        ("podman", "1", {"--user": [], "--userns": ["keep-id"]}),
    ],
)
def test_docker_and_podman_with_and_without_root(
    recorded: Recorded, engine: str, rootless: str, expected: dict[str, list[str]]
) -> None:
    """Each has its own way to make files the person's. Podman is chosen by CONTAINER_ENGINE."""
    os.chown(recorded.tasks.repository, 12345, 54321)
    env = {"CONTAINER_ENGINE": engine, "ENGINE_ROOTLESS": rootless}
    call = recorded.run("docker-run", env=env)
    assert call.engine == engine
    assert {name: call.options(name) for name in expected} == expected
    assert ("label=disable" in call.options("--security-opt")) == (engine == "podman")


def test_selinux_may_not_refuse_the_mounts(recorded: Recorded) -> None:
    """The label goes by what the engine answers, also where it is Docker (field 18)."""
    call = recorded.run("check", env={"ENGINE_INFO": "[name=seccomp name=selinux] Fedora"})
    assert call.engine == "docker"
    assert "label=disable" in call.options("--security-opt")


MACOS = {"OSTYPE": "darwin24"}


@pytest.mark.parametrize(
    ("engine", "info", "agent", "reached"),
    [
        ("docker", "[name=seccomp] Docker Desktop", "", True),
        ("docker", "[name=seccomp] OrbStack", "", True),
        ("docker", "[name=seccomp] Ubuntu 24.04 LTS", "1", True),  # Colima with its agent
        ("docker", "[name=seccomp] Ubuntu 24.04 LTS", "", False),  # without
        ("docker", "[name=seccomp] Alpine Linux v3.20", "", False),  # Rancher Desktop
        ("docker", "", "", False),
        ("podman", "", "", False),
        ("podman", "", "1", True),
    ],
)
def test_the_agent_on_macos_is_mounted_where_the_engine_has_it(
    recorded: Recorded, tmp_path: Path, engine: str, info: str, agent: str, reached: bool
) -> None:
    """An engine without the agent's socket starts without it, and one line says so (field 20)."""
    env = {**MACOS, "ENGINE_INFO": info, "ENGINE_AGENT": agent, "CONTAINER_ENGINE": engine}
    with listening(tmp_path / "agent") as address:
        for task in ("docker-run", "ansible-collection-install", "ansible-collection-update"):
            recorded.forget()
            done = recorded.tasks.run(task, env={**env, "SSH_AUTH_SOCK": address})
            assert done.returncode == 0, done.stderr
            (call,) = [call for call in recorded.calls() if call.is_run]
            mount = "type=bind,source=/run/host-services/ssh-auth.sock,target=/run/ssh-agent.sock"
            assert (mount in call.options("--mount")) == reached
            assert address not in "".join(call.options("--mount"))
            assert ("SSH_AUTH_SOCK=/run/ssh-agent.sock" in call.options("--env")) == reached
            assert len(says(done).splitlines()) == (0 if reached else 1)
            assert ("the SSH agent cannot be reached" in done.stderr) == (not reached)


@pytest.mark.parametrize("agent", ["gone", "file"])
def test_an_agent_that_has_ended_stops_nothing(
    recorded: Recorded, tmp_path: Path, agent: str
) -> None:
    """A task starts with a variable from an earlier session, such as tmux's, too (field 20)."""
    (tmp_path / "file").touch()
    address = str(tmp_path / agent)
    done = recorded.tasks.run("docker-run", env={"SSH_AUTH_SOCK": address})
    assert done.returncode == 0, done.stderr
    (call,) = [call for call in recorded.calls() if call.is_run]
    assert address not in "".join(call.arguments)
    assert says(done).startswith(f"toolkit.sh: the SSH agent cannot be reached ({address});")


@pytest.mark.parametrize("system", ["darwin24", "linux-gnu"])
def test_packers_folder_is_one_that_the_engine_has(
    recorded: Recorded, tmp_path: Path, system: str
) -> None:
    """Packer's temporary folder is below the repository, which engines can mount (field 20)."""
    plain = tmp_path / "plain"
    recorded.tasks.repository.rename(plain)
    tasks = Recorded(Tasks(plain, recorded.tasks.env), recorded.record)
    with listening(tmp_path / "s") as address:
        env = {"OSTYPE": system, "TMPDIR": "/var/folders/xy/T/", "ENGINE_SOCKET": address}
        call = tasks.run("packer-build-local", env=env)
    folder = f"{plain}/.packer-tmp"
    assert f"type=bind,source={folder},target={folder}" in call.options("--mount")
    assert f"PACKER_TMP_DIR={folder}" in call.options("--env")
    assert (plain / ".packer-tmp").stat().st_mode & 0o7777 == 0o1777
    assert ".packer-tmp" not in git(plain, "status", "--porcelain")


def test_packers_folder_is_not_a_link(recorded: Recorded, tmp_path: Path) -> None:
    """A link that a branch has in its place opens no folder of this machine (field 20)."""
    plain, private = tmp_path / "plain", tmp_path / "private"
    recorded.tasks.repository.rename(plain)
    private.mkdir(mode=0o700)
    (plain / ".packer-tmp").symlink_to(private)
    with listening(tmp_path / "s") as address:
        done = Tasks(plain, recorded.tasks.env).run(
            "packer-build-local", env={"OSTYPE": "linux-gnu", "ENGINE_SOCKET": address}
        )
    assert done.returncode == 3
    assert (
        says(done) == f"toolkit.sh: {plain}/.packer-tmp is or contains a symbolic link; remove it"
    )
    assert (list(private.iterdir()), private.stat().st_mode & 0o777) == ([], 0o700)


def test_packers_folder_on_macos_is_never_tmpdir(recorded: Recorded, tmp_path: Path) -> None:
    """Where the repository's path has a colon, the folder is below the home (field 20)."""
    env = {**MACOS, "TMPDIR": "/var/folders/xy/T/", "HOME": str(tmp_path)}
    call = recorded.run("packer-build-local", env=env)
    folder = f"{tmp_path}/.cache/packer-toolkit/tmp"
    assert f"type=bind,source={folder},target={folder}" in call.options("--mount")
    assert f"PACKER_TMP_DIR={folder}" in call.options("--env")


@pytest.mark.parametrize("shell", ["msys", "msys2", "cygwin"])
@pytest.mark.parametrize("task", ["docker-run", "docker-login", "packer-build", "check"])
def test_git_bash_is_refused_in_one_line(recorded: Recorded, shell: str, task: str) -> None:
    """A shell that rewrites the paths of mounts is refused before anything starts (field 37)."""
    done = recorded.tasks.run(task, env={"OSTYPE": shell})
    assert done.returncode == 3
    assert says(done) == (
        "toolkit.sh: Git Bash and Cygwin rewrite the paths of mounts; run this in WSL:"
        " wsl ./toolkit.sh"
    )
    assert not recorded.record.exists()


@pytest.mark.parametrize(
    "env",
    [
        {"DOCKER_HOST": "unix:///tmp/x.sock"},
        {"DOCKER_HOST": "tcp://localhost:2375"},
        {"DOCKER_HOST": "tcp://127.0.0.1:2375"},
        {"DOCKER_HOST": "tcp://[::1]:2375"},
        {"DOCKER_HOST": "ssh://me@localhost"},
        {"DOCKER_HOST": "tcp://build.example.com:2376", "TOOLKIT_REMOTE_ENGINE": "true"},
        {"ENGINE_HOST": "unix:///Users/me/.colima/default/docker.sock"},
        {"CONTAINER_ENGINE": "podman", "DOCKER_HOST": "ssh://build.example.com"},
        {"CONTAINER_ENGINE": "podman", "CONTAINER_HOST": "unix:///tmp/x.sock"},
        {
            "CONTAINER_ENGINE": "podman",
            "ENGINE_INFO": "name=remote",
            "ENGINE_CONNECTIONS": "far false ssh://core@build.example.com:22/run/podman.sock\n"
            "machine true ssh://core@127.0.0.1:50505/run/user/501/podman/podman.sock",
        },
    ],
)
def test_an_engine_of_this_machine_is_taken_by_any_address(
    recorded: Recorded, env: dict[str, str]
) -> None:
    """Addresses of this machine are accepted, and others where that was allowed (field 38)."""
    assert recorded.run("check", env=env)


FAR = "ssh://core@build.example.com:22/run/podman/podman.sock"


@pytest.mark.parametrize(
    ("env", "address"),
    [
        ({"DOCKER_HOST": "ssh://me@build.example.com"}, "ssh://me@build.example.com"),
        ({"DOCKER_HOST": "tcp://10.0.0.5:2376"}, "tcp://10.0.0.5:2376"),
        ({"DOCKER_HOST": "tcp://docker:2375"}, "tcp://docker:2375"),
        ({"DOCKER_HOST": "https://build.example.com"}, "https://build.example.com"),
        ({"DOCKER_HOST": "tcp://localhost.example.com:1"}, "tcp://localhost.example.com:1"),
        ({"ENGINE_HOST": "ssh://build.example.com"}, "ssh://build.example.com"),
        ({"ENGINE_HOST": "tcp://[2001:db8::1]:2376"}, "tcp://[2001:db8::1]:2376"),
        (
            {
                "CONTAINER_ENGINE": "podman",
                "ENGINE_INFO": "name=remote",
                "CONTAINER_HOST": "ssh://core@build.example.com/run/podman/podman.sock",
            },
            "ssh://core@build.example.com/run/podman/podman.sock",
        ),
        (
            {
                "CONTAINER_ENGINE": "podman",
                "ENGINE_INFO": "name=remote",
                "ENGINE_CONNECTIONS": f"near false unix:///run/podman.sock\nfar true {FAR}",
            },
            FAR,
        ),
        (
            {
                "CONTAINER_ENGINE": "podman",
                "ENGINE_INFO": "name=remote",
                "CONTAINER_CONNECTION": "far",
                "ENGINE_CONNECTIONS": f"near true unix:///run/podman.sock\nfar false {FAR}",
            },
            FAR,
        ),
    ],
)
def test_an_engine_of_another_machine_is_refused(
    recorded: Recorded, env: dict[str, str], address: str
) -> None:
    """Whatever names the engine of another machine, no task starts there (field 38)."""
    for task in ("docker-run", "check", "packer-build", "packer-build-local"):
        recorded.forget()
        done = recorded.tasks.run(task, env=env)
        assert done.returncode == 3, done.stderr
        assert f"the engine is on another machine ({address}), so it cannot mount" in says(done)
        assert "unset DOCKER_HOST and CONTAINER_HOST, or: docker context use default" in says(done)
        assert len(says(done).splitlines()) == 1
        assert {call.arguments[0] for call in recorded.calls()} <= {
            *("--version", "info", "context", "system")
        }


def test_cdpath_leads_nowhere_else(recorded: Recorded, tmp_path: Path) -> None:
    """The launchers go to their own folder, whatever CDPATH says (review R23)."""
    (tmp_path / "elsewhere" / "sub").mkdir(parents=True)
    call = recorded.run("check", env={"CDPATH": str(tmp_path / "elsewhere")})
    assert call.options("--mount")[0].endswith(",target=/workspace")


def test_podman_is_taken_where_docker_is_not(recorded: Recorded, tmp_path: Path) -> None:
    """Nobody has to say which engine there is."""
    only = tmp_path / "only"
    only.mkdir()
    (only / "podman").symlink_to(STANDIN)
    path = without_engines(tmp_path)
    call = recorded.run("docker-run", env={"PATH": f"{only}{os.pathsep}{path}"})
    assert call.engine == "podman"


def test_only_a_local_build_gets_the_engine(recorded: Recorded, tmp_path: Path) -> None:
    """Its socket is as good as root on the machine."""
    with socket.socket(socket.AF_UNIX) as engine:
        address = str(tmp_path / "s")
        engine.bind(address)
        env = {"DOCKER_HOST": f"unix://{address}", "TMPDIR": str(tmp_path)}
        for task in COMMANDS:
            call = recorded.run(task, env=env)
            mounts = call.options("--mount")
            folder = f"{tmp_path}/packer-toolkit-{os.getuid()}"
            given = f"type=bind,source={address},target=/var/run/docker.sock" in mounts
            assert given == (task == "packer-build-local"), task
            if given:
                assert f"type=bind,source={folder},target={folder}" in mounts
                assert f"PACKER_TMP_DIR={folder}" in call.options("--env")
                assert call.options("--group-add") == ["0", str(os.stat(address).st_gid)]


# --- The personal role --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "file", "expected"),
    [
        ("from-the-shell", SEEDS_FILE, "from-the-shell"),
        ("from-the-shell", None, "from-the-shell"),
        (None, SEEDS_FILE, "from-the-file"),
        ("", SEEDS_FILE, ""),
        ("none", None, ""),
        (None, SEEDS_FILE.replace("from-the-file", "none"), ""),
    ],
)
def test_where_the_role_comes_from(
    recorded: Recorded, environment: str | None, file: str | None, expected: str
) -> None:
    """The environment wins over Taskfile.local.yml, which wins over nothing; none means none."""
    if file:
        (recorded.tasks.repository / "Taskfile.local.yml").write_text(file)
    del recorded.tasks.env[ROLE]
    env = {} if environment is None else {ROLE: environment}
    call = recorded.run("packer-build", env=env)
    assert ROLE in call.options("--env")
    assert call.environment[ROLE] == expected


NEED_A_ROLE = {"packer-build", "create-legacy-packer-deps"}


@pytest.mark.parametrize("file", [None, SEEDS_FILE.replace("from-the-file", "AddYourRoleHere")])
def test_without_a_role_it_is_said_which_lines_go_where(
    recorded: Recorded, file: str | None
) -> None:
    """By what needs one; docker-run tells, and goes on. The lines are those of the example."""
    if file:
        (recorded.tasks.repository / "Taskfile.local.yml").write_text(file)
    del recorded.tasks.env[ROLE]
    lines = "version: '3'\n\nenv:\n  SOL_CET_USER_ROLE: \"AddYourRoleHere\""
    for task in ("packer-build", "create-legacy-packer-deps", "docker-run", "check"):
        recorded.forget()
        done = recorded.tasks.run(task)
        assert done.returncode == (3 if task in NEED_A_ROLE else 0), done.stderr
        assert recorded.record.exists() == (task not in NEED_A_ROLE)
        if task != "check":
            assert "add these lines to Taskfile.local.yml" in says(done)
            assert says(done).endswith(lines)
        else:
            assert says(done) == ""
    # What is to be pasted is what the example holds, and Task can read it.
    example = (recorded.tasks.repository / "Taskfile.local.yml.example").read_text()
    kept = [line for line in example.splitlines() if not re.match(r"\s*#|---", line)]
    assert "\n".join(kept) == lines


def test_github_needs_no_personal_role(recorded: Recorded) -> None:
    """There the workflow has its own."""
    del recorded.tasks.env[ROLE]
    recorded.run("packer-build", env={"GITHUB_ACTIONS": "true"})


# --- What is missing ----------------------------------------------------------------------------


def without_engines(tmp_path: Path) -> str:
    """Return a PATH with everything that the tasks need but engines, the AWS CLI and uv."""
    folder = tmp_path / "path"
    folder.mkdir(exist_ok=True)
    for name in (
        "bash",
        "sh",
        "awk",
        "sed",
        "ls",
        "dirname",
        "env",
        "cat",
        "mkdir",
        "chmod",
        "task",
    ):
        target = shutil.which(name)
        assert target
        if not (folder / name).exists():
            (folder / name).symlink_to(target)
    return str(folder)


Change = Callable[[Recorded, Path], dict[str, str]]


def no_engine(recorded: Recorded, tmp_path: Path) -> dict[str, str]:
    """Leave neither docker nor podman on PATH."""
    return {"PATH": without_engines(tmp_path)}


def no_aws(recorded: Recorded, tmp_path: Path) -> dict[str, str]:
    """Leave an engine, but no AWS CLI."""
    path = f"{recorded.record.parent / 'bin'}{os.pathsep}{without_engines(tmp_path)}"
    image = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/packer-toolkit:1"
    return {"PATH": path, "TOOLKIT_IMAGE": image}


MISSING: dict[str, tuple[str, Change, int, str]] = {
    "no engine": ("docker-run", no_engine, 3, "neither docker nor podman is on PATH; install"),
    "another engine": (
        "docker-run",
        lambda _, __: {"CONTAINER_ENGINE": "nerdctl"},
        3,
        "CONTAINER_ENGINE is nerdctl, which is not on PATH; unset the variable, or install",
    ),
    "not in the group docker": (
        "docker-run",
        lambda _, __: {"ENGINE_ERROR": "permission denied while trying to connect to the socket"},
        3,
        "you have no permission to use docker (permission denied while trying to connect to the "
        "socket)",
    ),
    "no settings": (
        "docker-run",
        lambda recorded, _: [(recorded.tasks.repository / "toolkit.env").unlink(), {}][1],  # type: ignore[func-returns-value]
        3,
        "toolkit.env is missing; restore it with: git checkout toolkit.env",
    ),
    "no AWS CLI": ("docker-login", no_aws, 3, "the AWS CLI is missing; install it: https://"),
    "not ECR": (
        "docker-login",
        lambda _, __: {"TOOLKIT_IMAGE": "ghcr.io/acme/packer-toolkit:1"},
        3,
        "ghcr.io is not an ECR registry; log in as its documentation describes, with: docker login "
        "ghcr.io",
    ),
    "no registry": (
        "docker-login",
        lambda _, __: {"TOOLKIT_IMAGE": "acme/packer-toolkit:1"},
        3,
        "the image acme/packer-toolkit:1 has no registry to log in to",
    ),
    "an engine elsewhere": (
        "packer-build-local",
        lambda _, __: {"DOCKER_HOST": "ssh://somewhere"},
        3,
        "the engine is on another machine (ssh://somewhere), so it cannot mount this folder",
    ),
    "a name that bash would execute": (
        "docker-run",
        lambda _, tmp: {"PERSONAL_ROLE_VARIABLE": f"x[$(touch {tmp}/executed)]"},
        3,
        "PERSONAL_ROLE_VARIABLE must be the name of a variable; correct it in toolkit.env",
    ),
    "no socket": (
        "packer-build-local",
        lambda _, tmp: {"CONTAINER_ENGINE": "podman", "ENGINE_SOCKET": f"{tmp}/none"},
        3,
        "systemctl --user start podman.socket",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_is_said_in_one_line(recorded: Recorded, tmp_path: Path, case: str) -> None:
    """With the fix, before anything starts."""
    task, change, code, said = MISSING[case]
    done = recorded.tasks.run(task, env=change(recorded, tmp_path))
    assert done.returncode == code, done.stderr
    assert said in says(done)
    assert len(says(done).splitlines()) == 1
    assert not [call for call in recorded.calls() if call.is_run]
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "value", ["x[$(touch executed)]", "x[`touch executed`]", "A;touch executed", "1A", "A-B", ""]
)
def test_no_value_of_toolkit_env_is_executed(recorded: Recorded, value: str) -> None:
    """A value that is not a variable's name is refused and never evaluated (review C24)."""
    file = recorded.tasks.repository / "toolkit.env"
    file.write_text(
        re.sub("(?<=^PERSONAL_ROLE_VARIABLE=).*", lambda _: value, file.read_text(), flags=re.M)
    )
    done = recorded.tasks.run("packer-build")
    assert done.returncode != 0
    assert "PERSONAL_ROLE_VARIABLE" in done.stderr
    assert not [*recorded.tasks.repository.rglob("executed")]


def test_a_daemon_that_does_not_answer_is_told(recorded: Recorded, tmp_path: Path) -> None:
    """By the real client."""
    docker = shutil.which("docker", path=os.environ["PATH"])
    if docker is None:
        pytest.skip("docker is not installed")
    env = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "CONTAINER_ENGINE": docker}
    for task in ("docker-run", "docker-login", "packer-build"):
        done = recorded.tasks.run(task, env=env)
        assert done.returncode == 3
        assert "docker cannot be reached (Cannot connect to the Docker daemon" in says(done) or (
            "docker cannot be reached (failed to connect to the docker API" in says(done)
        ), done.stderr
        assert len(says(done).splitlines()) == 1


def test_settings_that_are_gone_are_named(recorded: Recorded) -> None:
    """Somebody emptied toolkit.env."""
    file = recorded.tasks.repository / "toolkit.env"
    file.write_text(file.read_text().replace("PERSONAL_ROLE_VARIABLE=SOL", "#"))
    done = recorded.tasks.run("docker-run")
    assert done.returncode != 0
    assert "PERSONAL_ROLE_VARIABLE: is missing in toolkit.env" in done.stderr


# --- The script itself --------------------------------------------------------------------------

NOT_IN_BASH_3_2 = {
    "mapfile": r"\b(?:mapfile|readarray)\b",
    "associative array": r"\b(?:declare|local|typeset) -A",
    "name reference": r"\b(?:declare|local|typeset) -n",
    "case of letters": r"\$\{[^}]*(?:\^\^?|,,?)\}",
    "@Q and the like": r"\$\{[^}]*@[A-Za-z]\}",
    "&>>": r"&>>|\|&",
    "-v of test": r"\[\[ -v ",
    "negative length": r"\$\{\w+:\d*:-",
    "coproc": r"\bcoproc\b",
    "printf of time": r"%\(",
    "wait -n": r"\bwait -n",
}
NOT_ON_MACOS = {
    "readlink": r"\breadlink\b",
    "realpath": r"\brealpath\b",
    "stat": r"\bstat -c",
    "sed in place": r"\bsed -i",
    "GNU's long options": r"\b(?:ls|sed|awk|id|mkdir|chmod|cat|dirname) --\w",
    "\\+ in sed": r"\bsed [^|]*\\\+",
}


SCRIPTS = sorted(path.name for path in (ROOT / "template").glob("toolkit*.sh"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_is_written_for_macos_too(repository: Path, script: str) -> None:
    """Its bash is 3.2, its tools are BSD's: found by reading, because neither is here."""
    lines = (repository / script).read_text().splitlines()
    code = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    code = re.sub(r"fail \d? ?\"[^\"]*\"", "", code)
    assert code.count("\n") > 40
    for what, pattern in {**NOT_IN_BASH_3_2, **NOT_ON_MACOS}.items():
        assert not re.search(pattern, code), what
    # An empty array is an unknown variable there.
    names = set(re.findall(r"(\w+)=\(\)", code)) - {"arguments", "passed"}
    for name in names:
        assert not re.search(rf'(?<!\+)"\$\{{{name}\[@\]\}}"', code), name


def test_line_ends_stay_those_of_unix(template: Path, tmp_path: Path) -> None:
    """A script whose lines end with a carriage return does not start."""
    config = tmp_path / "gitconfig"
    config.write_text(f"[include]\npath={os.environ['GIT_CONFIG_GLOBAL']}\n[core]\nautocrlf=true\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        repository = render(template, tmp_path / "packer-ami-crlf")
        assert git(repository, "config", "core.autocrlf") == "true"
        (repository / "toolkit.sh").unlink()
        git(repository, "checkout", "toolkit.sh")
    for path in [repository / "toolkit.sh", *repository.rglob("*.hcl")]:
        assert b"\r" not in path.read_bytes()
