"""What users of Packer reported about the end of builds: keys that nobody can use, short waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from packer_toolkit.pipeline.advice import suggest_fixes
from rig.aws.rig import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import build_report, small_repository, toolkit_build

IMAGE = ("-var", "skip_create_ami=false")
ORGANIZATION = "arn:aws:organizations::111122223333:organization/o-abcdefghij"
UNIT = "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return a repository without a key."""
    return small_repository(template, tmp_path / "packer-ami-small")


@pytest.mark.parametrize(
    "values",
    [
        'ami_users = ["222233334444"]\n',
        f'ami_org_arns = ["{ORGANIZATION}"]\n',
        f'ami_ou_arns = ["{UNIT}"]\n',
        'ami_users = ["222233334444"]\nkms_key_id = "alias/aws/ebs"\n',
        'ami_users = ["222233334444"]\ncopy_regions = ["us-east-1"]\n'
        'kms_key_ids = { eu-west-1 = "alias/packer-ami" }\n',
    ],
    ids=["account", "organization", "unit", "managed key", "one region"],
)
def test_an_image_that_cannot_be_shared_is_not_built(
    ec2: Ec2, packer: Packer, repository: Path, values: str
) -> None:
    """A release that EC2 would not share because of its key ends with one line before it starts.

    (report 6)
    """
    (repository / "sharing.auto.pkrvars.hcl").write_text(values)
    done = toolkit_build(ec2, packer, repository, *IMAGE)
    assert done.code == 3, done.output[-3000:]
    region = "us-east-1" if "us-east-1" in values else "eu-west-1"
    assert f"encrypted with alias/aws/ebs in {region} cannot be shared; set kms_key_id" in (
        done.output
    )
    assert not ec2.calls("RunInstances")


def test_a_default_key_of_the_account_can_be_shared(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """Where the account's default key for volumes is a customer's, no kms_key_id is needed.

    A role that may not ask for the default key builds as well.  (report 6)
    """
    key = ec2.client("kms").create_key()["KeyMetadata"]["KeyId"]
    ec2.client().modify_ebs_default_kms_key_id(KmsKeyId=key)
    options = (*IMAGE, "-var", 'ami_users=["222233334444"]')
    fault = ec2.fault("GetEbsDefaultKmsKeyId", "deny", first=1)
    for number in (1, 2):
        version = ("-var", f"version=1.0.{number}")
        done = toolkit_build(ec2, packer, repository, *options, *version)
        assert done.code == 0, done.output[-3000:]
    assert fault.hits == 1
    assert len(ec2.images()) == 2


def test_the_refusal_to_share_has_its_advice() -> None:
    """Where EC2 refuses to share an image because of its key, the advice is the key.

    (report 6)
    """
    line = "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot"
    assert "kms_key_id" in suggest_fixes([line])[0]


def test_a_build_waits_as_long_as_it_is_set_to(ec2: Ec2, packer: Packer, repository: Path) -> None:
    """An image that takes longer than wait_minutes fails with an advice that names the variable.

    With a longer time the same image is finished.  (report 7)
    """
    ec2.pace(available=20)
    options = (*IMAGE, "-var", "version=1.0.0")
    done = toolkit_build(ec2, packer, repository, *options, "-var", "wait_minutes=0.1")
    assert done.code == 1, done.output[-3000:]
    lines = build_report(repository)["last_lines"]
    assert "Raise `wait_minutes`" in suggest_fixes(lines, "image, copies")[0], lines
    assert ec2.leftovers() == {}
    done = toolkit_build(ec2, packer, repository, *options, "-var", "wait_minutes=2")
    assert done.code == 0, done.output[-3000:]


@pytest.mark.parametrize(("minutes", "seconds"), [(None, 3600), ("240", 14400), ("0.05", 4)])
def test_the_time_becomes_attempts(
    packer: Packer, repository: Path, minutes: str | None, seconds: int
) -> None:
    """The time that Packer waits is wait_minutes, an hour unless it is set.  (report 7)."""
    source = (repository / "sources.pkr.hcl").read_text()
    assert "delay_seconds = 2\n" in source
    expression = source.partition("max_attempts  = ")[2].partition("\n")[0]
    options = ("-var", f"wait_minutes={minutes}") if minutes else ()
    assert int(packer.evaluate(repository, expression, *options)) * 2 == seconds


@pytest.mark.parametrize("minutes", ["0", "-5", "10000"])
def test_a_time_that_makes_no_sense_is_refused(
    packer: Packer, repository: Path, minutes: str
) -> None:
    """A time of nothing, and one of more than a day, end `packer validate`.  (report 7)."""
    command = ("validate", "-var", f"wait_minutes={minutes}", ".")
    done = packer.run(*command, cwd=repository, check=False)
    assert done.returncode == 1
    assert "The wait_minutes must be more than 0" in done.stdout + done.stderr
