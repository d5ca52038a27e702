"""Each gap of moto is closed; and it is still there, or the shim could go.

A check is written once, as a function with the shim's name: `test_as_ec2` wants it to pass on the
rig, `test_moto_still_lacks` wants it to fail when that one shim is taken out.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rig import CHECKOUT
from rig.aws import Ec2
from rig_selftest import account_checks  # noqa: F401 - it adds its checks
from rig_selftest.shim_checks import CHECKS, check, refused

# Without these two there is nothing to log in to, which needs no proof.
ALWAYS = ["default_vpc_on_loopback", "containers_as_instances"]


def debian(ec2: Ec2, arch: str = "amd64") -> str:
    """Return a parent image."""
    return ec2.newest_parent(f"debian-12-{arch}-*")


def encrypted_root() -> list[dict[str, Any]]:
    """Map the root device as the builds do."""
    return [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeType": "gp3"}}]


@check
def default_vpc_on_loopback(ec2: Ec2) -> None:
    """Addresses that the machine has, another one for each region."""
    blocks = set()
    for region in ("eu-west-1", "us-east-1", "ap-south-1"):
        subnets = ec2.client(region_name=region).describe_subnets()["Subnets"]
        assert all(subnet["CidrBlock"].startswith("127.") for subnet in subnets)
        blocks |= {subnet["CidrBlock"] for subnet in subnets}
    assert len(blocks) >= 8


@check
def containers_as_instances(ec2: Ec2) -> None:
    """Something answers."""
    with ec2.boot(debian(ec2)) as instance:
        assert ec2.ssh(instance, "admin", "true").code == 0


@check
def security_group_in_use(ec2: Ec2) -> None:
    """DependencyViolation while the instance lives, gone afterwards."""
    client = ec2.client()
    with ec2.boot(debian(ec2)) as instance:
        group = instance["SecurityGroups"][0]["GroupId"]
        refused("DependencyViolation", client.delete_security_group, GroupId=group)


@check
def volumes_of_the_ami(ec2: Ec2) -> None:
    """The request changes the AMI's root volume, and what it leaves out comes from the AMI."""
    client = ec2.client()
    with ec2.boot(debian(ec2), BlockDeviceMappings=encrypted_root()) as instance:
        (device,) = instance["BlockDeviceMappings"]
        assert device["DeviceName"] == "/dev/xvda"
        (volume,) = client.describe_volumes(VolumeIds=[device["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (8, "gp3", True)
    assert volume["Throughput"] == 125
    refused(
        "InvalidBlockDeviceMapping",
        client.run_instances,
        ImageId=debian(ec2),
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 4}}],
    )


@check
def architecture_of_the_instance_type(ec2: Ec2) -> None:
    """An arm64 image does not start on an Intel machine, nor the other way round."""
    client = ec2.client()
    for arch, kind in (("arm64", "t3.micro"), ("amd64", "t4g.micro")):
        refused(
            "InvalidParameterValue",
            client.run_instances,
            ImageId=debian(ec2, arch),
            InstanceType=kind,
            MinCount=1,
            MaxCount=1,
        )


@check
def metadata_options_of_the_ami(ec2: Ec2) -> None:
    """An image with v2.0 makes tokens required."""
    client = ec2.client()
    with ec2.boot(debian(ec2)) as instance:
        ami = client.create_image(InstanceId=instance["InstanceId"], Name="imds")["ImageId"]
    client.modify_image_attribute(ImageId=ami, ImdsSupport={"Value": "v2.0"})
    with ec2.boot(ami) as instance:
        assert instance["MetadataOptions"]["HttpTokens"] == "required"


