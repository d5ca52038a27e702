"""An instance is a machine that was booted: it has users, keys, a disk, and states."""

from __future__ import annotations

import socket
import time

import pytest
from botocore.exceptions import ClientError

from rig.aws import Ec2
from rig.aws.parents import parents


@pytest.mark.parametrize(
    ("pattern", "user"),
    [
        ("al2023-ami-2023.*-kernel-6.12-x86_64", "ec2-user"),
        ("ubuntu/images/*ubuntu-resolute-26.04-arm64-server-*", "ubuntu"),
        ("debian-13-amd64-*", "admin"),
    ],
)
def test_the_login_user_is_the_one_of_the_distribution(ec2: Ec2, pattern: str, user: str) -> None:
    """With the key pair of the launch, and sudo without a password."""
    with ec2.boot(ec2.newest_parent(pattern)) as instance:
        done = ec2.ssh(instance, user, "whoami && sudo whoami")
        assert (done.code, done.output) == (0, f"{user}\nroot\n")
        assert ec2.ssh(instance, "root", "true").code != 0


def test_an_instance_listens_on_an_address_of_its_own(ec2: Ec2) -> None:
    """Loopback only, and the next instance has the next address."""
    parent = ec2.newest_parent("debian-12-amd64-*")
    with ec2.boot(parent) as one, ec2.boot(parent) as two:
        addresses = [one["PrivateIpAddress"], two["PrivateIpAddress"]]
        assert len(set(addresses)) == 2
        assert all(address.startswith("127.") for address in addresses)
        assert addresses[0].rpartition(".")[0] + ".0/24" == ec2.cidr
        assert ec2.ssh(one, "admin", "hostname").output == f"ip-{addresses[0].replace('.', '-')}\n"


def test_a_disk_outlives_a_stop(ec2: Ec2) -> None:
    """Stop ends what runs, start brings the same machine back."""
    client = ec2.client()
    with ec2.boot(ec2.newest_parent("debian-12-amd64-*")) as instance:
        ids = [instance["InstanceId"]]
        before = ec2.ssh(instance, "admin", "touch kept; cat /etc/machine-id")
        client.stop_instances(InstanceIds=ids)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((instance["PrivateIpAddress"], 22), 1)
        client.start_instances(InstanceIds=ids)
        after = ec2.ssh(instance, "admin", "ls; cat /etc/machine-id")
    assert after.output == f"kept\n{before.output}"


def test_nothing_runs_after_a_termination(ec2: Ec2) -> None:
    """Container and disk are gone."""
    with ec2.boot(ec2.newest_parent("debian-12-amd64-*")) as instance:
        name = ec2.container(instance["InstanceId"])
    assert name not in ec2.docker("ps", "--all", "--format", "{{.Names}}").stdout.split()
    assert ec2.leftovers() == {}


def test_a_security_group_that_is_closed_keeps_everybody_out(ec2: Ec2) -> None:
    """Port 22 opens only for a rule that lets 127.0.0.1 in."""
    client = ec2.client()
    group = client.create_security_group(GroupName="g", Description="d", VpcId=ec2.vpc_id)
    client.authorize_security_group_ingress(
        GroupId=group["GroupId"], IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="203.0.113.7/32"
    )
    parent = ec2.newest_parent("debian-12-amd64-*")
    with (
        ec2.boot(parent, SecurityGroupIds=[group["GroupId"]]) as instance,
        pytest.raises(OSError, match="refused"),
    ):
        socket.create_connection((instance["PrivateIpAddress"], 22), 1)
    assert "no security group lets 127.0.0.1 in" in ec2.admin("log")[0]


