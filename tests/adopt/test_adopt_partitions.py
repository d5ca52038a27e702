"""A repository of another partition of AWS is not adopted for a region of the standard one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from packer_toolkit.cli.template.adopt import command
from packer_toolkit.errors import SetupError
from rig.repositories.hook import tree
from rig.repositories.template import git, hand_over_environment

pytestmark = pytest.mark.integration

SOURCE = """\
source "amazon-ebs" "NAME" {
  ami_name      = "web-1.0.0"
  region        = "REGION"
  instance_type = "t3.micro"
  ssh_username  = "ubuntu"
  source_ami_filter {
    filters = { name = "ubuntu/images/*noble-24.04-amd64-server-*" }
    owners  = ["513442679011"]
  }
}
"""
GOV = "us-gov-west-1"
ROLE = "arn:aws-us-gov:iam::444455556666:role/builder"
WORKFLOW = """\
on: push
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - uses: aws-actions/configure-aws-credentials@v4
        with:
          aws-region: us-gov-west-1
          role-to-assume: arn:aws-us-gov:iam::444455556666:role/builder
      - run: packer build .
"""


def make(folder: Path, *regions: str, workflow: bool = False, extra: str = "") -> Path:
    """Make a committed repository with a source for each region."""
    git(folder.parent, "init", "--quiet", str(folder))
    for number, region in enumerate(regions):
        text = SOURCE.replace("NAME", f"source_{number}").replace("REGION", region)
        if not region:
            text = text.replace('  region        = ""\n', "")
        (folder / f"{number}.pkr.hcl").write_text(text.replace("  ssh_user", f"{extra}  ssh_user"))
    if workflow:
        (folder / ".github" / "workflows").mkdir(parents=True)
        (folder / ".github" / "workflows" / "build.yml").write_text(WORKFLOW)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "By hand")
    return folder


def adopt(folder: Path, template: Path, *options: str) -> dict[str, Any]:
    """Adopt a repository and return what the command prints as JSON."""
    hand_over_environment()
    arguments = [str(folder), "--template", str(template), "--defaults", "--json", *options]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
    assert result.return_value == 0
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


@pytest.mark.parametrize(
    ("regions", "workflow", "extra"),
    [
        ((GOV,), False, ""),
        (("cn-north-1", "cn-northwest-1"), False, ""),
        # No region is known, but the role's partition is.
        (("",), True, ""),
        (("",), False, '  kms_key_id = "arn:aws-us-gov:kms:us-gov-west-1:444455556666:alias/x"\n'),
        (("",), False, f'  assume_role {{\n    role_arn = "{ROLE}"\n  }}\n'),
    ],
)
def test_a_repository_in_another_partition_is_refused(
    template: Path, tmp_path: Path, regions: tuple[str, ...], workflow: bool, extra: str
) -> None:
    """One line names the value and its place; nothing is written (review C15)."""
    folder = make(tmp_path / "packer-ami-web", *regions, workflow=workflow, extra=extra)
    before = tree(folder)
    with pytest.raises(SetupError, match=r"is not supported, only the partition aws is") as error:
        adopt(folder, template)
    assert "\n" not in str(error.value)
    assert "--data aws_region=REGION" in str(error.value)
    assert tree(folder) == before


def test_values_of_another_partition_are_left_out_beside_a_supported_region(
    template: Path, tmp_path: Path
) -> None:
    """A repository that builds in both is adopted for the standard one, with notes (field 17)."""
    extra = '  ami_regions = ["eu-central-1", "us-gov-east-1"]\n'
    folder = make(tmp_path / "packer-ami-web", "eu-west-1", GOV, workflow=True, extra=extra)
    printed = adopt(folder, template)
    recorded = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert recorded["aws_region"] == "eu-west-1"
    assert recorded["aws_copy_regions"] == "eu-central-1"
    assert recorded["aws_build_role"].startswith("arn:aws:iam::")
    notes = " ".join(printed["notes"])
    for text in (f"{GOV} (1.pkr.hcl:3)", f"{ROLE} (.github/workflows/build.yml"):
        assert text in notes
    assert "aws-us-gov is not supported" in notes


def test_a_given_region_is_taken(template: Path, tmp_path: Path) -> None:
    """The user decides to build in the standard partition (field 17)."""
    folder = make(tmp_path / "packer-ami-web", GOV)
    adopt(folder, template, "--data", "aws_region=eu-central-1")
    recorded = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert recorded["aws_region"] == "eu-central-1"
