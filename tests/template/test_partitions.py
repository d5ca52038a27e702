"""Regions, ARNs and registries outside of the standard partition of AWS are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rig.repositories.releases import create_template
from rig.repositories.state import contents
from rig.repositories.template import git, render
from rig.repositories.template_rules import rules
from rig.run.copier import run_copier
from rig.run.toolkit import run_toolkit

ACCOUNT = "111122223333"
KEY_ID = "12345678-90ab-cdef-1234-567890abcdef"

# https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
REGIONS = {
    "cn-north-1": "aws-cn",
    "cn-northwest-1": "aws-cn",
    "us-gov-west-1": "aws-us-gov",
    "us-gov-east-1": "aws-us-gov",
    "eusc-de-east-1": "aws-eusc",
    "us-iso-east-1": "aws-iso",
    "us-isob-east-1": "aws-iso-b",
    "eu-isoe-west-1": "aws-iso-e",
    "us-isof-south-1": "aws-iso-f",
    "abcd-new-east-1": "its partition",
}
SUPPORTED = [
    *("af-south-1", "ap-east-1", "ap-northeast-3", "ap-southeast-7", "ca-west-1", "eu-north-1"),
    *("eu-south-2", "il-central-1", "me-central-1", "mx-central-1", "sa-east-1", "us-west-2"),
]
REGISTRIES = {
    f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn": "aws-cn",
    f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com": "aws-cn",
    f"{ACCOUNT}.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn": "aws-cn",
    f"{ACCOUNT}.dkr.ecr.us-gov-west-1.amazonaws.com": "aws-us-gov",
    f"{ACCOUNT}.dkr.ecr-fips.us-gov-east-1.amazonaws.com": "aws-us-gov",
    f"{ACCOUNT}.dkr-ecr-fips.us-gov-east-1.on.aws": "aws-us-gov",
    f"{ACCOUNT}.dkr.ecr.eusc-de-east-1.amazonaws.eu": "aws-eusc",
    f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov": "aws-iso",
    f"{ACCOUNT}.dkr.ecr.us-isob-east-1.sc2s.sgov.gov": "aws-iso-b",
    "mirror.example.amazonaws.com.cn:443": "aws-cn",
}


def partition_arns(partition: str, region: str) -> dict[str, str]:
    """Return an ARN of a partition for each question that takes one."""
    return {
        "image_consumers": f"arn:{partition}:organizations::{ACCOUNT}:organization/o-exampleorgid",
        "aws_kms_key": f"arn:{partition}:kms:{region}:{ACCOUNT}:key/{KEY_ID}",
        "aws_build_role": f"arn:{partition}:iam::{ACCOUNT}:role/x",
        "aws_release_role": f"arn:{partition}:iam::{ACCOUNT}:role/x",
    }


@pytest.mark.parametrize(("region", "partition"), REGIONS.items())
def test_every_answer_with_another_partition_is_refused(region: str, partition: str) -> None:
    """A region, a list of regions and an ARN of another partition are "not supported".

    The reason fits in 80 columns on a terminal (field 17).
    """
    answers = {
        "aws_region": region,
        "aws_copy_regions": f"eu-west-1, {region}",
        "toolkit_image": f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/packer-toolkit",
    }
    if partition.startswith("aws"):
        answers |= partition_arns(partition, region)
        answers["image_consumers"] = f"{ACCOUNT}, {answers['image_consumers']}"
    for question, value in answers.items():
        reason = rules().why_not(question, value, {})
        assert reason == f"{partition} is not supported", (question, value)
        assert len(f"Validation error for question '{question}': {reason}") <= 80
    key = f"arn:aws:kms:{region}:{ACCOUNT}:key/{KEY_ID}"
    assert rules().why_not("aws_kms_key", key, {}) == f"{partition} is not supported"


@pytest.mark.parametrize(("host", "partition"), REGISTRIES.items())
def test_a_registry_of_another_partition_is_refused(host: str, partition: str) -> None:
    """Every form of an ECR host is read: FIPS, dual-stack, and the suffixes (review C15)."""
    reason = rules().why_not("toolkit_image", f"{host}/packer-toolkit", {})
    assert reason == f"{partition} is not supported"


@pytest.mark.parametrize("region", SUPPORTED)
def test_every_form_of_a_standard_region_is_accepted(region: str) -> None:
    """Regions, ARNs and registries of the standard partition stay accepted (review C15)."""
    answers = {
        "aws_region": region,
        "aws_copy_regions": f"{region}, eu-west-1",
        "toolkit_image": f"{ACCOUNT}.dkr.ecr-fips.{region}.amazonaws.com/packer-toolkit",
        **partition_arns("aws", region),
    }
    for question, value in answers.items():
        assert rules().why_not(question, value, {}) == "", (question, value)
    for image in ("registry.cn/x", "harbor.example.eu/x", "us-gov-1/x", "public.ecr.aws/a/x"):
        assert rules().why_not("toolkit_image", image, {}) == ""


# ------------------------------------------------------------------------ repositories of 1.x


@pytest.fixture(scope="module")
def releases_and_today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with every release, and the working tree as v2.0.0."""
    return create_template(tmp_path_factory.mktemp("template"), "v2.0.0")


