"""Root modules that tests apply to two accounts of the rig, and the images that they use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rig.aws import Ec2
from rig.aws.credentials import ACCOUNT
from rig.terraform.programs import Terraform

CONSUMER = "222233334444"
REGIONS = HOME, COPY = "eu-central-1", "eu-west-1"


@dataclass
class Root:
    """A root module with a state on this machine.

    Attributes:
        terraform: Terraform or OpenTofu.
        folder: Its folder.
        env: The environment that leads to the rig.
    """

    terraform: Terraform
    folder: Path
    env: Mapping[str, str]

    def run(self, *args: str, **variables: Any) -> str:
        """Run a command with values of input variables, and return its output."""
        values = {
            f"TF_VAR_{name}": value if isinstance(value, str) else json.dumps(value)
            for name, value in variables.items()
        }
        # The default is 25 attempts, which take minutes where the rig lacks a call.
        env = {"AWS_MAX_ATTEMPTS": "3", **self.env, **values}
        return self.terraform.run(*args, cwd=self.folder, env=env).stdout

    def apply(self, **variables: Any) -> str:
        """Apply the configuration, and check that a second plan has no changes."""
        self.run("init")
        output = self.run("apply", "-auto-approve", **variables)
        self.run("plan", "-detailed-exitcode", **variables)
        return output

    def read_outputs(self) -> dict[str, Any]:
        """Return the values of the outputs."""
        return {
            name: output["value"]
            for name, output in json.loads(self.run("output", "-json")).items()
        }


def consumer_client(ec2: Ec2, service: str, region: str = HOME) -> Any:
    """Return a client in the account that uses the images."""
    role = f"arn:aws:iam::{CONSUMER}:role/deploy"
    keys = ec2.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return ec2.client(
        service,
        region_name=region,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def create_shared_key(ec2: Ec2, region: str) -> str:
    """Create a key that the other account may use, and return its alias."""
    kms = ec2.client("kms", region_name=region)
    principals = [f"arn:aws:iam::{account}:root" for account in (ACCOUNT, CONSUMER)]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": principals},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    key = kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/packer-ami", TargetKeyId=key)
    return "alias/packer-ami"


def create_share(ec2: Ec2, region: str) -> str:
    """Create a resource share for the other account, and return its ARN."""
    ram = ec2.client("ram", region_name=region)
    share = ram.create_resource_share(name="packer-ami-web", principals=[CONSUMER])
    return str(share["resourceShare"]["resourceShareArn"])


def accept_shares(ec2: Ec2, region: str) -> None:
    """Accept all invitations of the other account."""
    ram = consumer_client(ec2, "ram", region)
    for invitation in ram.get_resource_share_invitations()["resourceShareInvitations"]:
        ram.accept_resource_share_invitation(
            resourceShareInvitationArn=invitation["resourceShareInvitationArn"]
        )


def release_image(
    ec2: Ec2, version: str, key: str, principal: str = CONSUMER, regions: Sequence[str] = REGIONS
) -> dict[str, str]:
    """Create an encrypted image, copy it, share it, and return its ID in each region.

    Args:
        ec2: The rig.
        version: Version of the image.
        key: Alias of the key.
        principal: Account ID, or ARN of an organization.
        regions: The build region, and those that the image is copied to.
    """
    base = ec2.add_image(f"base-{version}", region=HOME)
    images = {}
    for region in regions:
        client = ec2.client(region_name=region)
        images[region] = client.copy_image(
            SourceImageId=base,
            SourceRegion=HOME,
            Name=f"web-{version}-x86_64",
            Encrypted=True,
            KmsKeyId=ec2.client("kms", region_name=region).describe_key(KeyId=key)["KeyMetadata"][
                "Arn"
            ],
        )["ImageId"]
        kind = "OrganizationArn" if principal.startswith("arn:") else "UserId"
        client.modify_image_attribute(
            ImageId=images[region], LaunchPermission={"Add": [{kind: principal}]}
        )
    ec2.client(region_name=HOME).deregister_image(ImageId=base, DeleteAssociatedSnapshots=True)
    return images


def publish_image(ec2: Ec2, images: Mapping[str, str], shares: Mapping[str, str]) -> None:
    """Publish an image to the stage dev, as the first publication does.

    Args:
        ec2: The rig.
        images: Its ID in each region.
        shares: ARN of the resource share in each region.
    """
    name = "/packer-ami/web/x86_64/dev"
    for region, image in images.items():
        ec2.client("ssm", region_name=region).put_parameter(
            Name=name,
            Value=image,
            Type="String",
            Tier="Advanced",
            DataType="aws:ec2:image",
            Overwrite=True,
        )
        ec2.client("ram", region_name=region).associate_resource_share(
            resourceShareArn=shares[region],
            resourceArns=[f"arn:aws:ssm:{region}:{ACCOUNT}:parameter{name}"],
        )


def withdraw_image(ec2: Ec2, images: Mapping[str, str]) -> None:
    """Delete an image that `publish_image` published, and its parameters.

    Args:
        ec2: The rig.
        images: Its ID in each region.
    """
    for region, image in images.items():
        ec2.client("ssm", region_name=region).delete_parameter(Name="/packer-ami/web/x86_64/dev")
        ec2.client(region_name=region).deregister_image(
            ImageId=image, DeleteAssociatedSnapshots=True
        )


def list_resources(ec2: Ec2) -> list[str]:
    """List what Terraform created, and what it started, in both accounts and regions.

    KMS keys that are pending deletion do not count, and neither do roles that moto has itself.
    """
    resources: list[str] = []
    for region in REGIONS:
        own = partial(ec2.client, region_name=region)
        for client in (own, partial(consumer_client, ec2, region=region)):
            resources += _list_regional_resources(client)
    for iam in (ec2.client("iam"), consumer_client(ec2, "iam")):
        resources += [role["Arn"] for role in iam.list_roles()["Roles"]]
        resources += [each["Arn"] for each in iam.list_policies(Scope="Local")["Policies"]]
        resources += [each["Arn"] for each in iam.list_instance_profiles()["InstanceProfiles"]]
        providers = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        resources += [each["Arn"] for each in providers]
    return resources


def _list_regional_resources(client: Callable[..., Any]) -> list[str]:
    kms, ec2, rbin = client("kms"), client("ec2"), client("rbin")
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    groups = client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    shares = client("ram").get_resource_shares(resourceOwner="SELF")["resourceShares"]
    reservations = ec2.describe_instances()["Reservations"]
    instances = [instance for each in reservations for instance in each["Instances"]]
    kinds = ("EC2_IMAGE", "EBS_SNAPSHOT")
    rules = [rule for kind in kinds for rule in rbin.list_rules(ResourceType=kind)["Rules"]]
    return [
        *(
            key["Arn"]
            for key in keys
            if key["KeyState"] == "Enabled" and not key["Description"].startswith("Default master")
        ),
        *(share["resourceShareArn"] for share in shares if share["status"] == "ACTIVE"),
        *(rule["RuleArn"] for rule in rules),
        *(group["AutoScalingGroupARN"] for group in groups),
        *(each["Name"] for each in client("ssm").describe_parameters()["Parameters"]),
        *(each["repositoryArn"] for each in client("ecr").describe_repositories()["repositories"]),
        *(each["LaunchTemplateId"] for each in ec2.describe_launch_templates()["LaunchTemplates"]),
        *(each["InstanceId"] for each in instances if each["State"]["Name"] != "terminated"),
    ]
