"""Images, snapshots and parameters of another account, for those that they are shared with."""

from __future__ import annotations

import re
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import AmiBackend
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.instances import InstanceBackend, StateReason
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.kms.models import kms_backends
from moto.ssm.models import SimpleSystemManagerBackend, ssm_backends

from rig.aws.shims._registry import Rig, shim
from rig.aws.shims.accounts import is_shared_with, key_policy_allows

_PARAMETER_ARN = re.compile(r"arn:[^:]+:ssm:([^:]+):(\d{12}):parameter(/.+)")
_RESOLVE = "resolve:ssm:"


@shim
def shared_images(rig: Rig) -> None:  # noqa: ARG001
    """Show an image to the accounts and the organizations that may launch it.

    moto: stores launch permissions, and shows each account its own images only; takes only the
    first organization.  EC2: a shared image is found by ID, by owner and by filters.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-explicit.html
    """
    describe = AmiBackend.describe_images

    def with_shared(self: Any, *args: Any, **kwargs: Any) -> Any:
        own = self.amis
        self.amis = {**own, **_find_shared_images(self)}
        try:
            return describe(self, *args, **kwargs)
        finally:
            self.amis = own

    AmiBackend.describe_images = with_shared  # type: ignore[method-assign]


@shim
def shared_snapshots(rig: Rig) -> None:  # noqa: ARG001
    """Show a snapshot to the accounts that may create volumes of it; launch shared images.

    moto: shows each account its own snapshots only.  EC2: CreateVolumePermission shares it; who
    launches a shared image needs no permission for its snapshots.
    https://docs.aws.amazon.com/ebs/latest/userguide/ebs-modifying-snapshot-permissions.html
    """
    describe, get = EBSBackend.describe_snapshots, EBSBackend.get_snapshot

    def describe_with_shared(
        self: Any, snapshot_ids: list[str] | None = None, filters: Any = None
    ) -> Any:
        own = self.snapshots
        shared = {
            snapshot.id: snapshot
            for backend in _other_backends(self)
            for snapshot in backend.snapshots.values()
            if self.account_id in snapshot.create_volume_permission_userids
        }
        self.snapshots = {**own, **shared}
        try:
            return describe(self, snapshot_ids, filters)
        finally:
            self.snapshots = own

    def get_of_shared_image(self: Any, snapshot_id: str) -> Any:
        for image in _find_shared_images(self).values():
            if snapshot_id in (each["Ebs"]["SnapshotId"] for each in image.block_device_mappings):
                return image.ec2_backend.snapshots[snapshot_id]
        return get(self, snapshot_id)

    EBSBackend.describe_snapshots = describe_with_shared  # type: ignore[method-assign]
    EBSBackend.get_snapshot = get_of_shared_image  # type: ignore[method-assign]


@shim
def keys_of_shared_images(rig: Rig) -> None:  # noqa: ARG001
    """Terminate an instance whose account may not use the key of a shared image.

    moto: asks for no key.  EC2: the instance is terminated with Client.InternalError.  A launch by
    Auto Scaling needs a grant for its service-linked role.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
    """
    run_instances = InstanceBackend.run_instances

    def checked(self: Any, image_id: str, *args: Any, **kwargs: Any) -> Any:
        reservation = run_instances(self, image_id, *args, **kwargs)
        image = _find_shared_images(self).get(image_id)
        by_auto_scaling = any(
            "aws:autoscaling:groupName" in tags for tags in kwargs.get("tags", {}).values()
        )
        if image and not all(
            _may_use_key(self.account_id, mapping["Ebs"].get("KmsKeyId"), by_auto_scaling)
            for mapping in image.block_device_mappings
        ):
            self.terminate_instances([instance.id for instance in reservation.instances])
            code = "Client.InternalError"
            for instance in reservation.instances:
                instance.state_reason = StateReason(f"{code}: Client error on launch", code)
        return reservation

    InstanceBackend.run_instances = checked  # type: ignore[method-assign]


