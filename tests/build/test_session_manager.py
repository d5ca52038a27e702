"""Builds through Session Manager: end to end, without its program, and without a profile."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from packer_toolkit.build.session_manager import SessionWatch, require_session_manager
from packer_toolkit.build.values import Values
from packer_toolkit.errors import SetupError
from rig.aws.rig import Ec2, Finished
from rig.host.machine import path_without
from rig.host.tools import Packer
from rig.repositories.repository import (
    PROGRAMS,
    SESSION_MANAGER,
    TOOLKIT,
    add_role,
    add_script,
    build,
    build_report,
    small_repository,
    toolkit_build,
)

WITH_PROFILE = ("-var", "ssh_interface=session_manager", "-var", "iam_instance_profile=builder")
# Nothing opens a port to the building host.
CLOSED = {"PKR_VAR_ssh_interface": "session_manager", "PKR_VAR_ssh_source_cidrs": "[]"}


@pytest.fixture
def repository(ec2: Ec2, template: Path, tmp_path: Path) -> Path:
    """Return a repository, in an account with an instance profile."""
    ec2.client("iam").create_instance_profile(InstanceProfileName="builder")
    return small_repository(template, tmp_path / "packer-ami-small")


@pytest.fixture
def plugin_path(packer: Packer) -> str:
    """Return a PATH with the stand-in of session-manager-plugin."""
    folders = [str(SESSION_MANAGER), str(PROGRAMS), str(packer.path.parent), os.environ["PATH"]]
    return os.pathsep.join(folders)


@pytest.fixture
def plain_path(packer: Packer, tmp_path: Path) -> str:
    """Return a PATH without session-manager-plugin."""
    path = path_without(tmp_path / "bin", "session-manager-plugin")
    return os.pathsep.join([str(PROGRAMS), str(packer.path.parent), path])


@pytest.mark.parametrize("run", [build, toolkit_build], ids=["packer", "toolkit"])
def test_a_build_through_session_manager_makes_an_image(
    ec2: Ec2,
    packer: Packer,
    repository: Path,
    plugin_path: str,
    run: Callable[..., Finished],
) -> None:
    """Scripts, roles and controls reach an instance whose port 22 is closed, by a session alone.

    The session is terminated in the end.  (field 9, review R2)
    """
    add_script(repository, "10-mark.sh", "touch /etc/by-script")
    add_role(
        repository,
        "mark",
        "- name: Mark\n  ansible.builtin.file: {path: /etc/by-role, state: touch, mode: '0644'}\n",
    )
    env = {"PATH": plugin_path, **CLOSED}
    options = (*WITH_PROFILE, "-var", "skip_create_ami=false")
    ec2.pace(stopped=6)
    done = run(ec2, packer, repository, *options, env=env)
    assert done.code == 0, done.output[-4000:]
    assert ec2.calls("AuthorizeSecurityGroupIngress") == []
    assert ec2.call("StartSession")["DocumentName"] == "AWS-StartPortForwardingSession"
    (image,) = ec2.images()
    assert ec2.ami(image["ImageId"]).find("/etc", test="-name 'by-*'") == [
        "/etc/by-role",
        "/etc/by-script",
    ]
    assert "STAND-IN" in done.output, "the auditor has connected"
    assert "Error terminating" not in done.output
    assert ec2.open_sessions() == []
    assert set(ec2.leftovers()) == {"image", "snapshot"}


WAYS = {
    "-var": (("-var", "ssh_interface=session_manager"), {}, ""),
    "PKR_VAR": ((), {"PKR_VAR_ssh_interface": "session_manager"}, ""),
    "auto.pkrvars": ((), {}, "team.auto.pkrvars.hcl"),
    "-var-file": (("-var-file=team.pkrvars.hcl",), {}, "team.pkrvars.hcl"),
    "json": (("-var-file=team.pkrvars.json",), {}, "team.pkrvars.json"),
    "source": ((), {}, "sources.pkr.hcl"),
    "build": ((), {}, "build.pkr.hcl"),
}


def configure(repository: Path, way: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Make a repository use Session Manager in one of the ways; return options and environment."""
    options, env, name = WAYS[way]
    file = repository / name
    if name.endswith("json"):
        file.write_text('{"ssh_interface": "session_manager"}')
    elif name == "sources.pkr.hcl":
        old, new = "= local.ssh_interface", '= "session_manager"'
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    elif name == "build.pkr.hcl":
        old = "      instance_type = var.instance_types[architecture.value]\n"
        assert old in file.read_text()
        more = '      ssh_interface = "session_manager"\n'
        file.write_text(file.read_text().replace(old, old + more))
    elif name:
        file.write_text('ssh_interface = "session_manager"\n')
    return options, dict(env)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("missing", ["program", "profile"])
