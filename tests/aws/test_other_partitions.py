"""Every command refuses a region or an ARN outside of the standard partition of AWS in one line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from packer_toolkit.aws import role as aws_access
from packer_toolkit.aws.partitions import QUESTIONS, find_other_partition, find_partition
from packer_toolkit.aws.session import open_session
from packer_toolkit.build.arguments import read_arguments
from packer_toolkit.build.values import inspect
from packer_toolkit.cli.main import group
from packer_toolkit.errors import SetupError
from rig.host.tools import Packer
from rig.repositories.template import git, release, render, snapshot
from rig.repositories.template_rules import rules
from rig.run.result import Result
from rig.run.toolkit import run_toolkit

ACCOUNT = "111122223333"
REGIONS = {
    "eu-central-1": "aws",
    "ap-southeast-7": "aws",
    "il-central-1": "aws",
    "cn-north-1": "aws-cn",
    "us-gov-east-1": "aws-us-gov",
    "eusc-de-east-1": "aws-eusc",
    "us-iso-west-1": "aws-iso",
    "us-isob-east-1": "aws-iso-b",
    "eu-isoe-west-1": "aws-iso-e",
    "us-isof-south-1": "aws-iso-f",
    "eu-new-part-1": "another partition",
}


@pytest.mark.parametrize(("region", "partition"), REGIONS.items())
def test_the_toolkit_and_the_template_read_partitions_alike(region: str, partition: str) -> None:
    """The rule of the answers and the rule of the commands agree (review C15)."""
    assert find_partition(region) == partition
    host = f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/packer-toolkit"
    for question, value in {"aws_region": region, "toolkit_image": host}.items():
        assert bool(rules().why_not(question, value, {})) == (partition != "aws")
        assert find_other_partition(value) == ("" if partition == "aws" else partition)


@pytest.mark.parametrize(
    ("text", "partition"),
    [
        ("eu-west-1, cn-north-1", "aws-cn"),
        (f"{ACCOUNT}, arn:aws-us-gov:organizations::{ACCOUNT}:organization/o-x", "aws-us-gov"),
        (f"arn:aws:kms:us-gov-west-1:{ACCOUNT}:alias/x", "aws-us-gov"),
        (f"arn:aws:iam::{ACCOUNT}:role/cn-north-1/x", ""),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/x", "aws-cn"),
        (f"{ACCOUNT}.dkr-ecr.us-gov-west-1.on.aws/x", "aws-us-gov"),
        (f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov/x", "aws-iso"),
        ("mirror.amazonaws.eu/x", "aws-eusc"),
        ("ghcr.io/cn-north-1/x", ""),
        ("alias/cn-north-1", ""),
        ("", ""),
    ],
)
def test_a_partition_is_found_in_each_form_of_text(text: str, partition: str) -> None:
    """Lists, ARNs and hosts of registries count, and other texts do not (field 17)."""
    assert find_other_partition(text) == partition


def test_questions_with_a_partition_exist() -> None:
    """Each question that the toolkit checks exists in the template (field 17)."""
    assert set(QUESTIONS) <= set(rules().accepted)


# ------------------------------------------------------------------------------------ commands


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository whose toolkit.env and values a team has moved to China."""
    folder = render(template, tmp_path_factory.mktemp("moved") / "web", {"image_name": "web"})
    for name in ("toolkit.env", "image.auto.pkrvars.hcl"):
        text = (folder / name).read_text().replace("eu-central-1", "cn-north-1")
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--event", "schedule", "--always"),
        ("sweep", "--dry-run"),
        ("legacy-deps", "/packer/vpc_id"),
        ("legacy-deps", "--region", "us-gov-west-1", "/packer/vpc_id"),
        ("build", "."),
    ],
    ids=" ".join,
)
def test_a_command_refuses_the_region(
    repository: Path,
    packer: Packer,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    """The command calls no AWS API, and one line has the reason (review C15)."""
    monkeypatch.setenv("PATH", f"{packer.path.parent}{os.pathsep}{os.environ['PATH']}")
    for name, value in packer.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    answer: Result = run_toolkit(repository, *arguments)
    assert answer.code == 3
    assert "not supported" in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--region", "cn-north-1"),
        ("--region", "eu-west-1", "--region", "us-isob-east-1"),
        ("--region", "eu-west-1", "--assume-role", f"arn:aws-cn:iam::{ACCOUNT}:role/x"),
    ],
    ids=" ".join,
)
def test_an_option_of_sweep_is_refused(options: tuple[str, ...]) -> None:
    """The command line is wrong: exit code 2 (review C15)."""
    arguments = ["sweep", "--repository", "packer-ami-web", "--dry-run", *options]
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 2
    assert "is not supported, only the partition aws is" in result.output


