"""Every call is on record, with what a test wants to know about it."""

from __future__ import annotations

import time

import pytest

from rig.aws import Ec2, RigError


def test_calls_of_all_services_pass_through_one_record(ec2: Ec2) -> None:
    """Whatever protocol they speak, in the order in which they came."""
    ec2.client("sts").get_caller_identity()
    ec2.client("ssm").put_parameter(Name="/ami/web", Value="ami-1", Type="String", Tier="Standard")
    ec2.client("kms").create_key(Description="k")
    ec2.client("ecr").get_authorization_token()
    ec2.client("ec2").describe_images(Owners=["self"])
    assert [f"{call.service}:{call.action}" for call in ec2.calls()] == [
        "sts:GetCallerIdentity",
        "ssm:PutParameter",
        "kms:CreateKey",
        "ecr:GetAuthorizationToken",
        "ec2:DescribeImages",
    ]
    assert ec2.call("PutParameter").params["Name"] == "/ami/web"
    assert ec2.call("DescribeImages").params == {"Owners": ["self"]}
    assert ec2.actions()[:2] == ["ec2:DescribeImages", "ecr:GetAuthorizationToken"]


def test_a_call_tells_who_made_it_and_when(ec2: Ec2) -> None:
    """Key, principal, region, time, duration and status."""
    before = time.time()
    ec2.client(region_name="eu-central-1").describe_vpcs()
    call = ec2.call("DescribeVpcs")
    assert call.region == "eu-central-1"
    assert call.access_key == ec2.env["AWS_ACCESS_KEY_ID"]
    assert call.principal == "arn:aws:iam::123456789012:user/rig"
    assert before <= call.time <= call.time + call.seconds <= time.time()
    assert (call.status, call.error, call.fault) == (200, None, None)


def test_parameters_have_the_names_and_types_of_the_api_reference(ec2: Ec2) -> None:
    """Lists are lists, numbers are numbers, flags are flags; and secrets stay out."""
    pair = ec2.client().create_key_pair(
        KeyName="k",
        KeyType="ed25519",
        TagSpecifications=[
            {"ResourceType": "key-pair", "Tags": [{"Key": "Project", "Value": "a b&c"}]}
        ],
    )
    call = ec2.call("CreateKeyPair")
    assert call.tags("key-pair") == {"Project": "a b&c"}
    assert pair["KeyPairId"] in call.ids
    assert "PRIVATE KEY" not in str(call)
    ec2.client().create_volume(AvailabilityZone="eu-west-1a", Size=4, Encrypted=True)
    volume = ec2.call("CreateVolume")
    assert (volume["Size"], volume["Encrypted"]) == (4, True)


def test_calls_can_be_chosen_by_their_parameters(ec2: Ec2) -> None:
    """Asking for the one call, when there are more, is an error."""
    client = ec2.client()
    for name in ("a", "b"):
        client.create_key_pair(KeyName=name)
    assert ec2.call("CreateKeyPair", KeyName="b").n == 2
    with pytest.raises(RigError, match="2 calls of CreateKeyPair, not one"):
        ec2.call("CreateKeyPair")


def test_a_reset_forgets_everything(ec2: Ec2) -> None:
    """Calls, resources, faults and lifetimes."""
    ec2.client().create_key_pair(KeyName="k")
    ec2.fault("DescribeVpcs", "deny")
    ec2.sessions(seconds=0)
    ec2.reset()
    assert ec2.calls() == []
    assert ec2.leftovers() == {}
    ec2.client().describe_vpcs()
    assert ec2.cidr.endswith(".1.0/24")


def test_a_reset_gives_back_the_network_after_a_copy(ec2: Ec2) -> None:
    """The next instance is reachable again: moto alone would have it in 172.31.0.0/16."""
    with ec2.boot(ec2.newest_parent("debian-12-amd64-*")) as instance:
        image = ec2.client().create_image(InstanceId=instance["InstanceId"], Name="home")
    ec2.client(region_name="us-east-1").copy_image(
        SourceImageId=image["ImageId"], SourceRegion=ec2.region, Name="away"
    )
    ec2.reset()
    assert ec2.cidr.endswith(".1.0/24")
    assert ec2.cidr.startswith("127.")
