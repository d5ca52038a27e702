"""The controls of the role baseline look at what the role sets, and at nothing that it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from rig.docker.engine import DockerEngine
from rig.host.tools import require
from rig.repositories.repository import PROGRAMS
from rig.repositories.template import ROOT, git, render

pytestmark = pytest.mark.integration

CONTROL = "baseline-security-updates"
RHEL = """
printf 'ID="rhel"\\nID_LIKE="fedora"\\nVERSION_ID="9.4"\\n' >/etc/os-release
mkdir -p /etc/dnf /etc/systemd/system/timers.target.wants
ln -sf /nowhere /etc/systemd/system/timers.target.wants/dnf-automatic.timer
"""
DNF = "[commands]\nupgrade_type = {upgrade_type}\napply_updates = {apply_updates}\n"


@pytest.fixture
def profile(template: Path, tmp_path: Path) -> Path:
    """Return the profile of a new repository with one control file, baseline.rb."""
    require("ruby")
    repository = render(template, tmp_path / "packer-ami-small", {"image_name": "small"})
    return repository / "inspec"


@pytest.fixture
def machine(docker_engine: DockerEngine, debian_12: str) -> Iterator[Callable[[str], str]]:
    """Return what runs a script in a container; it returns the container."""
    container = docker_engine.docker(
        "run", "--detach", "--network=host", debian_12, "sleep", "300"
    ).stdout.strip()

    def run(script: str) -> str:
        docker_engine.docker("exec", container, "sh", "-euc", script)
        return container

    yield run
    docker_engine.docker("rm", "--force", container)


def audit(
    profile: Path, container: str, engine: DockerEngine, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run provisioners/inspec.sh with one control."""
    text = (profile / "controls/baseline.rb").read_text()
    begin = text.index(f"control '{CONTROL}'")
    (profile / "controls/baseline.rb").write_text(text[begin : text.index("\nend\n", begin) + 5])
    return subprocess.run(
        [profile.parent / "provisioners/inspec.sh"],
        cwd=profile.parent,
        env={
            **os.environ,
            **engine.env,
            "INSPEC_PROFILE": "inspec",
            "INSPEC_REQUIRED": "false",
            "INSPEC_TARGET": f"docker://{container}",
            "PATH": os.pathsep.join([str(PROGRAMS), os.environ["PATH"]]),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({"upgrade_type": "security", "apply_updates": "yes"}, True),
        ({"upgrade_type": "default", "apply_updates": "yes"}, False),
        ({"upgrade_type": "security", "apply_updates": "no"}, False),
    ],
)
def test_rhel_installs_security_updates_only(
    settings: dict[str, str],
    passes: bool,
    profile: Path,
    machine: Callable[[str], str],
    docker_engine: DockerEngine,
) -> None:
    """Each value that the role sets in automatic.conf has a check (inspec 15)."""
    container = machine(f"{RHEL}cat >/etc/dnf/automatic.conf <<'END'\n{DNF.format(**settings)}END")
    done = audit(profile, container, docker_engine)
    assert (done.returncode == 0) == passes, done.stdout + done.stderr
    assert (f"controls failed: {CONTROL}" in done.stderr) != passes


def test_the_values_of_the_role_are_those_of_the_control() -> None:
    """What the role writes into automatic.conf is what the control looks for (inspec 15)."""
    tasks = yaml.safe_load(
        (
            ROOT / "template/provisioners/ansible/roles/baseline/tasks/security_updates.yml"
        ).read_text()
    )
    (loop,) = [task["loop"] for task in tasks if "loop" in task]
    control = (ROOT / "template/inspec/controls/baseline.rb").read_text()
    assert len(loop) == 2
    for each in loop:
        assert f"match(/^{each['name']} = {each['value']}$/)" in control


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("inputs.yml", "baseline_security_updates: false\n"),
        ("inspec.yml", None),
    ],
)
def test_security_updates_can_be_switched_off(
    file: str,
    text: str | None,
    profile: Path,
    machine: Callable[[str], str],
    docker_engine: DockerEngine,
) -> None:
    """An input switches the control off, which stays as the template has it (inspec 15)."""
    container = machine("true")
    before = (profile / "controls/baseline.rb").read_text()
    failed = audit(profile, container, docker_engine)
    assert f"controls failed: {CONTROL}" in failed.stderr, failed.stdout + failed.stderr
    changed = text or (profile / file).read_text().replace("value: true", "value: false")
    (profile / file).write_text(changed)
    (profile / "controls/baseline.rb").write_text(before)
    done = audit(profile, container, docker_engine)
    assert done.returncode == 0, done.stderr
    assert "SKIPPED, no control was checked: all checks were skipped" in done.stdout


def test_a_team_sets_the_switch_of_the_role_outside_of_it(profile: Path, tmp_path: Path) -> None:
    """group_vars beside the playbook replaces the default, as its comment has it (inspec 15)."""
    ansible = profile.parent / "provisioners/ansible"
    (ansible / "group_vars").mkdir()
    (ansible / "group_vars/all.yml").write_text("---\nbaseline_security_updates: false\n")
    main = ansible / "roles/baseline/tasks/main.yml"
    main.write_text(
        "- ansible.builtin.debug: {msg: 'security updates: {{ baseline_security_updates }}'}\n"
    )
    variables = {
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "image_roles": ["baseline"],
    }
    done = subprocess.run(
        [require("ansible-playbook"), "--inventory=localhost,", "--connection=local",
         f"--extra-vars={json.dumps(variables)}",
         ansible / "playbook.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ansible / "ansible.cfg"), "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "security updates: False" in done.stdout
    assert "inspec/inputs.yml" in (ansible / "roles/baseline/defaults/main.yml").read_text()


def test_the_profile_has_a_copyright(profile: Path) -> None:
    """The auditor warns of nothing in a new repository's profile (inspec 15)."""
    done = subprocess.run(
        [PROGRAMS / "cinc-auditor", "check", profile],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "0 errors, 0 warnings" in done.stdout
    assert done.stderr == ""
    assert git(profile, "status", "--porcelain") == ""
