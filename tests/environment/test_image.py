"""The packer-toolkit image works for everybody, and holds what versions.env says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.docker.engine import DockerEngine
from rig.docker.toolkit_image import versions

# As toolkit.sh of a rendered repository runs it.
USERS = {
    "as it is": [],
    "a user that the image does not know": ["--user=1234"],
    "with a group of its own": ["--user=4321:4321", "--group-add=0"],
    "a service's user": ["--user=112:65534", "--group-add=0"],
    "root's repository": ["--user=0:0"],
}
MEGABYTE = 1_000_000
README = Path(__file__).parents[2] / "toolkit" / "README.md"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """Return a git repository; a test gives it to somebody."""
    root = tmp_path / "repö with spaces"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", root], check=True)
    for command in (["add", "."], ["commit", "--quiet", "--allow-empty", "--message=x"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    yield root
    shutil.rmtree(root)  # as root, whoever owns it


def give(folder: Path, uid: int) -> None:
    """Make a user the owner of a folder and everything in it."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, uid, uid)


def run(engine: DockerEngine, image: str, *options: str, script: str) -> str:
    """Run a script in the image, through its entry point; return its standard output."""
    return engine.docker(
        "run", "--rm", "--network=host", *options, image, "bash", "-euc", script
    ).stdout


@pytest.mark.parametrize("user", USERS)
def test_every_tool_works_for_any_user(
    docker_engine: DockerEngine, toolkit_image: str, user: str
) -> None:
    """Ssh and Ansible refuse a uid that has no name, git and Packer one without a home."""
    script = """
        whoami
        ssh -G host | grep -q '^hostname host$'
        ansible localhost -m ansible.builtin.ping
        git config --global user.name Me
        touch "$HOME/file" && rm "$HOME/file"
        packer plugins installed >/dev/null
    """
    shown = run(docker_engine, toolkit_image, *USERS[user], script=script)
    assert "pong" in shown
    assert shown.splitlines()[0] in {"packer", "root", "user1234", "user4321", "user112"}


@pytest.mark.parametrize("uid", [1234, 4321])
def test_what_is_written_belongs_to_the_owner_of_the_repository(
    docker_engine: DockerEngine, toolkit_image: str, repository: Path, uid: int
) -> None:
    """And git works there, although the image's own user is another one."""
    give(repository, uid)
    script = """
        touch made && mkdir folder && touch folder/made
        git status --porcelain
        git -c user.name=Me -c user.email=me@example.com commit --quiet --allow-empty --message=y
        git log --format=%s
    """
    shown = run(
        docker_engine, toolkit_image, f"--user={uid}:{uid}", "--group-add=0",
        "--mount", f"type=bind,source={repository},target=/workspace", script=script,
    )  # fmt: skip
    assert shown.splitlines() == ["?? folder/", "?? made", "y", "x"]
    owners = {path.stat().st_uid for path in repository.rglob("*")}
    assert owners == {uid}


def test_a_repository_that_may_not_be_read_is_told(
    docker_engine: DockerEngine, toolkit_image: str, repository: Path
) -> None:
    """Somebody else's, run without --user."""
    give(repository, 1234)
    repository.chmod(0o700)
    done = docker_engine.docker(
        "run", "--rm", "--mount", f"type=bind,source={repository},target=/workspace",
        toolkit_image, "true", check=False,
    )  # fmt: skip
    assert done.code == 3
    assert done.stderr.splitlines()[-1] == (
        "packer-toolkit: uid 1000 may not read /workspace; run as its owner, in a container with"
        " --user"
    )


def test_where_nothing_can_be_written_it_says_so(
    docker_engine: DockerEngine, toolkit_image: str
) -> None:
    """A container with a file system that is read only needs a folder of its own."""
    command = ["run", "--rm", "--read-only", "--env=SOL_CET_USER_ROLE=builder"]
    settings = ["--env=AWS_ACCOUNT_ID=111122223333", toolkit_image, "true"]
    done = docker_engine.docker(*command, *settings, check=False)
    assert done.code == 3
    assert "add --tmpfs=/tmp to docker run" in done.stderr
    assert "Traceback" not in done.stderr
    docker_engine.docker(*command, "--tmpfs=/tmp", *settings)


def test_nothing_runs_as_root_or_can_become_it(
    docker_engine: DockerEngine, toolkit_image: str
) -> None:
    """No program has another user's rights, so that a writable /etc/passwd gives none away."""
    config = json.loads(docker_engine.docker("image", "inspect", toolkit_image).stdout)[0]["Config"]
    assert config["User"] == "1000:0"
    script = "find / -xdev -perm /6000 -type f 2>/dev/null || true"
    assert run(docker_engine, toolkit_image, "--user=0:0", script=script) == ""
    writable = run(
        docker_engine, toolkit_image, "--user=1234:1234",
        script="find / -xdev -writable -type f -not -path '/proc/*' 2>/dev/null || true",
    )  # fmt: skip
    assert writable == "", "without group 0, nothing at all"


