"""RunInstances and what follows it: a container for each instance, volumes as the AMI has them."""

from __future__ import annotations

import base64
import threading
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import InstanceBackend, InstanceState, StateReason
from moto.ec2.responses.instances import InstanceResponse

from rig.aws.shims._registry import Rig, shim
from rig.aws.shims.network import lets_in


@shim
def volumes_of_the_ami(rig: Rig) -> None:  # noqa: ARG001
    """Give an instance the volumes of its AMI, changed by those of the request.

    moto: one 8 GiB gp2 volume on /dev/sda1, or exactly those of the request, without throughput
    and only if they name a size.  EC2: a mapping of the request changes the AMI's mapping of the
    same device name, and what it leaves out is taken from there.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/block-device-mapping-concepts.html
    """
    parse = InstanceResponse._parse_block_device_mapping

    def _parse_block_device_mapping(self: Any) -> list[dict[str, Any]]:
        asked = self._get_param("BlockDeviceMappings", [])
        if self._get_action() != "RunInstances" or not self._get_param("ImageId"):
            return parse(self)
        amis = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])
        merged = {
            each["DeviceName"]: {"DeviceName": each["DeviceName"], "Ebs": dict(each["Ebs"])}
            for each in (amis[0].block_device_mappings if amis else [])
        }
        for each in asked:
            known = merged.get(each["DeviceName"], {}).get("Ebs", {})
            merged[each["DeviceName"]] = {**each, "Ebs": {**known, **each.get("Ebs", {})}}
            if merged[each["DeviceName"]]["Ebs"].get("VolumeSize", 0) < known.get("VolumeSize", 0):
                raise EC2ClientError(
                    "InvalidBlockDeviceMapping",
                    f"Volume of size {each['Ebs']['VolumeSize']}GB is smaller than snapshot"
                    f" '{known['SnapshotId']}', expect size >= {known['VolumeSize']}GB",
                )
            if "NoDevice" in each:
                merged.pop(each["DeviceName"])
        return list(merged.values())

    InstanceResponse._parse_block_device_mapping = _parse_block_device_mapping  # type: ignore[method-assign]

    run_instances = InstanceBackend.run_instances

    def with_performance(self: Any, *args: Any, **kwargs: Any) -> Any:
        reservation = run_instances(self, *args, **kwargs)
        for instance in reservation.instances:
            for mapping in kwargs.get("block_device_mappings", []):
                if mapping["DeviceName"] not in instance.block_device_mapping:
                    continue
                device = instance.block_device_mapping[mapping["DeviceName"]]
                volume = self.volumes[device.volume_id]
                volume.iops = mapping["Ebs"].get("Iops") or volume.iops
                volume.throughput = mapping["Ebs"].get("Throughput") or (
                    125 if volume.volume_type == "gp3" else None
                )
        return reservation

    InstanceBackend.run_instances = with_performance  # type: ignore[method-assign]


@shim
def architecture_of_the_instance_type(rig: Rig) -> None:  # noqa: ARG001
    """Refuse an instance type whose processor cannot run the AMI.

    moto: starts an arm64 AMI on a t3.  EC2: InvalidParameterValue with both architectures.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html
    """
    run_instances = InstanceBackend.run_instances

    def checked(self: Any, image_id: str, *args: Any, **kwargs: Any) -> Any:
        ami = self.describe_images(ami_ids=[image_id])[0]
        kind = kwargs.get("instance_type", "")
        can = INSTANCE_TYPES.get(kind, {}).get("ProcessorInfo", {}).get("SupportedArchitectures")
        if can and ami.architecture not in can:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"The architecture '{ami.architecture}' of the specified AMI does not match the"
                f" architecture '{', '.join(can)}' of the specified instance type. Specify an"
                " instance type and an AMI that have matching architectures, and try again.",
            )
        return run_instances(self, image_id, *args, **kwargs)

    InstanceBackend.run_instances = checked  # type: ignore[method-assign]


@shim
def metadata_options_of_the_ami(rig: Rig) -> None:  # noqa: ARG001
    """Demand IMDSv2 of instances whose AMI does.

    moto: always `optional`.  EC2: an AMI with `ImdsSupport` v2.0 makes `HttpTokens` required and
    the hop limit 2, unless the request says otherwise.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-options.html
    """
    run_instances = InstanceBackend.run_instances

    def with_default(self: Any, image_id: str, *args: Any, **kwargs: Any) -> Any:
        ami = self.describe_images(ami_ids=[image_id])[0]
        if getattr(ami, "imds_support", None) == "v2.0":
            kwargs["metadata_options"] = {
                "HttpTokens": "required",
                "HttpPutResponseHopLimit": 2,
                **(kwargs.get("metadata_options") or {}),
            }
        return run_instances(self, image_id, *args, **kwargs)

    InstanceBackend.run_instances = with_default  # type: ignore[method-assign]


