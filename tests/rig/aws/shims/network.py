"""Networks: addresses that the instances can have, and groups that are in use."""

from __future__ import annotations

import ipaddress
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.vpcs import VPCBackend

from rig.aws.shims._registry import Rig, all_backends, shim

CLIENT = ipaddress.ip_address("127.0.0.1")


@shim
def default_vpc_on_loopback(rig: Rig) -> None:
    """Lay the default VPC of every region into the rig's own part of 127.0.0.0/8.

    moto: 172.31.0.0/16, which leads nowhere.  EC2 has a default VPC with a subnet for each zone;
    here they are /24s, so that all regions find room and no two instances share an address.
    https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc.html
    """

    def create_default_vpc(self: Any) -> Any:
        address = rig.containers.address
        vpc = self.create_vpc(cidr_block=f"{address}.0.0/16", is_default=True)
        for zone in self.describe_availability_zones():
            rig.blocks += 1
            if rig.blocks < 255:
                self.create_subnet(
                    vpc.id, f"{address}.{rig.blocks}.0/24", availability_zone=zone.name
                )
        return vpc

    VPCBackend.create_default_vpc = create_default_vpc  # type: ignore[method-assign]


@shim
def security_group_in_use(rig: Rig) -> None:  # noqa: ARG001
    """Refuse to delete a security group that an instance still has.

    moto: deletes it.  EC2: DependencyViolation until the instance is terminated.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """
    original = SecurityGroupBackend.delete_security_group

    def delete_security_group(self: Any, name: Any = None, group_id: Any = None) -> None:
        for backend in all_backends():
            for instance in backend.all_instances():
                if instance.state == "terminated":
                    continue
                if any(group_id == group.id for group in groups_of(instance)):
                    raise EC2ClientError(
                        "DependencyViolation", f"resource {group_id} has a dependent object"
                    )
        original(self, name, group_id)

    SecurityGroupBackend.delete_security_group = delete_security_group  # type: ignore[method-assign]


def groups_of(instance: Any) -> list[Any]:
    """List the security groups of an instance and of its interfaces."""
    groups = list(instance.security_groups)
    for interface in instance.nics.values():
        groups += interface.group_set
    return groups


def lets_in(instance: Any, port: int) -> bool:
    """Tell whether the security groups let the building host, 127.0.0.1, reach a port."""
    return any(
        rule.ip_protocol in ("-1", "tcp")
        and (rule.from_port is None or rule.from_port <= port <= rule.to_port)
        and "CidrIp" in rule.ip_range
        and CLIENT in ipaddress.ip_network(rule.ip_range["CidrIp"], strict=False)
        for group in groups_of(instance)
        for rule in group.ingress_rules
    )