def test_what_is_missing_is_reported_before_anything_starts(
    ec2: Ec2,
    packer: Packer,
    repository: Path,
    plugin_path: str,
    plain_path: str,
    way: str,
    missing: str,
) -> None:
    """A build without session-manager-plugin, or without a profile, ends with one line.

    Wherever the repository or the caller sets ssh_interface, no call of EC2 has been made then.
    (field 9, review R2)
    """
    options, env = configure(repository, way)
    env["PATH"] = plain_path if missing == "program" else plugin_path
    if missing == "program":
        options += ("-var", "iam_instance_profile=builder")
    rig_env = dict.fromkeys(("PKR_VAR_ssh_interface",), "private_ip")
    if way in ("auto.pkrvars", "-var-file", "json"):
        rig_env = {}
    done = toolkit_build(ec2, packer, repository, *options, env={**rig_env, **env})
    assert done.code == 3, done.output
    (line,) = [line for line in done.output.splitlines() if "Session Manager" in line]
    expected = {
        "program": "session-manager-plugin is not on PATH; build in the toolkit image with `task "
        "packer-build`, or install it: https://docs.aws.amazon.com/",
        "profile": "its instance has no instance profile; add -var iam_instance_profile=NAME",
    }
    assert expected[missing] in line
    assert not {call.service for call in ec2.calls()} & {"ec2", "ssm"}
    assert len(done.output.splitlines()) <= 3, done.output


def read_values(**raw: str) -> Values:
    """Return what `packer inspect` reports of a repository with one build on EC2."""
    given = {f"var.{name}": value for name, value in raw.items()}
    return Values(given, ("amazon-ebs.x86_64",), {"amazon-ebs.x86_64": "amazon-ebs"})


SOURCES = {
    "literal": 'ssh_interface = "session_manager"',
    "local": "ssh_interface = local.way",
    "variable with a default": "ssh_interface = var.way",
}


@pytest.mark.parametrize("form", SOURCES)
def test_each_form_of_hcl_is_understood(tmp_path: Path, form: str) -> None:
    """HCL of a team of its own is read, and a temporary profile counts as a profile.

    (field 9, review R2)
    """
    (tmp_path / "team.pkr.hcl").write_text(
        'variable "way" {\n  default = "session_manager"\n}\n'
        'locals {\n  way = "session_manager"\n}\n'
        f'source "amazon-ebs" "x86_64" {{\n  {SOURCES[form]}\n}}\n'
        'build {\n  sources = ["source.amazon-ebs.x86_64"]\n}\n'
    )
    values = read_values(way="session_manager")
    names = ["amazon-ebs.x86_64"]
    with pytest.raises(SetupError, match="session-manager-plugin is not on PATH"):
        require_session_manager(values, names, tmp_path, {"PATH": str(tmp_path)})
    env = {"PATH": str(SESSION_MANAGER)}
    with pytest.raises(SetupError, match="no instance profile"):
        require_session_manager(values, names, tmp_path, env)
    file = tmp_path / "team.pkr.hcl"
    profile = "  temporary_iam_instance_profile_policy_document {\n  }\n}\nbuild {"
    file.write_text(file.read_text().replace("}\nbuild {", profile))
    require_session_manager(values, names, tmp_path, env)
    require_session_manager(values, [], tmp_path, {"PATH": ""})


def test_a_json_template_is_understood(tmp_path: Path) -> None:
    """A template in JSON, with its user variables, is read too.  (field 9)."""
    template = tmp_path / "image.json"
    builder = {"type": "amazon-ebs", "name": "x86_64", "ssh_interface": "{{user `way`}}"}
    document = {"variables": {"way": "session_manager"}, "builders": [builder]}
    template.write_text(json.dumps(document))
    values = Values({}, ("x86_64",), {"x86_64": "amazon-ebs"})
    with pytest.raises(SetupError, match="session-manager-plugin is not on PATH"):
        require_session_manager(values, ["x86_64"], template, {"PATH": str(tmp_path)})
    builder["iam_instance_profile"] = "builder"
    template.write_text(json.dumps(document))
    require_session_manager(values, ["x86_64"], template, {"PATH": str(SESSION_MANAGER)})


