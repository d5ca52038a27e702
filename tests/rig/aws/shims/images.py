"""AMIs: what CreateImage and CopyImage make of an instance's volumes, and what AMIs remember."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from moto.core.parse import default_timestamp_parser
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError, InvalidTaggableResourceType
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.utils import convert_tag_spec, random_ami_id

from rig.aws.shims._registry import Rig, all_backends, shim

ROOT_GIBIBYTES = 8
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html, parameter Name
_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")


@shim
def owners_of_the_parents(rig: Rig) -> None:
    """Let parent images belong to their owners, with the root volume that they would have.

    moto: everything from MOTO_AMIS_PATH has the owner alias `amazon` and a 15 GiB magnetic disk
    that outlives the instance.  EC2: `amazon` is the alias of Amazon's accounts only, a filter
    `owners = ["amazon"]` finds nobody else's, and root volumes end with the instance.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
    """
    load = AmiBackend._load_amis

    def _load_amis(self: Any) -> None:
        load(self)
        for ami in self.amis.values():
            parent = rig.parents[ami.id]
            ami.owner_alias = parent.alias
            ami.ebs_snapshot.volume.size = ROOT_GIBIBYTES
            ami.rig_mappings = [_mapping(ami.root_device_name, ami.ebs_snapshot, "gp3", True)]

    AmiBackend._load_amis = _load_amis  # type: ignore[method-assign]
    plain: Any = Ami.block_device_mappings

    def mappings(self: Any) -> Any:
        return getattr(self, "rig_mappings", None) or plain.fget(self)

    Ami.block_device_mappings = property(mappings)  # type: ignore[method-assign,assignment]


@shim
def image_filters(rig: Rig) -> None:  # noqa: ARG001
    """Answer the filters of DescribeImages that a parent is commonly chosen by.

    moto: 500 for `root-device-type`, `hypervisor`, `description`, `image-type` and others.  EC2
    knows them all.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
    """
    get_filter_value = Ami.get_filter_value
    plain = {
        "description": "description",
        "ena-support": "ena_support",
        "hypervisor": "hypervisor",
        "image-type": "image_type",
        "manifest-location": "image_location",
        "root-device-name": "root_device_name",
        "root-device-type": "root_device_type",
    }

    def extended(self: Any, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name in plain:
            return getattr(self, plain[filter_name])
        if filter_name == "block-device-mapping.volume-type":
            return [each["Ebs"]["VolumeType"] for each in self.rig_mappings]
        if filter_name == "block-device-mapping.snapshot-id":
            return [each["Ebs"]["SnapshotId"] for each in self.rig_mappings]
        if filter_name == "creation-date":
            return self.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return get_filter_value(self, filter_name, method_name)

    Ami.get_filter_value = extended  # type: ignore[method-assign]
    Ami.ena_support = True  # type: ignore[attr-defined]


@shim
def visible_images(rig: Rig) -> None:  # noqa: ARG001
    """Leave out of DescribeImages what a caller sees only on request.

    moto: lists disabled images, and deprecated ones of other accounts.  EC2: disabled images only
    with IncludeDisabled; deprecated ones to their owner, by ID, or with IncludeDeprecated.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
    """
    describe = AmisResponse.describe_images

    def respond(self: Any) -> ActionResult:
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        own = self.ec2_backend.account_id
        deprecated_too = self._get_param("IncludeDeprecated", False) or self._get_param("ImageIds")
        disabled_too = self._get_param("IncludeDisabled", False)
        answer: ActionResult = describe(self)
        result: Any = answer.result
        result["Images"] = [
            ami
            for ami in result["Images"]
            if (disabled_too or ami.state != "disabled")
            and (deprecated_too or ami.owner_id == own or (ami.deprecation_time or now) >= now)
        ]
        return answer

    AmisResponse.describe_images = respond  # type: ignore[method-assign]


@shim
def snapshots_of_images(rig: Rig) -> None:  # noqa: ARG001
    """Keep a snapshot as long as any image uses it.

    moto: knows only the image that it made the snapshot for.  EC2: InvalidSnapshot.InUse for a
    snapshot of any registered image.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshot.html
    """
    delete = ElasticBlockStore.delete_snapshot

    def respond(self: Any) -> ActionResult:
        snapshot_id = self._get_param("SnapshotId")
        for ami in self.ec2_backend.amis.values():
            if snapshot_id in (each["Ebs"]["SnapshotId"] for each in ami.rig_mappings):
                raise EC2ClientError(
                    "InvalidSnapshot.InUse",
                    f"The snapshot {snapshot_id} is currently in use by {ami.id}",
                )
        return delete(self)

    ElasticBlockStore.delete_snapshot = respond  # type: ignore[method-assign]


@shim
def create_image(rig: Rig) -> None:
    """Make an AMI of the instance: its disk, a snapshot of each of its volumes, all tags.

    moto: 500 with tags for snapshots, which Packer always sends; one 15 GiB unencrypted magnetic
    disk whatever the instance has; any name, also one that is taken; any state.  EC2: a snapshot
    for each attached volume with its size, type and encryption, image and snapshots tagged,
    InvalidAMIName.Duplicate and .Malformed, IncorrectInstanceState after termination.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html
    """

    def respond(self: Any) -> ActionResult:
        backend = self.ec2_backend
        instance = backend.get_instance(self._get_param("InstanceId"))
        name = self._get_param("Name")
        tags = _tags(self, {"image", "snapshot"})
        self.error_on_dryrun()
        _check_name(backend, name)
        if instance.state not in ("running", "stopped", "stopping", "pending"):
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which an image can be made.",
            )
        ami = _new_ami(
            backend,
            name=name,
            description=self._get_param("Description", ""),
            instance=instance,
            root_device_name=instance.root_device_name,
        )
        changes = {each["DeviceName"]: each for each in self._get_param("BlockDeviceMappings", [])}
        for device, attached in instance.get_block_device_mapping:
            if "NoDevice" in changes.get(device, {}):
                continue
            volume = backend.volumes[attached.volume_id]
            snapshot = backend.create_snapshot(
                volume.id, f"Created by CreateImage({instance.id}) for {ami.id}", from_ami=ami.id
            )
            snapshot.kms_key_id = volume.kms_key_id
            asked = changes.get(device, {}).get("Ebs", {})
            ends = asked.get("DeleteOnTermination", attached.delete_on_termination)
            mapping = _mapping(device, snapshot, volume.volume_type, ends)
            mapping["Ebs"] |= {
                key: value
                for key, value in {
                    "VolumeSize": volume.size,
                    "Iops": volume.iops,
                    "Throughput": volume.throughput,
                    **asked,
                }.items()
                if value is not None
            }
            ami.rig_mappings.append(mapping)
            snapshot.add_tags(tags.get("snapshot", {}))
        ami.add_tags(tags.get("image", {}))
        ami.rig_image = rig.containers.commit(instance.id, ami.id)
        ami.rig_user = rig.user(instance.rig_ami)
        _publish(rig, backend, ami)
        return ActionResult({"ImageId": ami.id})

    AmisResponse.create_image = respond  # type: ignore[method-assign]


@shim
def copy_image(rig: Rig) -> None:
    """Copy an AMI with its disk, its encryption and, if asked for, its tags.

    moto: an empty unencrypted AMI without architecture; Encrypted, KmsKeyId, CopyImageTags and
    TagSpecification have no effect.  EC2: snapshots are copied, encrypted when asked for (with
    the account's default key unless another is named), never decrypted.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html
    """

    def respond(self: Any) -> ActionResult:
        backend = self.ec2_backend
        home = ec2_backends[backend.account_id][self._get_param("SourceRegion")]
        source = home.describe_images(ami_ids=[self._get_param("SourceImageId")])[0]
        name = self._get_param("Name")
        tags = _tags(self, {"image", "snapshot"})
        encrypt = bool(self._get_param("Encrypted", False))
        key = self._get_param("KmsKeyId") or None
        if key and not encrypt:
            raise EC2ClientError(
                "InvalidParameterDependency", "The parameter KmsKeyId requires Encrypted to be set."
            )
        self.error_on_dryrun()
        _check_name(backend, name)
        ami = _new_ami(
            backend,
            name=name,
            description=self._get_param("Description") or source.description,
            source_ami=source,
            root_device_name=source.root_device_name,
        )
        for mapping in source.block_device_mappings:
            original = _find_readable_snapshot(home, mapping["Ebs"]["SnapshotId"])
            encrypted = encrypt or original.encrypted
            volume = backend.create_volume(
                mapping["Ebs"]["VolumeSize"],
                f"{backend.region_name}a",
                encrypted=encrypted,
                kms_key_id=key if encrypted else None,
            )
            snapshot = backend.create_snapshot(
                volume.id,
                f"Copied for DestinationAmi {ami.id} from SourceAmi {source.id}",
                from_ami=ami.id,
            )
            snapshot.kms_key_id = volume.kms_key_id
            backend.delete_volume(volume.id)
            copied = _mapping(mapping["DeviceName"], snapshot, mapping["Ebs"]["VolumeType"], True)
            copied["Ebs"] = {**mapping["Ebs"], **_identity(snapshot)}
            ami.rig_mappings.append(copied)
            snapshot.add_tags(tags.get("snapshot", {}))
        if self._get_param("CopyImageTags", False):
            ami.add_tags({tag["key"]: tag["value"] for tag in source.get_tags()})
        ami.add_tags(tags.get("image", {}))
        ami.imds_support = getattr(source, "imds_support", None)
        ami.rig_image, ami.rig_user = rig.image(source), rig.user(source)
        _publish(rig, backend, ami)
        return ActionResult({"ImageId": ami.id})

    AmisResponse.copy_image = respond  # type: ignore[method-assign]


@shim
def image_attributes(rig: Rig) -> None:  # noqa: ARG001
    """Keep what ModifyImageAttribute says about description, IMDS and product codes.

    moto: accepts them without effect, and knows only launch permissions.  EC2 keeps one attribute
    a call, and shows ImdsSupport in DescribeImages.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyImageAttribute.html
    """
    modify = AmisResponse.modify_image_attribute

    def respond(self: Any) -> EmptyResult:
        ami = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        old_form = {self._get_param("Attribute"): self._get_param("Value")}
        description = self._get_param("Description.Value", old_form.get("description"))
        imds = self._get_param("ImdsSupport.Value", old_form.get("imdsSupport"))
        if imds not in (None, "v2.0"):
            raise EC2ClientError(
                "InvalidParameterValue", f"Invalid value '{imds}' for imdsSupport."
            )
        answer = modify(self)
        if description is not None:
            ami.description = description
        if imds:
            ami.imds_support = ami.imds = imds
        ami.product_codes |= set(self._get_param("ProductCodes", []))
        return answer  # type: ignore[return-value]

    AmisResponse.modify_image_attribute = respond  # type: ignore[method-assign]


@shim
def keys_that_cannot_be_shared(rig: Rig) -> None:  # noqa: ARG001
    """Refuse to share an image that is encrypted with the key that AWS manages.

    moto: shares it, and does not know GetEbsDefaultKmsKeyId.  EC2: InvalidParameter, because no
    other account can use the key; the default key of an account is alias/aws/ebs until it is
    changed.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-explicit.html
    """
    modify = AmisResponse.modify_image_attribute

    def managed_key(backend: Any) -> str:
        own = backend.default_kms_key_id
        key = str(backend._create_default_encryption_key())
        backend.default_kms_key_id = own or key
        return key

    def respond(self: Any) -> EmptyResult:
        backend = self.ec2_backend
        ami = backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        volumes = [each["Ebs"] for each in ami.block_device_mappings]
        if self._get_param("LaunchPermission.Add", []) and any(
            each.get("Encrypted") and each.get("KmsKeyId") in (None, managed_key(backend))
            for each in volumes
        ):
            raise EC2ClientError(
                "InvalidParameter",
                "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another"
                " snapshot.",
            )
        answer: EmptyResult = modify(self)  # type: ignore[assignment]
        return answer

    def get_default(self: Any) -> ActionResult:
        key = managed_key(self.ec2_backend)
        own = self.ec2_backend.default_kms_key_id
        return ActionResult({"KmsKeyId": "alias/aws/ebs" if own == key else own})

    AmisResponse.modify_image_attribute = respond  # type: ignore[method-assign]
    ElasticBlockStore.get_ebs_default_kms_key_id = get_default  # type: ignore[attr-defined]


@shim
def image_deprecation(rig: Rig) -> None:  # noqa: ARG001
    """Keep the time after which an AMI is deprecated.

    moto: 500 for EnableImageDeprecation and DisableImageDeprecation.  EC2: DescribeImages shows
    `DeprecationTime`, rounded to the minute; a time that has passed is refused.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html
    """
    from moto.core.utils import utcnow

    def enable(self: Any) -> ActionResult:
        ami = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        at = self._get_param("DeprecateAt")
        self.error_on_dryrun()
        if at.replace(tzinfo=None) <= utcnow():
            raise EC2ClientError(
                "InvalidParameterValue", "The deprecation date must be in the future."
            )
        ami.deprecation_time = at.strftime("%Y-%m-%dT%H:%M:00.000Z")
        return ActionResult({"Return": True})

    def disable(self: Any) -> ActionResult:
        ami = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        self.error_on_dryrun()
        ami.deprecation_time = None
        return ActionResult({"Return": True})

    Ami.deprecation_time = None  # type: ignore[attr-defined]
    AmisResponse.enable_image_deprecation = enable  # type: ignore[attr-defined]
    AmisResponse.disable_image_deprecation = disable  # type: ignore[attr-defined]


@shim
def deregistration_protection(rig: Rig) -> None:
    """Protect AMIs from deregistration, and free what a deregistered one held.

    moto: 500 for the protection; deregistering leaves all else.  EC2: a protected AMI answers
    OperationNotPermitted; after a protection with cooldown was switched off it stays for 24 hours;
    `DeleteAssociatedSnapshots` removes the snapshots too.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deregistration-protection.html
    """
    deregister = AmisResponse.deregister_image

    def enable(self: Any) -> ActionResult:
        ami = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        self.error_on_dryrun()
        cooldown = self._get_param("WithCooldown", False)
        ami.deregistration_protection = (
            "enabled-with-cooldown" if cooldown else "enabled-without-cooldown"
        )
        return ActionResult({"Return": ami.deregistration_protection})

    def disable(self: Any) -> ActionResult:
        ami = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        self.error_on_dryrun()
        cools = ami.deregistration_protection == "enabled-with-cooldown"
        ami.deregistration_protection = "disabled-after-cooldown" if cools else "disabled"
        return ActionResult({"Return": ami.deregistration_protection})

    def respond(self: Any) -> ActionResult:
        backend = self.ec2_backend
        ami = backend.amis.get(self._get_param("ImageId"))
        if ami and ami.deregistration_protection != "disabled":
            raise EC2ClientError(
                "OperationNotPermitted",
                f"The AMI '{ami.id}' cannot be deregistered: deregistration protection is on.",
            )
        answer = deregister(self)
        if ami and self._get_param("DeleteAssociatedSnapshots", False):
            for mapping in ami.rig_mappings:
                backend.delete_snapshot(mapping["Ebs"]["SnapshotId"])
        image = getattr(ami, "rig_image", None)
        others = (other for each in all_backends() for other in each.amis.values())
        if image and not any(getattr(other, "rig_image", None) == image for other in others):
            rig.containers.forget_image(image)
        return answer

    Ami.deregistration_protection = "disabled"  # type: ignore[attr-defined]
    AmisResponse.enable_image_deregistration_protection = enable  # type: ignore[attr-defined]
    AmisResponse.disable_image_deregistration_protection = disable  # type: ignore[attr-defined]
    AmisResponse.deregister_image = respond  # type: ignore[method-assign]


def add_image(
    backend: Any,
    *,
    name: str,
    tags: dict[str, str],
    state: str,
    created: str,
    deprecated: str | None,
    owner: str | None,
    architecture: str,
    snapshot: str | None,
    snapshot_tags: dict[str, str] | None,
) -> str:
    """Register an image that no build made, and return its ID; see `Ec2.add_image`."""
    ami = _new_ami(
        backend,
        name=name,
        description=name,
        owner_id=owner,
        architecture=architecture,
        virtualization_type="hvm",
        root_device_name="/dev/xvda",
        creation_date=default_timestamp_parser(created),
        state=state,
    )
    if snapshot is None:
        volume = backend.create_volume(ROOT_GIBIBYTES, f"{backend.region_name}a", encrypted=True)
        description = f"Created by CreateImage(i-0) for {ami.id}"
        made = backend.create_snapshot(volume.id, description, from_ami=ami.id)
        backend.delete_volume(volume.id)
        made.add_tags(tags if snapshot_tags is None else snapshot_tags)
    else:
        made = backend.get_snapshot(snapshot)
    ami.rig_mappings.append(_mapping("/dev/xvda", made, "gp3", True))
    ami.deprecation_time = deprecated
    ami.add_tags(tags)
    ami.rig_debian, ami.rig_user = "12", "admin"
    backend.amis[ami.id] = ami
    return str(ami.id)


def _find_readable_snapshot(backend: Any, snapshot_id: str) -> Any:
    """Return a snapshot of the account, or one that is shared with it.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html#copy-ami-across
    """
    for snapshot in backend.describe_snapshots():
        if snapshot.id == snapshot_id:
            return snapshot
    raise EC2ClientError(
        "InvalidRequest", "You do not have permission to access the storage of this ami"
    )


def _tags(response: Any, allowed: set[str]) -> dict[str, dict[str, str]]:
    """Read TagSpecification: kind of resource, then tags."""
    specifications = response._get_param("TagSpecifications", [])
    for each in specifications:
        if each["ResourceType"] not in allowed:
            raise InvalidTaggableResourceType(each["ResourceType"])
    return convert_tag_spec(specifications)


def _check_name(backend: Any, name: str) -> None:
    if not _NAME.fullmatch(name or ""):
        raise EC2ClientError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters,"
            " numbers, '(', ')', '.', '-', '/' and '_'",
        )
    for ami in backend.amis.values():
        if ami.name == name and ami.owner_id == backend.account_id:
            raise EC2ClientError(
                "InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {ami.id}"
            )


def _new_ami(backend: Any, **about: Any) -> Any:
    """Make a moto AMI without the disk that moto gives it, and with a list of mappings."""
    ami: Any = Ami(backend, random_ami_id(), root_device_type="ebs", **about)
    backend.snapshots.pop(ami.ebs_snapshot.id)
    ami.rig_mappings = []
    ami.hypervisor = "xen"
    ami.image_location = f"{ami.owner_id}/{ami.name}"
    return ami


def _identity(snapshot: Any) -> dict[str, Any]:
    return {"SnapshotId": snapshot.id, "Encrypted": snapshot.encrypted} | (
        {"KmsKeyId": snapshot.kms_key_id} if snapshot.kms_key_id else {}
    )


def _mapping(device: str, snapshot: Any, volume_type: str, ends: bool) -> dict[str, Any]:
    return {
        "DeviceName": device,
        "Ebs": {
            **_identity(snapshot),
            "DeleteOnTermination": ends,
            "VolumeSize": snapshot.volume.size,
            "VolumeType": volume_type,
        },
    }


def _publish(rig: Rig, backend: Any, ami: Any) -> None:
    """Let the AMI be found, and available at once or when its time has come."""

    def settle() -> None:
        ami.state = "failed" if rig.key_is_denied else "available"

    ami.state = "pending"
    if not rig.later("available", settle):
        settle()
    backend.amis[ami.id] = ami