def test_contents_are_what_versions_env_says(
    docker_engine: DockerEngine, toolkit_image: str
) -> None:
    """By the image's own command, which looks at what runs; the build has asked it too."""
    shown = json.loads(run(docker_engine, toolkit_image, script="packer-toolkit versions --json"))
    assert shown["ok"]
    pinned = versions()
    tools = {each["name"]: each["actual"] for each in shown["tools"]}
    assert f"hashicorp/packer:{tools['packer']}@" in pinned["PACKER_IMAGE"]
    assert tools["ansible-core"] == pinned["ANSIBLE_CORE"]
    assert tools["packer-plugin-amazon"] == pinned["PACKER_PLUGIN_AMAZON"]
    assert len(tools) == len(pinned) - 1, "all but uv, which only builds it"


def test_a_difference_to_versions_env_is_found(
    docker_engine: DockerEngine, toolkit_image: str, tmp_path: Path
) -> None:
    """Exit code 1, and each difference by name."""
    other = tmp_path / "versions.env"
    text = "".join(f"{key}={value}\n" for key, value in versions().items())
    other.write_text(
        text.replace("ANSIBLE_CORE=2.19", "ANSIBLE_CORE=2.18").replace("GIT=2.", "GIT=1.")
    )
    done = docker_engine.docker(
        "run", "--rm", f"--volume={other}:/other.env:ro", toolkit_image,
        "packer-toolkit", "versions", "--pinned=/other.env", check=False,
    )  # fmt: skip
    assert done.code == 1
    assert "ansible-core, git: not the versions that versions.env pins;" in done.stderr


def test_plugins_and_the_environment_are_ready(
    docker_engine: DockerEngine, toolkit_image: str, tmp_path: Path
) -> None:
    """`packer init` is satisfied without a network, and nobody asks for newer versions."""
    template = tmp_path / "versions.pkr.hcl"
    shutil.copy(Path(__file__).parents[2] / "template" / "versions.pkr.hcl", template)
    tmp_path.chmod(0o755)
    shown = docker_engine.docker(
        "run", "--rm", "--network=none", f"--volume={tmp_path}:/workspace:ro", toolkit_image,
        "bash", "-euc", "packer init . && env",
    ).stdout  # fmt: skip
    environment = dict(line.partition("=")[::2] for line in shown.splitlines())
    assert environment["PACKER_TOOLKIT_VERSION"] == versions()["TOOLKIT_VERSION"]
    assert environment["CHECKPOINT_DISABLE"] == "1"
    assert environment["HOME"] == "/home/packer"


def test_labels_say_what_it_is(docker_engine: DockerEngine, toolkit_image: str) -> None:
    """https://github.com/opencontainers/image-spec/blob/main/annotations.md."""
    shown = docker_engine.docker(
        "image", "inspect", "--format={{json .Config.Labels}}", toolkit_image
    )
    labels = json.loads(shown.stdout)
    assert labels["org.opencontainers.image.title"] == "packer-toolkit"
    assert labels["org.opencontainers.image.version"] == versions()["TOOLKIT_VERSION"]
    for name in ("description", "revision", "source"):
        assert labels[f"org.opencontainers.image.{name}"]


def test_a_signal_ends_what_runs_at_once(docker_engine: DockerEngine, toolkit_image: str) -> None:
    """The first process of a container ignores signals by default; tini does not."""
    name = docker_engine.docker("run", "--detach", toolkit_image, "sleep", "1000").stdout.strip()
    docker_engine.docker("stop", "--time=20", name, timeout=15)
    shown = docker_engine.docker("inspect", "--format={{.State.ExitCode}}", name).stdout
    docker_engine.docker("rm", name)
    assert shown.strip() == "143"


def test_it_is_as_large_as_its_readme_says(
    docker_engine: DockerEngine, toolkit_image: str, record_property: Callable[[str, object], None]
) -> None:
    """A program that comes along unnoticed shows here."""
    written = re.search(r"(\d+) MB unpacked", README.read_text())
    assert written
    shown = docker_engine.docker("image", "inspect", "--format={{.Size}}", toolkit_image).stdout
    megabytes = int(shown) / MEGABYTE
    record_property("megabytes", round(megabytes))
    assert megabytes == pytest.approx(int(written[1]), rel=0.05), f"{megabytes:.0f} MB"
