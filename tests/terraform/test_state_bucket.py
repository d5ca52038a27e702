"""The script of the example creates the bucket for the state of Terraform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rig.aws import Ec2
from rig.aws.credentials import ACCOUNT
from rig.repositories.template import ROOT

SCRIPT = ROOT / "terraform" / "example" / "state-bucket.sh"


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1"])
def test_bucket_is_private_and_versioned(ec2: Ec2, region: str) -> None:
    """The script prints the name of the bucket only, also if the bucket exists already."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    runs = [
        subprocess.run(
            [SCRIPT, region],
            env={**os.environ, **ec2.env, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        for _ in range(2)
    ]
    name = f"packer-ami-terraform-state-{ACCOUNT}-{region}"
    assert [(run.returncode, run.stdout, run.stderr) for run in runs] == [(0, f"{name}\n", "")] * 2
    s3 = ec2.client("s3", region_name=region)
    access = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert set(access.values()) == {True}
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [name]
