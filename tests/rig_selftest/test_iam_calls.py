"""Recorded calls become the requests that the Service Authorization Reference describes."""

from __future__ import annotations

import dataclasses
from typing import Any

from rig.aws.rig import Call
from rig.iam.calls import list_requests
from rig.iam.policy import Request

KEYS = {"eu-west-1": "arn:aws:kms:eu-west-1:123456789012:key/mrk-0"}
EC2 = "arn:aws:ec2:eu-west-1"
TAGS = [{"Key": "Repository", "Value": "packer-ami-web"}]


def make_call(action: str, service: str = "ec2", **values: Any) -> Call:
    """Return a recorded call in eu-west-1."""
    fields: dict[str, Any] = {field.name: None for field in dataclasses.fields(Call)}
    fields |= {"action": action, "service": service, "region": "eu-west-1", "resource_tags": {}}
    return Call(**{**fields, **values})


def list_pairs(call: Call) -> set[tuple[str, str]]:
    """Return action and resource of each request."""
    requests = list_requests(call, instance_role="arn:aws:iam::1:role/x", key_arns=KEYS)
    return {(request.action, request.resource) for request in requests}


def test_launch() -> None:
    """A launch needs what it uses, what it creates, the tags, the role and the key."""
    params = {
        "ImageId": "ami-1",
        "KeyName": "packer",
        "SecurityGroupIds": ["sg-2"],
        "SubnetId": "subnet-3",
        "IamInstanceProfile": {"Name": "builder"},
        "BlockDeviceMappings": [{"Ebs": {"KmsKeyId": "alias/packer-ami"}}],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": TAGS}],
    }
    pairs = list_pairs(make_call("RunInstances", params=params))
    own = f"{EC2}:123456789012"
    launched = {arn for action, arn in pairs if action == "ec2:RunInstances"}
    assert launched == {
        f"{EC2}::image/ami-1", f"{own}:key-pair/packer", f"{own}:security-group/sg-2",
        f"{own}:subnet/subnet-3", f"{own}:instance/*", f"{own}:network-interface/*",
        f"{own}:volume/*",
    }  # fmt: skip
    assert ("ec2:CreateTags", f"{own}:instance/*") in pairs
    assert ("iam:PassRole", "arn:aws:iam::1:role/x") in pairs
    assert ("kms:CreateGrant", KEYS["eu-west-1"]) in pairs


def test_tags_of_request_and_resource() -> None:
    """The tags that a resource has and those that it gets are different keys."""
    params = {"Resources": ["ami-1", "snap-2"], "Tags": TAGS}
    call = make_call("CreateTags", params=params, resource_tags={"ami-1": {"Repository": "other"}})
    requests = list_requests(call, instance_role="", key_arns=KEYS)
    common = {"aws:RequestedRegion": "eu-west-1", "aws:RequestTag/Repository": "packer-ami-web"}
    image = {"aws:ResourceTag/Repository": "other", **common}
    assert requests == [
        Request("ec2:CreateTags", f"{EC2}::image/ami-1", image),
        Request("ec2:CreateTags", f"{EC2}::snapshot/snap-2", common),
    ]


def test_copy_from_another_region() -> None:
    """The source of a copy is in its own region, and the copied tags need a permission."""
    params = {"SourceImageId": "ami-1", "SourceRegion": "us-east-1", "CopyImageTags": True}
    tags = {"ami-1": {"Repository": "packer-ami-web"}}
    pairs = list_pairs(make_call("CopyImage", params=params, resource_tags=tags))
    assert ("ec2:CopyImage", "arn:aws:ec2:us-east-1::image/ami-1") in pairs
    assert ("ec2:CopyImage", f"{EC2}::image/*") in pairs
    assert ("ec2:CreateTags", f"{EC2}::image/*") in pairs


def test_reading_has_no_resources() -> None:
    """Calls that read are authorized for all resources."""
    assert list_pairs(make_call("DescribeImages", params={"ImageIds": ["ami-1"]})) == {
        ("ec2:DescribeImages", "*")
    }
