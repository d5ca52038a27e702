"""`packer validate` refuses values of a team that could not work, in one line that says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rig.host.tools import Packer
from rig.repositories.template import render

ACCOUNT = "111122223333"
KEY_ID = "12345678-90ab-cdef-1234-567890abcdef"
ORGANIZATION = f"organizations::{ACCOUNT}:organization/o-exampleorgid"


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a rendered repository, whose values the tests override."""
    return render(template, tmp_path_factory.mktemp("values") / "web", {"image_name": "web"})


def packer_says(
    packer: Packer, repository: Path, tmp_path: Path, *command: str, **values: Any
) -> subprocess.CompletedProcess[str]:
    """Run Packer with a values file, as an *.auto.pkrvars file of a team would set them."""
    file = tmp_path / "team.pkrvars.json"
    file.write_text(json.dumps(values))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # ansible-playbook
    return subprocess.run(
        [packer.path, *command, f"-var-file={file}", "."],
        cwd=repository,
        env={**os.environ, **packer.env, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


OTHER_PARTITION = [
    {"region": "cn-north-1"},
    {"region": "us-gov-west-1"},
    {"region": "eusc-de-east-1"},
    {"copy_regions": ["eu-west-1", "us-isob-east-1"]},
    {"kms_key_id": f"arn:aws-cn:kms:cn-north-1:{ACCOUNT}:key/{KEY_ID}"},
    {"kms_key_ids": {"eu-central-1": f"arn:aws-us-gov:kms:us-gov-west-1:{ACCOUNT}:alias/x"}},
    {"ami_org_arns": [f"arn:aws:{ORGANIZATION}", f"arn:aws-us-gov:{ORGANIZATION}"]},
    {"ami_ou_arns": [f"arn:aws-iso:{ORGANIZATION}"]},
    {"assume_role_arn": f"arn:aws-cn:iam::{ACCOUNT}:role/x"},
]


@pytest.mark.parametrize("values", OTHER_PARTITION, ids=str)
def test_values_of_another_partition_are_refused(
    packer: Packer, repository: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    """Each value with a region or an ARN is "not supported" outside of aws (review C15)."""
    done = packer_says(packer, repository, tmp_path, "validate", **values)
    assert done.returncode == 1
    text = " ".join((done.stdout + done.stderr).split())
    assert "must be in the standard AWS partition" in text
    assert "are not supported." in text


@pytest.mark.parametrize(
    "networks",
    [
        ["0.0.0.0/0"],
        ["0.0.0.0/00"],
        ["1.2.3.4/0"],
        ["0.0.0.0/1"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["10.1.2.3/32", "128.0.0.0/2"],
        ["64.0.0.0/7"],
        ["::/0"],
        ["0::/0"],
        ["::/1"],
        ["8000::/1"],
        ["2000::/3"],
        ["2600::/12"],
        [f"{first}.0.0.0/8" for first in range(256)],
        [f"{first}.0.0.0/9" for first in range(5)],
        [f"26{number:02x}::/16" for number in range(5)],
    ],
    ids=lambda networks: f"{networks[0]} and {len(networks) - 1} more",
)
def test_networks_that_are_most_of_the_internet_are_refused(
    packer: Packer, repository: Path, tmp_path: Path, networks: list[str]
) -> None:
    """SSH is never open to everybody, whatever the spelling or the parts (review R16)."""
    done = packer_says(packer, repository, tmp_path, "validate", ssh_source_cidrs=networks)
    assert done.returncode == 1
    text = " ".join((done.stdout + done.stderr).split())
    assert "must not cover most of the internet" in text


@pytest.mark.parametrize(
    "values",
    [
        {"ssh_source_cidrs": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"]},
        {"ssh_source_cidrs": ["203.0.113.7/32", "2001:db8::7/128", "2001:db8::/32"]},
        {"ssh_source_cidrs": [f"198.51.{number}.0/24" for number in range(60)]},
        {"copy_regions": ["eu-central-1"], "kms_key_id": KEY_ID},
        {"copy_regions": ["eu-west-1"], "kms_key_id": "alias/x"},
        {"copy_regions": ["eu-west-1"], "kms_key_id": KEY_ID, "kms_key_ids": {"eu-west-1": KEY_ID}},
        {"kms_key_id": f"arn:aws:kms:eu-central-1:999988887777:key/{KEY_ID}"},
        {"associate_public_ip_address": True, "subnet_id": "subnet-0123456789abcdef0"},
        {"associate_public_ip_address": False},
        {"tags": {"{ a }}": "{ { b }} {", "CostCenter": "${x} %{ y }"}},
        {"region": "mx-central-1", "copy_regions": ["ap-southeast-7", "il-central-1"]},
    ],
    ids=str,
)
def test_values_that_work_stay_valid(
    packer: Packer, repository: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    """Private networks, keys of other accounts, and text with braces are valid (review R16)."""
    done = packer_says(packer, repository, tmp_path, "validate", **values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"kms_key_id": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY_ID}"},
            f"the KMS key arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY_ID} is not in eu-central-1",
        ),
        (
            {
                "copy_regions": ["eu-west-1"],
                "kms_key_id": "alias/x",
                "kms_key_ids": {"eu-west-1": f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/y"},
            },
            f"the KMS key arn:aws:kms:us-east-1:{ACCOUNT}:alias/y is not in eu-west-1",
        ),
        (
            {"copy_regions": ["eu-west-1"], "kms_key_id": KEY_ID},
            "kms_key_id is a key in eu-central-1 only; add a key in eu-west-1 to kms_key_ids",
        ),
        ({"ssh_interface": "private_ip"}, "private_ip needs ssh_source_cidrs"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(
    packer: Packer, repository: Path, tmp_path: Path, values: dict[str, Any], reason: str
) -> None:
    """A key of another region is found before the build, not at its end (review R16)."""
    done = packer_says(packer, repository, tmp_path, "validate", **values)
    assert done.returncode == 1
    assert reason in done.stdout + done.stderr


@pytest.mark.parametrize(
    "tags",
    [
        {"aws:owner": "x"},
        {"AWS:owner": "x"},
        {"": "x"},
        {"k" * 129: "x"},
        {"k": "v" * 257},
        {f"k{number}": "v" for number in range(39)},
    ],
    ids=lambda tags: f"{next(iter(tags))[:12]} of {len(tags)}",
)
def test_tags_that_ec2_refuses_are_invalid(
    packer: Packer, repository: Path, tmp_path: Path, tags: dict[str, str]
) -> None:
    """The limits of EC2 are checked before an instance is started (field 39)."""
    done = packer_says(packer, repository, tmp_path, "validate", tags=tags)
    assert done.returncode == 1
    assert "There can be at most 38 tags" in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("command", ["validate", "build"])
@pytest.mark.parametrize(
    "tags",
    [
        {"Owner": "{{"},
        {"Owner": "{{ .SourceAMI }}"},
        {"Owner": "{{ timestamp }}"},
        {"Owner": "x", "Key {{ y }}": "x"},
        {"Owner": "a{{{b"},
        {"Owner": "{{`{{`}}"},
    ],
    ids=str,
)
def test_tags_cannot_be_templates(
    packer: Packer, repository: Path, tmp_path: Path, command: str, tags: dict[str, str]
) -> None:
    """Braces that the plugin would read as a template end before anything starts (field 39)."""
    done = packer_says(packer, repository, tmp_path, command, tags=tags)
    assert done.returncode == 1
    text = " ".join((done.stdout + done.stderr).split())
    assert "The tags must not contain {{ in keys or values" in text


def test_other_texts_of_tags_cannot_be_templates(
    packer: Packer, repository: Path, tmp_path: Path
) -> None:
    """Values that become tags as they are cannot have {{ (field 39)."""
    for name in ("run_id", "git_commit", "template_version"):
        done = packer_says(packer, repository, tmp_path, "validate", **{name: "{{ timestamp }}"})
        assert done.returncode == 1
        assert f"The {name} must not contain {{{{" in done.stdout + done.stderr
