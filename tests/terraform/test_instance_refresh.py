"""An apply of ami-consumer starts the instance refresh with the AWS CLI."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from rig.repositories.template import ROOT
from rig.terraform.programs import Terraform

MODULE = ROOT / "terraform" / "ami-consumer"
# A stand-in for the AWS CLI: it records its arguments, and knows the version of the group.
AWS = """#!/bin/sh
printf '%s\\n' "$*" >> "$RECORD"
case $2 in
  describe-auto-scaling-groups) printf '%s\\n' "$GROUP_VERSION" ;;
  start-instance-refresh) exit "$REFRESH_EXIT_CODE" ;;
esac
"""
RUN = """
run "apply" {
  variables {
    region            = "eu-west-1"
    launch_template   = { name = "web", instance_type = "m7i.large" }
    autoscaling_group = { name = "web", subnet_ids = ["subnet-1"], min_size = 1, max_size = 1 }
  }
}
"""


def apply_with_aws_cli(
    terraform: Terraform, folder: Path, version: str, exit_code: int = 0
) -> tuple[str, list[str]]:
    """Apply the module with a mocked provider, while the group has a version.

    Returns:
        What Terraform printed, and the commands of the AWS CLI.
    """
    ignored = shutil.ignore_patterns(".terraform*", "modules")
    module = Path(shutil.copytree(MODULE, folder / "ami-consumer", ignore=ignored))
    tests = (module / "tests" / "consumer.tftest.hcl").read_text()
    shutil.rmtree(module / "tests")
    (module / "apply.tftest.hcl").write_text(re.split(r'^run "', tests, flags=re.M)[0] + RUN)
    programs = folder / "programs"
    programs.mkdir()
    (programs / "aws").write_text(AWS)
    (programs / "aws").chmod(0o755)
    record = folder / "record"
    record.touch()
    env = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "RECORD": str(record),
        "GROUP_VERSION": version,
        "REFRESH_EXIT_CODE": str(exit_code),
    }
    terraform.run("init", "-backend=false", cwd=module)
    output = terraform.run("test", cwd=module, env=env, check=False).stdout
    return output, record.read_text().splitlines()


def test_refresh_names_the_new_version(terraform: Terraform, tmp_path: Path) -> None:
    """A group with another version gets a refresh to the new one, which can be rolled back."""
    output, commands = apply_with_aws_cli(terraform, tmp_path, "7")
    assert "Success!" in output
    describe, start = commands
    assert "--region eu-west-1 --auto-scaling-group-names web " in describe
    options, _, refresh = start.partition(" --cli-input-json ")
    assert options == "autoscaling start-instance-refresh --region eu-west-1"
    template = json.loads(refresh)["DesiredConfiguration"]["LaunchTemplate"]
    assert template == {"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "1"}
    assert json.loads(refresh)["Preferences"]["AutoRollback"] is True


def test_new_group_gets_no_refresh(terraform: Terraform, tmp_path: Path) -> None:
    """A group that has the version already is not refreshed."""
    output, commands = apply_with_aws_cli(terraform, tmp_path, "1")
    assert "Success!" in output
    assert [command.split()[1] for command in commands] == ["describe-auto-scaling-groups"]


def test_apply_fails_if_the_refresh_does(terraform: Terraform, tmp_path: Path) -> None:
    """An apply fails if AWS refuses the refresh, so that the next one tries again."""
    output, commands = apply_with_aws_cli(terraform, tmp_path, "7", exit_code=254)
    assert "local-exec provisioner error" in output
    assert len(commands) == 2
