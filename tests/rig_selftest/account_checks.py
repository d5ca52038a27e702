"""Checks of the shims for what accounts set, and for what they share."""

from __future__ import annotations

import json
from typing import Any

from rig.aws import Ec2
from rig.aws.credentials import ACCOUNT
from rig_selftest.shim_checks import check, refused

CONSUMER = "210987654321"


def consumer(ec2: Ec2, service: str = "ec2", **options: Any) -> Any:
    """Return a client of the other account."""
    role = f"arn:aws:iam::{CONSUMER}:role/deploy"
    keys = ec2.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return ec2.client(
        service,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        **options,
    )


def key_policy(*accounts: str) -> str:
    """Return a key policy that lets accounts do everything."""
    principals = [f"arn:aws:iam::{account}:root" for account in accounts]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": principals},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def put_parameter(ec2: Ec2, value: str, tier: str = "Advanced") -> str:
    """Store an image ID, and return the ARN of the parameter."""
    ec2.client("ssm").put_parameter(
        Name="/packer-ami/web", Value=value, Type="String", Tier=tier, Overwrite=True
    )
    return f"arn:aws:ssm:{ec2.region}:{ACCOUNT}:parameter/packer-ami/web"


def share(ec2: Ec2, arn: str, principal: str = CONSUMER) -> str:
    """Share a resource, and return the ARN of the share."""
    answer = ec2.client("ram").create_resource_share(
        name="images", principals=[principal], resourceArns=[arn]
    )
    return str(answer["resourceShare"]["resourceShareArn"])


def accept(ec2: Ec2) -> None:
    """Accept all invitations of the other account."""
    ram = consumer(ec2, "ram")
    for invitation in ram.get_resource_share_invitations()["resourceShareInvitations"]:
        ram.accept_resource_share_invitation(
            resourceShareInvitationArn=invitation["resourceShareInvitationArn"]
        )


def add_unencrypted_image(ec2: Ec2) -> str:
    """Register an image that may be shared, unlike those with the key that AWS manages."""
    client = ec2.client()
    volume = client.create_volume(Size=8, AvailabilityZone=f"{ec2.region}a")["VolumeId"]
    snapshot = client.create_snapshot(VolumeId=volume)["SnapshotId"]
    client.delete_volume(VolumeId=volume)
    return ec2.add_image("web-1.0.0-x86_64", snapshot=snapshot)


def join_organization(ec2: Ec2) -> str:
    """Let both accounts be in one organization, and return its ARN."""
    organizations = ec2.client("organizations")
    organization = organizations.create_organization(FeatureSet="ALL")["Organization"]
    ec2.admin("join_organization", account=CONSUMER)
    return str(organization["Arn"])