@pytest.mark.parametrize("interface", ["public_ip", "private_ip"])
def test_other_ways_need_no_program(
    packer: Packer, template: Path, tmp_path: Path, interface: str
) -> None:
    """A build over SSH is accepted without the program and without a profile.  (field 9)."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    values = read_values(ssh_interface=interface)
    names = ["amazon-ebs.x86_64"]
    require_session_manager(values, names, repository, {"PATH": str(tmp_path)})
    command = ("validate", "-var", "program_folders=/nowhere", "-var", f"ssh_interface={interface}")
    cidrs = ("-var", 'ssh_source_cidrs=["10.1.2.3/32"]', ".")
    packer.run(*command, *cidrs, cwd=repository)


def test_plain_packer_refuses_a_missing_program(
    ec2: Ec2, packer: Packer, repository: Path, plain_path: str, plugin_path: str
) -> None:
    """Plain `packer build` starts nothing without the program or without an instance profile.

    (field 9, review R2)
    """
    done = build(ec2, packer, repository, *WITH_PROFILE, env={"PATH": plain_path, **CLOSED})
    assert done.code == 1
    assert "session_manager needs the program session-manager-plugin on PATH" in done.output
    assert not ec2.calls("RunInstances")
    without = ("-var", "ssh_interface=session_manager")
    done = build(ec2, packer, repository, *without, env={"PATH": plugin_path, **CLOSED})
    assert done.code == 1
    assert "no iam_instance_profile defined" in done.output
    assert not ec2.calls("RunInstances")


def test_a_check_does_not_need_the_program(
    packer: Packer, template: Path, tmp_path: Path, plain_path: str
) -> None:
    """The check of a pull request from a fork passes on a runner without the program.

    (field 9)
    """
    repository = small_repository(template, tmp_path / "packer-ami-small")
    values = 'ssh_interface = "session_manager"\niam_instance_profile = "builder"\n'
    (repository / "team.auto.pkrvars.hcl").write_text(values)
    env = {**os.environ, **packer.env, "PATH": plain_path}
    command = [*TOOLKIT, "check", "--only=packer-validate"]
    done = subprocess.run(
        command, cwd=repository, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_that_fails_does_not_flood_the_output(
    ec2: Ec2, packer: Packer, repository: Path, plugin_path: str
) -> None:
    """A plugin that fails again and again ends the build after some sessions, with its reason.

    (field 9, review R2)
    """
    env = {"PATH": plugin_path, "RIG_SESSION_MANAGER_FAILS": "1", **CLOSED}
    done = toolkit_build(ec2, packer, repository, *WITH_PROFILE, env=env)
    assert done.code == 1, done.output[-3000:]
    assert len(done.output.splitlines()) < 200
    assert len(ec2.calls("StartSession")) < 100
    assert "session-manager-plugin failed 20 times: Bad exit status: 1" in done.output
    report = build_report(repository)
    assert any("failed 20 times" in line for line in report["last_lines"])
    assert ec2.leftovers() == {}


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "BadRequest"])
def test_a_refused_session_ends_the_build(
    ec2: Ec2, packer: Packer, repository: Path, plugin_path: str, code: str
) -> None:
    """When Session Manager refuses the session, the build does not wait for ssh_timeout.

    (field 9, review R2)
    """
    ec2.fault("StartSession", "custom", code=code, status=400, message="No session for you")
    options = (*WITH_PROFILE, "-var", "max_retries=1", "-var", "ssh_timeout=5m")
    done = toolkit_build(
        ec2, packer, repository, *options, env={"PATH": plugin_path, **CLOSED}, timeout=120
    )
    assert done.code == 1, done.output[-3000:]
    assert "Session Manager refused the session: " in done.output
    assert code in done.output
    assert ec2.leftovers() == {}


def test_sessions_that_end_now_and_then_do_not_end_a_build() -> None:
    """Twenty sessions in a long build, and a session that is refused after the login, are accepted.

    (field 9)
    """
    watch = SessionWatch()
    for number in range(100):
        start = f'Starting portForwarding session "rig-{number}".'
        assert watch.read("amazon-ebs.x86_64", start, number * 30.0) == ""
    assert watch.read("amazon-ebs.x86_64", "Connected to SSH!", 3000.0) == ""
    assert watch.read("amazon-ebs.x86_64", "ssm error: expired", 3001.0) == ""
    assert not watch.is_hopeless
    assert watch.read("amazon-ebs.arm64", "ssm error: context canceled", 3002.0) == ""


def test_each_build_counts_its_own_sessions() -> None:
    """The sessions of two builds are counted apart, and only what repeats itself is hidden.

    (field 9)
    """
    watch = SessionWatch()
    for number in range(19):
        for name in ("amazon-ebs.x86_64", "amazon-ebs.arm64"):
            assert not watch.read(name, f'Starting portForwarding session "{number}".', number)
    assert watch.read("amazon-ebs.arm64", 'Starting portForwarding session "20".', 20.0)
    assert watch.is_repetition('Starting portForwarding session "21".')
    assert not watch.is_repetition("Terminating the source AWS instance...")