CHINA = {
    "image_name": "web",
    "aws_region": "cn-north-1",
    "aws_copy_regions": "cn-northwest-1",
    "aws_build_role": f"arn:aws-cn:iam::{ACCOUNT}:role/packer-ami-builder",
    "toolkit_image": f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/packer-toolkit",
}
RECORDED = {
    "a region": {"image_name": "web", "aws_region": "us-gov-west-1"},
    "all of China": CHINA,
    "a copy": {"image_name": "web", "aws_copy_regions": "eu-west-1, us-isob-east-1"},
    "a consumer": {
        "image_name": "web",
        "image_consumers": f"arn:aws-us-gov:organizations::{ACCOUNT}:organization/o-exampleorgid",
    },
}


@pytest.mark.parametrize("answers", RECORDED.values(), ids=RECORDED)
@pytest.mark.parametrize("tag", ["v1.0.0", "v1.1.0"])
def test_update_of_another_partition_is_refused(
    releases_and_today: Path, tmp_path: Path, tag: str, answers: dict[str, str]
) -> None:
    """A repository of 1.x in another partition stays as it is, by either command.

    One line names the recorded answer and how to stay at the release (field 17).
    """
    folder = render(releases_and_today, tmp_path / "web", answers, vcs_ref=tag)
    before = contents(folder), git(folder, "rev-parse", "HEAD"), git(folder, "ls-files", "-s")
    outcome = run_copier("update", "--trust", "--defaults", cwd=folder)
    assert outcome.code == 1, outcome
    (line,) = outcome.error_lines
    answer = run_toolkit(folder, "template-update", "--trust")
    assert answer.code == 3
    (refusal,) = answer.error_lines
    for text in (line, refusal):
        assert " in .copier-answers.yml is refused: aws-" in text
        assert " is not supported. " in text
        assert "delete .github/workflows/update-from-template.yml" in text
    assert "nothing was changed here" in refusal
    after = contents(folder), git(folder, "rev-parse", "HEAD"), git(folder, "ls-files", "-s")
    assert after == before


@pytest.mark.parametrize("tag", ["v1.0.0", "v1.1.0"])
def test_moving_to_the_standard_partition_updates(
    releases_and_today: Path, tmp_path: Path, tag: str
) -> None:
    """An update that gives other answers for the refused ones succeeds (review C15)."""
    folder = render(releases_and_today, tmp_path / "web", CHINA, vcs_ref=tag)
    moved = {
        "aws_region": "eu-central-1",
        "aws_copy_regions": "",
        "aws_build_role": f"arn:aws:iam::{ACCOUNT}:role/x",
        "aws_release_role": f"arn:aws:iam::{ACCOUNT}:role/x",
        "toolkit_image": "ghcr.io/acme/packer-toolkit",
    }
    options = [f"--data={question}={value}" for question, value in moved.items()]
    outcome = run_copier("update", "--trust", "--defaults", *options, cwd=folder)
    assert outcome.code == 0, outcome
    recorded = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert {name: recorded[name] for name in moved} == moved


def test_staying_at_a_release_of_1_x_works(releases_and_today: Path, tmp_path: Path) -> None:
    """A repository of 1.0.0 in another partition still updates to 1.1.0 (field 17)."""
    folder = render(releases_and_today, tmp_path / "web", CHINA, vcs_ref="v1.0.0")
    outcome = run_copier("update", "--trust", "--defaults", "--vcs-ref=v1.1.0", cwd=folder)
    assert outcome.code == 0, outcome
    recorded = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert {name: recorded[name] for name in CHINA} == CHINA