@check
def replica_keys(ec2: Ec2) -> None:
    """A replica has its own policy and description, and its primary key stays one."""
    kms, replicas = ec2.client("kms"), ec2.client("kms", region_name="eu-central-1")
    key = kms.create_key(MultiRegion=True, Description="primary")["KeyMetadata"]["KeyId"]
    policy = key_policy(ACCOUNT, CONSUMER)
    kms.replicate_key(
        KeyId=key,
        ReplicaRegion="eu-central-1",
        Policy=policy,
        Description="replica",
        Tags=[{"TagKey": "a", "TagValue": "b"}],
    )
    replica = replicas.describe_key(KeyId=key)["KeyMetadata"]
    assert replica["Description"] == "replica"
    assert replica["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    assert replicas.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == policy
    assert replicas.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    primary = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert primary["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"


@check
def rotation_period(ec2: Ec2) -> None:
    """The days between two rotations are those of the call."""
    kms = ec2.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 180


@check
def keys_of_other_accounts(ec2: Ec2) -> None:
    """Only an account that the key policy names uses the key, and only in the key's region."""
    kms, other = ec2.client("kms"), consumer(ec2, "kms")
    key = kms.create_key(Policy=key_policy(ACCOUNT, CONSUMER))["KeyMetadata"]["Arn"]
    grant = {"GranteePrincipal": f"arn:aws:iam::{CONSUMER}:role/x", "Operations": ["Decrypt"]}
    other.create_grant(KeyId=key, **grant)
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1
    elsewhere = consumer(ec2, "kms", region_name="eu-central-1")
    refused("NotFoundException", elsewhere.create_grant, KeyId=key, **grant)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(ACCOUNT))
    refused("AccessDeniedException", other.create_grant, KeyId=key, **grant)


@check
def resource_access_manager(ec2: Ec2) -> None:
    """An outside account sees a share once it has accepted it; only advanced parameters fit."""
    standard = put_parameter(ec2, "ami-1", tier="Standard")
    ram = ec2.client("ram")
    refused(
        "InvalidParameterException",
        ram.create_resource_share,
        name="images",
        resourceArns=[standard],
    )
    arn = share(ec2, put_parameter(ec2, "ami-1"))
    other = consumer(ec2, "ram")
    assert other.get_resource_shares(resourceOwner="OTHER-ACCOUNTS")["resourceShares"] == []
    accept(ec2)
    (found,) = other.get_resource_shares(resourceOwner="OTHER-ACCOUNTS")["resourceShares"]
    assert found["resourceShareArn"] == arn
    ram.disassociate_resource_share(resourceShareArn=arn, principals=[CONSUMER])
    assert other.get_resource_shares(resourceOwner="OTHER-ACCOUNTS")["resourceShares"] == []


@check
def recycle_bin(ec2: Ec2) -> None:
    """A rule is stored with its tags until it is deleted, in its region only."""
    rbin = ec2.client("rbin")
    period = {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}
    rule = rbin.create_rule(
        ResourceType="EC2_IMAGE", RetentionPeriod=period, Tags=[{"Key": "a", "Value": "b"}]
    )["Identifier"]
    elsewhere = ec2.client("rbin", region_name="eu-central-1")
    refused("ResourceNotFoundException", elsewhere.get_rule, Identifier=rule)
    rbin.update_rule(Identifier=rule, Description="images")
    found = rbin.get_rule(Identifier=rule)
    assert (found["Description"], found["RetentionPeriod"]) == ("images", period)
    assert len(rbin.list_rules(ResourceType="EC2_IMAGE")["Rules"]) == 1
    rbin.delete_rule(Identifier=rule)
    refused("ResourceNotFoundException", rbin.get_rule, Identifier=rule)


@check
def block_public_access(ec2: Ec2) -> None:
    """The state of images and of snapshots is what was set last."""
    client = ec2.client()
    assert client.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == (
        "unblocked"
    )
    client.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    client.enable_snapshot_block_public_access(State="block-all-sharing")
    assert client.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == (
        "block-new-sharing"
    )
    assert client.get_snapshot_block_public_access_state()["State"] == "block-all-sharing"
    client.disable_snapshot_block_public_access()
    assert client.get_snapshot_block_public_access_state()["State"] == "unblocked"


@check
def allowed_images(ec2: Ec2) -> None:
    """State and criteria are stored apart from each other."""
    client = ec2.client()
    client.enable_allowed_images_settings(AllowedImagesSettingsState="audit-mode")
    criteria = [{"ImageProviders": [ACCOUNT]}]
    client.replace_image_criteria_in_allowed_images_settings(ImageCriteria=criteria)
    found = client.get_allowed_images_settings()
    assert (found["State"], found["ImageCriteria"]) == ("audit-mode", criteria)
    client.disable_allowed_images_settings()
    assert client.get_allowed_images_settings()["State"] == "disabled"


@check
def default_ebs_key(ec2: Ec2) -> None:
    """After a reset, the key that AWS manages is the default again."""
    client = ec2.client()
    key = ec2.client("kms").create_key()["KeyMetadata"]["Arn"]
    client.modify_ebs_default_kms_key_id(KmsKeyId=key)
    assert client.get_ebs_default_kms_key_id()["KmsKeyId"] == key
    client.reset_ebs_default_kms_key_id()
    assert client.get_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"


@check
def instance_metadata_defaults(ec2: Ec2) -> None:
    """A default is stored until it is set to no preference."""
    client = ec2.client()
    client.modify_instance_metadata_defaults(HttpTokens="required", HttpPutResponseHopLimit=2)
    found = client.get_instance_metadata_defaults()["AccountLevel"]
    assert (found["HttpTokens"], found["HttpPutResponseHopLimit"]) == ("required", 2)
    client.modify_instance_metadata_defaults(HttpTokens="no-preference")
    assert "HttpTokens" not in client.get_instance_metadata_defaults()["AccountLevel"]


@check
def shared_images(ec2: Ec2) -> None:
    """An image is visible to the account that it is shared with, or to its organization."""
    client, other = ec2.client(), consumer(ec2)
    image = add_unencrypted_image(ec2)
    refused("InvalidAMIID.NotFound", other.describe_images, ImageIds=[image])
    permission = {"Add": [{"UserId": CONSUMER}]}
    client.modify_image_attribute(ImageId=image, LaunchPermission=permission)
    images = other.describe_images(Owners=[ACCOUNT])["Images"]
    assert [each["ImageId"] for each in images] == [image]
    client.modify_image_attribute(
        ImageId=image, LaunchPermission={"Remove": [{"UserId": CONSUMER}]}
    )
    refused("InvalidAMIID.NotFound", other.describe_images, ImageIds=[image])
    organization = join_organization(ec2)
    permission = {"Add": [{"OrganizationArn": organization}]}
    client.modify_image_attribute(ImageId=image, LaunchPermission=permission)
    assert other.describe_images(ImageIds=[image])["Images"][0]["OwnerId"] == ACCOUNT


@check
def shared_snapshots(ec2: Ec2) -> None:
    """A shared image starts without, and is copied only with permission for its snapshots."""
    client, other = ec2.client(), consumer(ec2)
    image = add_unencrypted_image(ec2)
    client.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": CONSUMER}]})
    (mapping,) = other.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
    snapshot = mapping["Ebs"]["SnapshotId"]
    refused("InvalidSnapshot.NotFound", other.describe_snapshots, SnapshotIds=[snapshot])
    copy = {"SourceImageId": image, "SourceRegion": ec2.region, "Name": "copy"}
    refused("InvalidRequest", other.copy_image, **copy)
    instance = other.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
    other.terminate_instances(InstanceIds=[instance["InstanceId"]])
    client.modify_snapshot_attribute(
        SnapshotId=snapshot,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[CONSUMER],
    )
    assert other.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert other.copy_image(**copy)["ImageId"]


@check
def keys_of_shared_images(ec2: Ec2) -> None:
    """An instance runs only if its account may use the key of the image."""
    client, other, kms = ec2.client(), consumer(ec2), ec2.client("kms")
    key = kms.create_key(Policy=key_policy(ACCOUNT))["KeyMetadata"]["Arn"]
    base = ec2.add_image("web-1.0.0-x86_64")
    image = client.copy_image(
        SourceImageId=base, SourceRegion=ec2.region, Name="web", Encrypted=True, KmsKeyId=key
    )["ImageId"]
    client.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": CONSUMER}]})
    for accounts, state in (((ACCOUNT,), "terminated"), ((ACCOUNT, CONSUMER), "running")):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(*accounts))
        started = other.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
        found = other.describe_instances(InstanceIds=[started["InstanceId"]])
        (instance,) = found["Reservations"][0]["Instances"]
        assert instance["State"]["Name"] == state
        other.terminate_instances(InstanceIds=[started["InstanceId"]])


