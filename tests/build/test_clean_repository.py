"""A build leaves nothing in the repository that git shows, so that an update can start."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import copier
import pytest

from rig.docker.engine import DockerEngine
from rig.host.tools import Packer
from rig.repositories.repository import (
    PROGRAMS,
    SMALL_CONTROL,
    TOOLKIT,
    add_control,
    add_role,
    add_script,
    small_repository,
    unique_name,
)
from rig.repositories.template import git, release

FILTER = "def shout(text):\n    return text.upper()\n\n\nclass FilterModule:\n" + (
    "    def filters(self):\n        return {'shout': shout}\n"
)


@pytest.fixture
def repository(
    template: Path, tmp_path: Path, docker_engine: DockerEngine, debian_12: str
) -> Iterator[Path]:
    """Return a repository whose role has a filter plugin, which Python compiles."""
    name = unique_name("clean")
    repository = small_repository(template, tmp_path / f"packer-ami-{name}", image_name=name)
    add_role(
        repository,
        "loud",
        "- name: Shout\n  ansible.builtin.debug:\n    msg: \"{{ 'a' | shout }}\"\n",
    )
    plugin = repository / "provisioners/ansible/roles/loud/filter_plugins/shout.py"
    plugin.parent.mkdir()
    plugin.write_text(FILTER)
    yield repository
    docker_engine.docker("rmi", "--force", f"packer-ami-{name}:local", check=False)


def commit(repository: Path) -> None:
    """Commit what a test has changed, as a team does before it builds."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=Change")


def start(
    command: Sequence[str], repository: Path, packer: Packer, engine: DockerEngine, output: Path
) -> subprocess.Popen[bytes]:
    """Start a build, with the auditor's stand-in on PATH."""
    path = [str(PROGRAMS), str(packer.path.parent), os.environ["PATH"]]
    env = {**os.environ, **packer.env, **engine.env, "PATH": os.pathsep.join(path)}
    env |= {"PACKER_LOG": "1", "PACKER_LOG_PATH": "packer.log"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    with output.open("wb") as stream:
        return subprocess.Popen(
            command,
            cwd=repository,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def assert_clean(repository: Path) -> None:
    """Check that git shows nothing and that an update starts."""
    assert git(repository, "status", "--porcelain") == ""
    copier.run_update(repository, defaults=True, overwrite=True, unsafe=True, quiet=True)


PLAIN = ("packer", "build", "-only=docker.local", ".")
OURS = (*TOOLKIT, "build", "-only=docker.local")


@pytest.mark.parametrize("command", [PLAIN, OURS], ids=["packer", "packer-toolkit"])
@pytest.mark.parametrize("outcome", ["succeeds", "fails", "SIGTERM", "SIGKILL"])
def test_a_local_build_leaves_git_clean(
    command: Sequence[str],
    outcome: str,
    repository: Path,
    packer: Packer,
    docker_engine: DockerEngine,
    tmp_path: Path,
) -> None:
    """However it ends, by packer and by packer-toolkit, and with the controls run (inspec 2)."""
    if outcome == "fails":
        add_control(repository, "small", SMALL_CONTROL.replace("/etc/os-release", "/nowhere"))
    if outcome.startswith("SIG"):
        add_script(repository, "10-wait.sh", "echo now", "exec sleep 300")
    commit(repository)
    output = tmp_path / "output"
    process = start(command, repository, packer, docker_engine, output)
    if outcome.startswith("SIG"):
        deadline = time.monotonic() + 120
        while b": now" not in output.read_bytes():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.2)
        if outcome == "SIGKILL":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=300)
    assert (code == 0) == (outcome == "succeeds"), output.read_text()
    if outcome == "succeeds":
        assert "InSpec: checks passed: 1, skipped: 0" in output.read_text()
        assert list(repository.rglob("__pycache__"))
    if outcome == "fails":
        assert "InSpec: FAILED: controls failed: small-os-release" in output.read_text()
    assert (repository / "packer.log").exists()
    assert_clean(repository)


def test_requirements_leave_git_clean(
    repository: Path, packer: Packer, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    """A role from elsewhere is installed where git never looks (inspec 2)."""
    elsewhere = tmp_path / "acme_ext"
    for part, text in {"tasks": "[]\n", "meta": "galaxy_info: {author: acme}\n"}.items():
        (elsewhere / part).mkdir(parents=True)
        (elsewhere / part / "main.yml").write_text(text)
    git(tmp_path, "init", "--quiet", str(elsewhere))
    release(elsewhere, "v1")
    (repository / "provisioners/ansible/requirements.yml").write_text(
        f"roles: [{{name: acme_ext, src: 'git+file://{elsewhere}', version: v1}}]\n"
    )
    commit(repository)
    output = tmp_path / "output"
    assert start(OURS, repository, packer, docker_engine, output).wait(timeout=300) == 0
    assert_clean(repository)


def test_a_repository_without_the_lines_is_clean_too(
    repository: Path, packer: Packer, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    """A team that deleted .gitignore can update after a build all the same (inspec 2)."""
    (repository / ".gitignore").write_text("/packer.log\n")
    commit(repository)
    output = tmp_path / "output"
    assert start(OURS, repository, packer, docker_engine, output).wait(timeout=300) == 0
    assert ".git/info/exclude" in output.read_text()
    assert_clean(repository)


def test_a_build_without_an_executed_control_reports_it(
    repository: Path, packer: Packer, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    """A local build without controls goes on, and one line reports it (inspec 1)."""
    shutil.rmtree(repository / "inspec/controls")
    output = tmp_path / "output"
    assert start(PLAIN, repository, packer, docker_engine, output).wait(timeout=300) == 0
    text = output.read_text()
    assert "InSpec: SKIPPED, no control was checked: the profile has no checks" in text
