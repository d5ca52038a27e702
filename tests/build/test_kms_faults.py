"""What a build reports, and the issue advises, when EC2 may not use the KMS key."""

from __future__ import annotations

from pathlib import Path

import pytest

from packer_toolkit.pipeline.advice import suggest_fixes
from rig.aws.rig import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import build_report, small_repository, toolkit_build

IMAGE = ("-var", "skip_create_ami=false")


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return a repository with a key, and a copy region."""
    answers = {"aws_copy_regions": "us-east-1", "aws_kms_key": "alias/packer-ami"}
    return small_repository(template, tmp_path / "packer-ami-small", **answers)


def test_an_instance_that_terminates_by_itself_points_to_the_key(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """Without kms:CreateGrant the instance terminates at launch, and the first advice is the key.

    (review R4)
    """
    ec2.deny_key()
    done = toolkit_build(ec2, packer, repository)
    assert done.code == 1
    assert "Client.InternalError: Client error on launch" in done.output
    lines = build_report(repository)["last_lines"]
    assert "`kms:CreateGrant`" in suggest_fixes(lines, "instance, until login")[0]
    assert ec2.leftovers() == {}


def test_a_failed_copy_points_to_the_key(ec2: Ec2, packer: Packer, repository: Path) -> None:
    """A copy region whose key EC2 may not use makes the copy fail, and the advice names it.

    (review R4)
    """
    held = ec2.hold("CopyImage", moment="before")
    import threading

    def deny() -> None:
        if held.came(timeout=120):
            ec2.deny_key()
            held.release()

    denier = threading.Thread(target=deny)
    denier.start()
    done = toolkit_build(ec2, packer, repository, *IMAGE)
    denier.join()
    assert done.code == 1, done.output[-3000:]
    assert "Error waiting for AMI" in done.output
    lines = build_report(repository)["last_lines"]
    assert "docs/aws-actions-kms.txt" in suggest_fixes(lines, "image, copies")[0], lines
    assert ec2.leftovers() == {}


@pytest.mark.parametrize(
    ("action", "code", "message"),
    [
        ("RunInstances", "InvalidKMSKey.InvalidState", "The KMS key is pending deletion"),
        ("RunInstances", "KMSKeyNotAccessibleFault", "The key is not accessible"),
        ("CopyImage", "InvalidParameterValue", "Alias arn:aws:kms:…:alias/x is not found."),
        ("CreateImage", "AccessDenied", "not authorized to perform: kms:CreateGrant on resource"),
        ("CopyImage", "UnauthorizedOperation", "not authorized to perform: kms:ReEncryptTo"),
    ],
)
def test_each_face_of_the_key_has_its_advice(
    ec2: Ec2, packer: Packer, repository: Path, action: str, code: str, message: str
) -> None:
    """Whatever EC2 answers about the key, the first advice names key, alias and permissions.

    (review R4)
    """
    ec2.fault(action, "custom", code=code, status=400, message=message)
    done = toolkit_build(ec2, packer, repository, *IMAGE)
    assert done.code == 1
    first = suggest_fixes(build_report(repository)["last_lines"])[0]
    assert "an alias must exist" in first
    assert "kms:CreateGrant" in first


@pytest.mark.parametrize(
    "line",
    [
        "RequestLimitExceeded: Request limit exceeded.",
        "Error waiting for AMI: exceeded max wait time for ImageAvailable waiter",
        "UnauthorizedOperation: You are not authorized to perform this operation.",
    ],
)
def test_other_failures_do_not_point_to_the_key(line: str) -> None:
    """Throttling, a wait that is too short and a missing action of EC2 have advice of their own.

    (review R4)
    """
    assert not any("KMS" in text for text in suggest_fixes([line]))