@check
def shared_parameters(ec2: Ec2) -> None:
    """A parameter of another account is read by its ARN once it is shared and accepted."""
    arn = put_parameter(ec2, "ami-1")
    other = consumer(ec2, "ssm")
    refused("ParameterNotFound", other.get_parameter, Name=arn)
    share(ec2, arn)
    refused("ParameterNotFound", other.get_parameter, Name=arn)
    accept(ec2)
    assert other.get_parameter(Name=arn)["Parameter"]["Value"] == "ami-1"
    assert other.get_parameters(Names=[arn])["Parameters"][0]["Value"] == "ami-1"
    refused("ParameterNotFound", other.get_parameter, Name="/packer-ami/web")


@check
def images_of_parameters(ec2: Ec2) -> None:
    """A launch template with resolve:ssm: starts the image that the parameter names."""
    client = ec2.client()
    image = ec2.add_image("web-1.0.0-x86_64")
    put_parameter(ec2, image)
    client.create_launch_template(
        LaunchTemplateName="web",
        LaunchTemplateData={"ImageId": "resolve:ssm:/packer-ami/web", "InstanceType": "t3.micro"},
    )
    (version,) = client.describe_launch_template_versions(
        LaunchTemplateName="web", ResolveAlias=True
    )["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["ImageId"] == image
    (stored,) = client.describe_launch_template_versions(LaunchTemplateName="web")[
        "LaunchTemplateVersions"
    ]
    assert stored["LaunchTemplateData"]["ImageId"] == "resolve:ssm:/packer-ami/web"
    instance = client.run_instances(
        LaunchTemplate={"LaunchTemplateName": "web"}, MinCount=1, MaxCount=1
    )["Instances"][0]
    assert instance["ImageId"] == image
