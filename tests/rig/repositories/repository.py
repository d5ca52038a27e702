"""What the tests of EC2 builds share: a rendered repository, and its build against the rig."""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packer_toolkit.build.report import BuildReport
from rig import STANDINS
from rig.aws.rig import Ec2, Finished
from rig.host.tools import Packer
from rig.repositories.template import render

TOOLKIT = (sys.executable, "-m", "packer_toolkit")
PROGRAMS = STANDINS / "bin"
# Not on everybody's PATH: a build has to notice that the program is missing.
SESSION_MANAGER = STANDINS / "session-manager"

# Everything that the answers can ask of EC2 at once.
FULL_ANSWERS: Mapping[str, Any] = {
    "image_name": "web-server",
    "image_description": "Web server of the shop: «ä», {{ and ${x}",
    "parent_image": "debian-12",
    "image_architectures": ["x86_64", "arm64"],
    "aws_region": "eu-west-1",
    "aws_copy_regions": "us-east-1",
    "aws_kms_key": "alias/packer-ami",
    "image_consumers": (
        "222233334444, arn:aws:organizations::111122223333:organization/o-abcdefghij,"
        " arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"
    ),
    "keep_demo": True,
}

# The role that Packer assumes for a build, with the credentials that it is given.
ROLE = ("-var", "assume_role_arn=arn:aws:iam::123456789012:role/packer-ami-builder")


def build(ec2: Ec2, packer: Packer, repository: Path, *options: str, **more: Any) -> Finished:
    """Build the AMIs of a repository as its README says, through the environment alone.

    Args:
        ec2: the rig.
        packer: Packer with its plugins.
        repository: the rendered repository.
        options: options of `packer build`.
        more: further arguments of `Ec2.run`; its `env` is added to the environment.
    """
    env = {**packer.env, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **more.pop("env", {})}
    command = [str(packer.path), "build", "-color=false", "-only=amazon-ebs.*", *options, "."]
    return ec2.run(command, cwd=repository, env=env, **more)


def toolkit_build(
    ec2: Ec2, packer: Packer, repository: Path, *options: str, **more: Any
) -> Finished:
    """Build through `packer-toolkit build`, as the repository's own tasks do.

    Args:
        ec2: the rig.
        packer: Packer with its plugins.
        repository: the rendered repository.
        options: options of `packer build`.
        more: further arguments of `Ec2.run`; its `env` is added to the environment.
    """
    env = {**toolkit_env(packer), **more.pop("env", {})}
    return ec2.run([*TOOLKIT, "build", *options], cwd=repository, env=env, **more)


def toolkit_env(packer: Packer) -> dict[str, str]:
    """Return what packer-toolkit finds in its image: Packer, its plugins, and an auditor."""
    path = [str(PROGRAMS), str(packer.path.parent), os.environ["PATH"]]
    return {**packer.env, "PATH": os.pathsep.join(path)}


def unique_name(prefix: str) -> str:
    """Return a name for an image that no other test uses, also on another worker."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def build_report(repository: Path) -> BuildReport:
    """Read build-report.json."""
    report: BuildReport = json.loads((repository / "build-report.json").read_text())
    return report


def manifest(repository: Path) -> dict[str, dict[str, str]]:
    """Read manifest.json: architecture to region to AMI id.

    An entry of another run than the last one is an error.
    """
    data = json.loads((repository / "manifest.json").read_text())
    found: dict[str, dict[str, str]] = {}
    for entry in data["builds"]:
        assert entry["packer_run_uuid"] == data["last_run_uuid"]
        pairs = (artifact.split(":") for artifact in entry["artifact_id"].split(","))
        found[entry["custom_data"]["architecture"]] = dict(pairs)
    return found


# Holds for every machine of the rig.
SMALL_CONTROL = """\
# frozen_string_literal: true

control 'small-os-release' do
  impact 0.3
  title 'The operating system is known'
  desc 'Nobody can tell otherwise what the machine is.'

  describe file('/etc/os-release') do
    it { should be_file }
  end
end
"""


def small_repository(template: Path, destination: Path, **answers: Any) -> Path:
    """Render a repository without scripts and roles, and with one control: it builds in seconds."""
    defaults = {
        "image_name": "small",
        "parent_image": "debian-12",
        "aws_region": "eu-west-1",
    }
    repository = render(template, destination, {**defaults, **answers})
    for part in ("provisioners/shell", "provisioners/ansible/roles"):
        shutil.rmtree(repository / part)
    for control in (repository / "inspec/controls").iterdir():
        control.unlink()
    add_control(repository, "small", SMALL_CONTROL)
    return repository


def add_control(repository: Path, name: str, text: str) -> None:
    """Drop a file into inspec/controls."""
    file = repository / f"inspec/controls/{name}.rb"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def add_script(repository: Path, name: str, *lines: str) -> None:
    """Drop a script into provisioners/shell."""
    script = repository / "provisioners/shell" / name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("\n".join(("#!/usr/bin/env bash", "set -eu", *lines, "")))
    script.chmod(0o755)


def add_role(repository: Path, name: str, tasks: str) -> None:
    """Drop a role of one task file into provisioners/ansible/roles."""
    file = repository / f"provisioners/ansible/roles/{name}/tasks/main.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(tasks)