@check
def tags_of_network_interfaces(ec2: Ec2) -> None:
    """A tag specification for interfaces reaches them."""
    wanted = [{"Key": "Project", "Value": "x"}]
    tags = [{"ResourceType": "network-interface", "Tags": wanted}]
    with ec2.boot(debian(ec2), TagSpecifications=tags) as instance:
        interfaces = ec2.client().describe_network_interfaces(
            Filters=[{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
        )
    assert interfaces["NetworkInterfaces"][0]["TagSet"] == wanted


@check
def interfaces_end_with_the_instance(ec2: Ec2) -> None:
    """The primary interface goes with the instance."""
    with ec2.boot(debian(ec2)):
        assert "network-interface" in ec2.leftovers()
    assert "network-interface" not in ec2.leftovers()


@check
def owners_of_the_parents(ec2: Ec2) -> None:
    """Only Amazon's images are Amazon's, and the root volumes are plausible."""
    images = ec2.client().describe_images(Owners=["amazon"])["Images"]
    assert {image["OwnerId"] for image in images} == {"137112412989"}
    ebs = images[0]["BlockDeviceMappings"][0]["Ebs"]
    assert (ebs["VolumeSize"], ebs["VolumeType"], ebs["DeleteOnTermination"]) == (8, "gp3", True)


@check
def image_filters(ec2: Ec2) -> None:
    """The filters that the field uses to choose a parent are known."""
    filters = {
        "block-device-mapping.snapshot-id": "snap-*",
        "block-device-mapping.volume-type": "gp3",
        "description": "debian-12-*",
        "ena-support": "true",
        "hypervisor": "xen",
        "image-type": "machine",
        "is-public": "true",
        "name": "debian-12-amd64-*",
        "root-device-type": "ebs",
        "state": "available",
        "virtualization-type": "hvm",
    }
    found = ec2.client().describe_images(
        Filters=[{"Name": name, "Values": [value]} for name, value in filters.items()]
    )["Images"]
    assert len(found) == 4


@check
def visible_images(ec2: Ec2) -> None:
    """Disabled images, and deprecated ones of other accounts, appear only on request."""
    disabled = ec2.add_image("web-1", state="disabled")
    own = ec2.add_image("web-2", deprecated="2026-01-01T00:00:00.000Z")
    later = ec2.add_image("web-3", owner="222233334444", deprecated="2999-01-01T00:00:00.000Z")
    past = ec2.add_image("web-4", owner="222233334444", deprecated="2026-01-01T00:00:00.000Z")

    def listed(**options: Any) -> set[str]:
        query = {"Filters": [{"Name": "name", "Values": ["web-*"]}], **options}
        return {image["ImageId"] for image in ec2.client().describe_images(**query)["Images"]}

    assert listed() == {own, later}
    assert listed(IncludeDisabled=True) == {disabled, own, later}
    assert listed(IncludeDeprecated=True) == {own, later, past}
    assert listed(ImageIds=[past], Filters=[]) == {past}


@check
def snapshots_of_images(ec2: Ec2) -> None:
    """A snapshot stays as long as one of its images does."""
    client = ec2.client()
    first = ec2.add_image("web-1")
    (image,) = client.describe_images(ImageIds=[first])["Images"]
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    second = ec2.add_image("web-2", snapshot=snapshot)
    client.deregister_image(ImageId=first)
    refused("InvalidSnapshot.InUse", client.delete_snapshot, SnapshotId=snapshot)
    client.deregister_image(ImageId=second)
    client.delete_snapshot(SnapshotId=snapshot)
    assert ec2.leftovers() == {}


@check
def create_image(ec2: Ec2) -> None:
    """Tags on both, the volume's encryption, EC2's errors, and the disk itself."""
    client = ec2.client()
    tags = [{"Key": "Project", "Value": "x"}]
    with ec2.boot(debian(ec2), BlockDeviceMappings=encrypted_root()) as instance:
        ec2.ssh(instance, "admin", "echo kept > kept; sync")
        request = {
            "InstanceId": instance["InstanceId"],
            "Name": "web-1",
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")
            ],
        }
        ami = client.create_image(**request)["ImageId"]
        refused("InvalidAMIName.Duplicate", client.create_image, **request)
        refused("InvalidAMIName.Malformed", client.create_image, **{**request, "Name": "a:b"})
    refused("IncorrectInstanceState", client.create_image, **{**request, "Name": "web-2"})
    (image,) = client.describe_images(ImageIds=[ami])["Images"]
    ebs = image["BlockDeviceMappings"][0]["Ebs"]
    assert (ebs["Encrypted"], ebs["VolumeType"], ebs["VolumeSize"]) == (True, "gp3", 8)
    (snapshot,) = client.describe_snapshots(SnapshotIds=[ebs["SnapshotId"]])["Snapshots"]
    assert snapshot["Encrypted"] is True
    assert image["Tags"] == snapshot["Tags"] == tags
    assert ec2.ami(ami).read("/home/admin/kept") == "kept\n"


@check
def copy_image(ec2: Ec2) -> None:
    """A copy has the disk, the architecture, encryption on request, and tags on request."""
    client = ec2.client()
    with ec2.boot(debian(ec2, "arm64")) as instance:
        ami = client.create_image(InstanceId=instance["InstanceId"], Name="web-1")["ImageId"]
    client.create_tags(Resources=[ami], Tags=[{"Key": "Project", "Value": "x"}])
    there = ec2.client(region_name="eu-central-1")
    copy = there.copy_image(
        SourceImageId=ami, SourceRegion="eu-west-1", Name="web-1", Encrypted=True,
        CopyImageTags=True,
    )["ImageId"]  # fmt: skip
    (image,) = there.describe_images(ImageIds=[copy])["Images"]
    assert image["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert image["Architecture"] == "arm64"
    assert image["Tags"] == [{"Key": "Project", "Value": "x"}]
    assert "admin" in ec2.ami(copy).sh("ls /home")
    refused(
        "InvalidParameterDependency", there.copy_image, SourceImageId=ami,
        SourceRegion="eu-west-1", Name="web-2", KmsKeyId="alias/x",
    )  # fmt: skip


@check
def image_attributes(ec2: Ec2) -> None:
    """Description and IMDS support are shown afterwards."""
    client = ec2.client()
    with ec2.boot(debian(ec2)) as instance:
        ami = client.create_image(InstanceId=instance["InstanceId"], Name="web-1")["ImageId"]
    client.modify_image_attribute(ImageId=ami, Description={"Value": "The web"})
    client.modify_image_attribute(ImageId=ami, ImdsSupport={"Value": "v2.0"})
    client.modify_image_attribute(
        ImageId=ami, LaunchPermission={"Add": [{"UserId": "210987654321"}]}
    )
    (image,) = client.describe_images(ImageIds=[ami])["Images"]
    assert (image["Description"], image["ImdsSupport"]) == ("The web", "v2.0")
    shared = client.describe_image_attribute(ImageId=ami, Attribute="launchPermission")
    assert shared["LaunchPermissions"] == [{"UserId": "210987654321"}]


@check
def keys_that_cannot_be_shared(ec2: Ec2) -> None:
    """An image with the managed key is not shared; the default key of the account is known."""
    client = ec2.client()
    assert client.get_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"
    ami = ec2.add_image("web-1", {})
    with pytest.raises(ClientError, match="AWS Managed CMK can't be shared"):
        client.modify_image_attribute(
            ImageId=ami, LaunchPermission={"Add": [{"UserId": "210987654321"}]}
        )


@check
def image_deprecation(ec2: Ec2) -> None:
    """The time is kept to the minute, can be taken back, and lies in the future."""
    client = ec2.client()
    with ec2.boot(debian(ec2)) as instance:
        ami = client.create_image(InstanceId=instance["InstanceId"], Name="web-1")["ImageId"]
    at = datetime.now(timezone.utc) + timedelta(days=90)
    client.enable_image_deprecation(ImageId=ami, DeprecateAt=at)
    (image,) = client.describe_images(ImageIds=[ami])["Images"]
    assert image["DeprecationTime"] == at.strftime("%Y-%m-%dT%H:%M:00.000Z")
    client.disable_image_deprecation(ImageId=ami)
    assert "DeprecationTime" not in client.describe_images(ImageIds=[ami])["Images"][0]
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    refused("InvalidParameterValue", client.enable_image_deprecation, ImageId=ami, DeprecateAt=past)


@check
def deregistration_protection(ec2: Ec2) -> None:
    """A protected image stays until the protection is off; then snapshots can go with it."""
    client = ec2.client()
    with ec2.boot(debian(ec2)) as instance:
        ami = client.create_image(InstanceId=instance["InstanceId"], Name="web-1")["ImageId"]
    client.enable_image_deregistration_protection(ImageId=ami)
    refused("OperationNotPermitted", client.deregister_image, ImageId=ami)
    client.disable_image_deregistration_protection(ImageId=ami)
    docker_image = ec2.ami(ami).image
    client.deregister_image(ImageId=ami, DeleteAssociatedSnapshots=True)
    assert ec2.leftovers() == {}
    assert ec2.docker("images", "--quiet", docker_image).stdout == ""


@pytest.mark.parametrize("name", list(CHECKS))
def test_as_ec2(ec2: Ec2, name: str) -> None:
    """With its shim, moto does what EC2 documents."""
    CHECKS[name](ec2)


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in ALWAYS])
def test_moto_still_lacks(ec2: Ec2, name: str) -> None:
    """The check fails without its shim.  When it passes, moto has learnt it: remove the shim."""
    ec2.without_shim(name)
    with pytest.raises((AssertionError, ClientError, KeyError, pytest.fail.Exception)):
        CHECKS[name](ec2)


def test_every_shim_has_a_check_and_names_its_source() -> None:
    """No shim without proof, and none without a page of AWS's documentation."""
    found: dict[str, str] = {}
    for file in (CHECKOUT / "tests/rig/aws/shims").glob("[!_]*.py"):
        found |= dict(
            re.findall(r'@shim\ndef (\w+)\(.*?\n    """(.*?)"""', file.read_text(), re.DOTALL)
        )
    assert set(found) == set(CHECKS)
    for name, text in found.items():
        assert "moto: " in text, name
        assert "https://docs.aws.amazon.com/" in text or name in ALWAYS, name


def test_what_moto_cannot_do_is_said_at_once(ec2: Ec2) -> None:
    """A 500 would be repeated for minutes by every client."""
    with pytest.raises(ClientError) as error:
        ec2.client().get_console_screenshot(InstanceId="i-0123456789abcdef0")
    assert error.value.response["Error"]["Code"] == "RigNotImplemented"
    assert json.dumps(ec2.call("GetConsoleScreenshot").params) == (
        '{"InstanceId": "i-0123456789abcdef0"}'
    )
