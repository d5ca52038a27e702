"""A real Packer builds on the rig, and what it makes is real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rig.aws import Ec2
from rig_selftest.conftest import Probe


def test_a_build_makes_an_ami_that_boots_with_what_was_provisioned(
    ec2: Ec2, probe: Probe, tmp_path: Path
) -> None:
    """Packer exits 0, names the AMI in its manifest, and an instance of it has the file."""
    done = probe()
    assert done.code == 0, done.output

    (image,) = ec2.images()
    manifest = json.loads((tmp_path / "probe/packer-manifest.json").read_text())
    assert manifest["builds"][0]["artifact_id"] == f"eu-west-1:{image['ImageId']}"
    with ec2.boot(image["ImageId"]) as instance:
        seen = ec2.ssh(instance, "admin", "cat /etc/probe")
    assert (seen.code, seen.output) == (0, "built\n")


def test_what_a_build_removes_is_not_in_its_ami(ec2: Ec2, probe: Probe) -> None:
    """Host keys, machine-id and authorized_keys come back at the first boot, and differ."""
    assert probe().code == 0
    ami_id = ec2.images()[0]["ImageId"]

    ami = ec2.ami(ami_id)
    assert ami.read("/etc/machine-id") == ""
    assert ami.find("/etc/ssh", test="-name 'ssh_host_*'") == []
    assert ami.find("/home", test="-name authorized_keys") == []
    look = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub"
    with ec2.boot(ami_id) as one, ec2.boot(ami_id) as two:
        first, second = (ec2.ssh(each, "admin", look).output.split() for each in (one, two))
    assert len(first) == len(second) == 4
    assert not {first[0], first[2]} & {second[0], second[2]}


def test_what_a_build_forgets_to_remove_is_in_its_ami(ec2: Ec2, probe: Probe) -> None:
    """The rig cleans nothing up on its own."""
    done = probe("-var", "script=echo mine >> ~/.bash_history; touch /tmp/left")
    assert done.code == 0, done.output
    ami = ec2.ami(ec2.images()[0]["ImageId"])
    assert ami.read("/home/admin/.bash_history") == "mine\n"
    assert ami.find("/tmp") == ["/tmp/left"]  # noqa: S108 - of the image


def test_two_architectures_are_built_side_by_side(ec2: Ec2, probe: Probe) -> None:
    """Each starts from the newest parent of its architecture, on an instance of its own."""
    done = probe("-var", 'architectures=["x86_64", "arm64"]')
    assert done.code == 0, done.output
    assert {image["Architecture"] for image in ec2.images()} == {"x86_64", "arm64"}
    launched = ec2.calls("RunInstances")
    assert {call["InstanceType"] for call in launched} == {"t3.micro", "t4g.micro"}
    parents = ec2.client().describe_images(ImageIds=[call["ImageId"] for call in launched])
    assert sorted(parent["Name"] for parent in parents["Images"]) == [
        "debian-12-amd64-20261117-2301",
        "debian-12-arm64-20261117-2301",
    ]


def test_a_build_leaves_nothing_but_its_image(ec2: Ec2, probe: Probe) -> None:
    """Instance, key pair, security group and volume are gone, image and snapshot are tagged."""
    assert probe().code == 0
    left = ec2.leftovers()
    assert set(left) == {"image", "snapshot"}
    assert [thing["tags"] for things in left.values() for thing in things] == [
        {"Project": "probe"},
        {"Project": "probe"},
    ]


def test_a_copy_in_another_region_is_encrypted_and_boots_there(ec2: Ec2, probe: Probe) -> None:
    """The unencrypted intermediate image is gone afterwards."""
    done = probe("-var", 'regions=["eu-central-1"]', "-var", "encrypt_boot=true")
    assert done.code == 0, done.output
    for region in ("eu-west-1", "eu-central-1"):
        client = ec2.client(region_name=region)
        (image,) = client.describe_images(Owners=["self"])["Images"]
        assert image["Name"] == "probe-x86_64"
        assert image["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
        assert ec2.ami(image["ImageId"]).read("/etc/probe") == "built\n"


@pytest.mark.parametrize("attribute", ["HttpTokens", "HttpEndpoint"])
def test_the_record_shows_what_was_asked_for(ec2: Ec2, probe: Probe, attribute: str) -> None:
    """Parameters carry the names of AWS's API reference, all the way down."""
    assert probe().code == 0
    launch = ec2.call("RunInstances")
    wanted = {"HttpTokens": "required", "HttpEndpoint": "enabled"}
    assert launch["MetadataOptions"][attribute] == wanted[attribute]
    assert launch["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert launch.tags("instance") == launch.tags("volume") == {"Project": "probe"}
    assert ec2.call("CreateKeyPair")["KeyType"] == "ed25519"