def test_values_without_a_rule_in_the_hcl_are_read(packer: Packer, tmp_path: Path) -> None:
    """A repository with its own variables.pkr.hcl is refused as well (review C15)."""
    (tmp_path / "own.pkr.hcl").write_text(
        'variable "kms_key_ids" {\n  type = map(string)\n'
        '  default = { us-gov-west-1 = "alias/x" }\n}\n'
    )
    with pytest.raises(SetupError, match=r"kms_key_ids is us-gov-west-1: aws-us-gov is not supp"):
        inspect(str(packer.path), read_arguments(()), {**os.environ, **packer.env}, tmp_path)


def test_a_session_without_a_supported_region_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an option the region of the environment is checked (review C15)."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-gov-west-1")
    with pytest.raises(SetupError, match="the region is us-gov-west-1: aws-us-gov is not"):
        open_session()


@pytest.mark.parametrize(
    ("role", "region"),
    [
        ("B", "cn-north-1"),
        ("B", "us-gov-west-1"),
        (f"arn:aws-cn:iam::{ACCOUNT}:role/x/B", "eu-west-1"),
        (f"arn:aws-us-gov:iam::{ACCOUNT}:role/B", "eu-west-1"),
    ],
)
def test_a_role_of_another_partition_is_refused(role: str, region: str) -> None:
    """A role's name with such a region and an ARN of another partition are refused (field 17)."""
    with pytest.raises(SetupError, match="is not supported, only the partition aws is; "):
        aws_access.make_role_arn(role, ACCOUNT, region)


@pytest.mark.integration
def test_doctor_names_region_and_image(repository: Path) -> None:
    """Both lines report that the partition is not supported (field 17)."""
    answer = run_toolkit(repository, "doctor", "--json")
    checks = {each["name"]: each for each in json.loads(answer.stdout)["checks"]}
    for name in ("region", "image"):
        assert "aws-cn is not supported" in checks[name]["found"], checks[name]


@pytest.mark.integration
def test_login_to_a_registry_of_another_partition_is_refused(
    tmp_path: Path, template: Path
) -> None:
    """`toolkit.sh --login` stops before the AWS CLI is called (review C15)."""
    folder = render(template, tmp_path / "web", {"image_name": "web"})
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "docker").chmod(0o755)
    for region in ("cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-isob-east-1"):
        image = f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/packer-toolkit:1"
        done = subprocess.run(
            ["./toolkit.sh", "--login"],
            cwd=folder,
            env={
                **os.environ,
                "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
                "TOOLKIT_IMAGE": image,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3, done
        assert f"the partition of {region} is not supported" in done.stderr


@pytest.mark.integration
def test_fleet_names_repositories_that_stay(template: Path, tmp_path: Path) -> None:
    """The row of a repository in another partition has the reason why it is behind (field 17)."""
    source = snapshot(tmp_path / "template")
    folder = render(source, tmp_path / "fleet" / "packer-ami-web", {"image_name": "web"})
    file = folder / ".copier-answers.yml"
    file.write_text(file.read_text().replace("eu-central-1", "us-gov-west-1"))
    git(folder, "commit", "--quiet", "--all", "-m", "Move")
    release(source, "v2.0.0")
    answer = run_toolkit(tmp_path, "fleet", "--local", str(tmp_path / "fleet"), "--json")
    (row,) = json.loads(answer.stdout)
    assert row["problem"].startswith("aws_region is us-gov-west-1: aws-us-gov is not supported")