def test_user_data_runs_once_at_the_first_boot(ec2: Ec2) -> None:
    """As cloud-init does with a script."""
    script = "#!/bin/sh\necho ran >> /var/tmp/user-data\n"
    client = ec2.client()
    with ec2.boot(ec2.newest_parent("debian-12-amd64-*"), UserData=script) as instance:
        client.stop_instances(InstanceIds=[instance["InstanceId"]])
        client.start_instances(InstanceIds=[instance["InstanceId"]])
        assert ec2.ssh(instance, "admin", "cat /var/tmp/user-data").output == "ran\n"


def test_a_parent_boots_as_a_distributor_ships_it(ec2: Ec2) -> None:
    """No host keys, no machine-id, no users yet."""
    disk = ec2.ami(ec2.newest_parent("debian-12-amd64-*"))
    assert disk.find("/etc/ssh", test="-name 'ssh_host_*'") == disk.find("/home") == []
    assert disk.read("/etc/machine-id") == ""


def test_states_can_take_their_time(ec2: Ec2) -> None:
    """For the pollers: pending first, running later."""
    ec2.pace(running=0.5)
    client = ec2.client()
    with ec2.boot(ec2.newest_parent("debian-12-amd64-*")) as instance:
        assert instance["State"]["Name"] == "pending"
        waiter = client.get_waiter("instance_running")
        waiter.wait(
            InstanceIds=[instance["InstanceId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 5}
        )


def test_an_instance_can_be_far_away(ec2: Ec2) -> None:
    """Each answer takes its time, and the same machine is there after a stop."""
    ec2.distance(0.1)
    client = ec2.client()
    began = time.monotonic()
    client.describe_vpcs()
    assert time.monotonic() - began > 0.1
    with ec2.boot(ec2.newest_parent("debian-12-amd64-*")) as instance:
        place = instance["PrivateIpAddress"], 22
        with socket.create_connection(place, 5) as line:
            began = time.monotonic()
            assert line.recv(4) == b"SSH-"
            assert time.monotonic() - began > 0.14  # the handshake, and half a way back
        assert ec2.ssh(instance, "admin", "head -c 1000000 /dev/zero | wc -c").output == "1000000\n"
        client.stop_instances(InstanceIds=[instance["InstanceId"]])
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(place, 1)
        client.start_instances(InstanceIds=[instance["InstanceId"]])
        began = time.monotonic()
        assert ec2.ssh(instance, "admin", "whoami").output == "admin\n"
        assert time.monotonic() - began > 0.5


def test_every_pattern_has_a_newest_that_is_not_the_last(ec2: Ec2) -> None:
    """Whoever takes the last of the list, or the first, takes the wrong image."""
    patterns = {
        "137112412989": [
            "al2023-ami-2023.*-kernel-6.12-x86_64",
            "al2023-ami-2023.*-kernel-6.12-arm64",
        ],
        "099720109477": [
            "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*",
            "ubuntu/images/*ubuntu-resolute-26.04-arm64-server-*",
        ],
        "136693071363": ["debian-12-amd64-*", "debian-13-arm64-*"],
        "309956199498": ["RHEL-9.8.0_HVM-*-x86_64-*", "RHEL-10.2.0_HVM-*-arm64-*"],
        "111122223333": ["CIS-AMZN2-2023*"],
    }
    assert sum(len(names) for names in patterns.values()) == 9
    for owner, names in patterns.items():
        for name in names:
            images = ec2.client().describe_images(
                Owners=[owner], Filters=[{"Name": "name", "Values": [name]}]
            )["Images"]
            dates = [image["CreationDate"] for image in images]
            assert len(dates) >= 3, name
            assert max(dates) not in (dates[0], dates[-1]), name


def test_ids_of_parents_never_change() -> None:
    """A recorded id means the same image in the next run."""
    ids = [parent.ami_id for parent in parents()]
    assert len(ids) == len(set(ids))
    assert ids == [parent.ami_id for parent in parents()]


def test_an_unknown_image_is_not_launched(ec2: Ec2) -> None:
    """EC2's word for it is InvalidAMIID.NotFound."""
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        ec2.client().run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)