@shim
def shared_parameters(rig: Rig) -> None:
    """Read a parameter of another account by its ARN, if RAM shares it.

    moto: removes account and region from an ARN, and looks in the caller's own parameters.
    Systems Manager: GetParameter and GetParameters take the ARN of a parameter that is shared.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-shared-parameters.html
    """
    get, get_many = (
        SimpleSystemManagerBackend.get_parameter,
        SimpleSystemManagerBackend.get_parameters,
    )

    def find_backend(self: Any, name: str) -> Any:
        match = _PARAMETER_ARN.match(name)
        if not match or match[2] == self.account_id:
            return self
        region, account, _ = match.groups()
        arn = match[0].partition("parameter/")
        is_shared = region == self.region_name and rig.services["ram"].is_shared(
            arn[0] + arn[1] + arn[2].partition(":")[0], self.account_id
        )
        return ssm_backends[account][region] if is_shared else None

    def get_shared(self: Any, name: str) -> Any:
        backend = find_backend(self, name)
        return get(backend, name) if backend else None

    def get_many_shared(self: Any, names: list[str]) -> Any:
        foreign = [name for name in names if find_backend(self, name) is not self]
        answers = get_many(self, [name for name in names if name not in foreign])
        for name in foreign:
            if parameter := get_shared(self, name):
                answers[name] = parameter
        return answers

    SimpleSystemManagerBackend.get_parameter = get_shared  # type: ignore[method-assign]
    SimpleSystemManagerBackend.get_parameters = get_many_shared  # type: ignore[method-assign]


@shim
def images_of_parameters(rig: Rig) -> None:  # noqa: ARG001
    """Launch the image that a parameter names, where a launch template has resolve:ssm:.

    moto: takes the text for an image ID.  EC2: reads the parameter at each launch, and in
    DescribeLaunchTemplateVersions with ResolveAlias.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/create-launch-template.html#use-an-ssm-parameter-instead-of-an-ami-id
    """
    run_instances = InstanceBackend.run_instances
    describe = LaunchTemplates.describe_launch_template_versions

    def resolve(backend: Any, image_id: str) -> str:
        if not image_id.startswith(_RESOLVE):
            return image_id
        name = image_id.removeprefix(_RESOLVE)
        parameter = ssm_backends[backend.account_id][backend.region_name].get_parameter(name)
        if parameter is None:
            raise EC2ClientError(
                "InvalidParameterValue", f"Parameter {name} could not be read, or does not exist."
            )
        return str(parameter.value)

    def run_resolved(self: Any, image_id: str, *args: Any, **kwargs: Any) -> Any:
        if template := kwargs.get("launch_template"):
            image_id = image_id or self._get_template_from_args(template).image_id
        return run_instances(self, resolve(self, image_id), *args, **kwargs)

    def describe_resolved(self: Any) -> Any:
        answer = describe(self)
        result: Any = answer.result
        if self._get_param("ResolveAlias", False):
            for version in result["LaunchTemplateVersions"]:
                data = version["LaunchTemplateData"]
                if "ImageId" in data:
                    image_id = resolve(self.ec2_backend, data["ImageId"])
                    version["LaunchTemplateData"] = {**data, "ImageId": image_id}
        return answer

    InstanceBackend.run_instances = run_resolved  # type: ignore[method-assign]
    LaunchTemplates.describe_launch_template_versions = describe_resolved  # type: ignore[method-assign]


def _other_backends(backend: Any) -> list[Any]:
    """List the backends of the other accounts in the same region."""
    return [
        regions[backend.region_name]
        for account, regions in list(ec2_backends.items())
        if account != backend.account_id and backend.region_name in regions
    ]


def _find_shared_images(backend: Any) -> dict[str, Any]:
    """Return the images, by ID, that the backend's account may launch and does not own."""
    return {
        image.id: image
        for other in _other_backends(backend)
        for image in other.amis.values()
        if image.id not in backend.amis
        and is_shared_with(
            [
                permission.get("UserId") or permission.get("OrganizationArn", "")
                for permission in image.launch_permissions
            ],
            backend.account_id,
        )
    }


def _may_use_key(account: str, arn: str | None, by_auto_scaling: bool) -> bool:
    """Tell whether EC2 may decrypt a volume for an account, or for its Auto Scaling groups."""
    if arn is None:
        return True
    _, _, _, region, owner, name = arn.split(":")
    key = kms_backends[owner][region].keys[name.removeprefix("key/")]
    if owner == account:
        return True
    if by_auto_scaling:
        role = f"arn:aws:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/"
        return any(grant.grantee_principal.startswith(role) for grant in key.grants.values())
    via_ec2 = {"kms:ViaService": f"ec2.{region}.amazonaws.com"}
    return key_policy_allows(key, account, "kms:Decrypt", via_ec2) and key_policy_allows(
        key, account, "kms:CreateGrant", {**via_ec2, "kms:GrantIsForAWSResource": "true"}
    )