@shim
def tags_of_network_interfaces(rig: Rig) -> None:  # noqa: ARG001
    """Put the tags for network interfaces on them.

    moto: drops them.  EC2: TagSpecification knows `network-interface` in RunInstances.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    run_instances = InstanceBackend.run_instances

    def tagged(self: Any, *args: Any, **kwargs: Any) -> Any:
        tags = kwargs.get("tags", {}).get("network-interface", {})
        reservation = run_instances(self, *args, **kwargs)
        for instance in reservation.instances:
            for interface in instance.nics.values():
                interface.add_tags(tags)
        return reservation

    InstanceBackend.run_instances = tagged  # type: ignore[method-assign]


@shim
def interfaces_end_with_the_instance(rig: Rig) -> None:  # noqa: ARG001
    """Delete the interfaces that came with an instance when it is terminated.

    moto: keeps those that the request did not describe.  EC2: the primary interface made at launch
    has DeleteOnTermination, unless the request says otherwise.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
    """
    terminate = InstanceBackend.terminate_instances

    def terminate_instances(self: Any, instance_ids: list[str]) -> Any:
        done = terminate(self, instance_ids)
        for instance, _ in done:
            for interface in list(instance.nics.values()):
                if interface.description == "Primary network interface":
                    self.enis.pop(interface.id, None)
        return done

    InstanceBackend.terminate_instances = terminate_instances  # type: ignore[method-assign]


@shim
def containers_as_instances(rig: Rig) -> None:
    """Let something run behind the instances.

    moto: an instance is a row in a table.  Here it is a container: run, stopped, started and
    removed with the instance's state.  The login key and the user data reach it as cloud-init gets
    them; the security groups count at launch, for port 22 only.
    """
    run_instances = InstanceBackend.run_instances
    stop_instances = InstanceBackend.stop_instances
    start_instances = InstanceBackend.start_instances
    terminate_instances = InstanceBackend.terminate_instances
    containers = rig.containers

    def run(self: Any, image_id: str, *args: Any, **kwargs: Any) -> Any:
        reservation = run_instances(self, image_id, *args, **kwargs)
        ami = self.describe_images(ami_ids=[image_id])[0]
        for instance in reservation.instances:
            instance.rig_ami = ami  # type: ignore[attr-defined]
        has_profile = any(kwargs.get(f"iam_instance_profile_{key}") for key in ("name", "arn"))
        failures: list[BaseException] = []

        def launch(instance: Any) -> None:
            try:
                keys = []
                if instance.key_name:
                    keys = [self.key_pairs[instance.key_name].material_public.decode()]
                data = instance.user_data
                containers.launch(
                    instance_id=instance.id,
                    image=rig.image(ami),
                    user=rig.user(ami),
                    address=instance.private_ip,
                    public_keys=keys,
                    user_data=_user_data(data),
                    reachable=lets_in(instance, 22),
                    has_profile=has_profile,
                )
            except BaseException as failure:  # noqa: BLE001,RUF100 - raised again below
                failures.append(failure)

        threads = [
            threading.Thread(target=launch, args=[instance], name="rig-launch")
            for instance in reservation.instances
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            for instance in reservation.instances:
                instance.terminate()
                containers.terminate(instance.id)
            raise failures[0]
        for instance in reservation.instances:
            if rig.key_is_denied:
                # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html
                instance.terminate()
                containers.terminate(instance.id)
                code = "Client.InternalError"
                instance.state_reason = StateReason(f"{code}: Client error on launch", code)
                instance._reason = ""
            else:
                _settle(rig, instance, "pending", 0, "running", 16)
        return reservation

    def stop(self: Any, instance_ids: list[str]) -> Any:
        done = stop_instances(self, instance_ids)
        for instance, _ in done:
            containers.stop(instance.id)
            _settle(rig, instance, "stopping", 64, "stopped", 80)
        return done

    def start(self: Any, instance_ids: list[str]) -> Any:
        done = start_instances(self, instance_ids)
        for instance, _ in done:
            containers.start(instance.id, str(instance.private_ip))
            _settle(rig, instance, "pending", 0, "running", 16)
        return done

    def terminate(self: Any, instance_ids: list[str]) -> Any:
        done = terminate_instances(self, instance_ids)
        for instance, _ in done:
            containers.terminate(instance.id)
        return done

    InstanceBackend.run_instances = run  # type: ignore[method-assign]
    InstanceBackend.stop_instances = stop  # type: ignore[method-assign]
    InstanceBackend.start_instances = start  # type: ignore[method-assign]
    InstanceBackend.terminate_instances = terminate  # type: ignore[method-assign]


def _settle(rig: Rig, instance: Any, on_the_way: str, code: int, state: str, end: int) -> None:
    def settle() -> None:
        if instance._state.name == on_the_way:
            instance._state = InstanceState(state, end)

    instance._state = InstanceState(on_the_way, code)
    if not rig.later(state, settle):
        settle()


def _user_data(data: Any) -> bytes | None:
    if not data:
        return None
    if isinstance(data, bytes):
        return data
    text = str(data)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode()
