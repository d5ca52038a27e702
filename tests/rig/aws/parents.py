"""The public images that a build can start from, as moto's MOTO_AMIS_PATH wants them.

Every pattern of the table in the project's facts has several images with different creation
dates, so that "the newest of several" is a choice that can go wrong.  Each image is in truth
Debian with the named login user: the names, owners and dates are what is being tested, and
both architectures are two names of the one machine that the tests run on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

AMAZON = "137112412989"
CANONICAL = "099720109477"
DEBIAN = "136693071363"
REDHAT = "309956199498"
ORGANISATION = "111122223333"  # "the management account" that owns the organisation's own images
PUBLISHERS = (AMAZON, CANONICAL, DEBIAN, REDHAT, ORGANISATION)

# What the two spellings of the two architectures are to EC2.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64"}


@dataclass(frozen=True)
class Family:
    """One row of the table: an operating system and the images that its owner has published.

    Attributes:
        name: Image name; `{arch}` and `{stamp}` are filled in.
        owner: Account id.
        user: Login user that cloud-init makes on first boot.
        arches: The owner's spellings of the architectures.
        stamps: What differs between the builds in the name, oldest first, and its date.
        root: Root device name.
        debian: Release of Debian that really boots.
        alias: EC2's alias of the owner, where it has one.
        public: Whether everybody may launch it.
    """

    name: str
    owner: str
    user: str
    arches: tuple[str, ...]
    stamps: tuple[tuple[str, str], ...]
    root: str
    debian: str = "12"
    alias: str | None = None
    public: bool = True


_AL2023 = (
    ("2023.8.20261005.0", "2026-10-05"),
    ("2023.9.20261116.0", "2026-11-16"),
    ("2023.9.20261102.0", "2026-11-02"),  # not the newest though it comes last
)
_DAILY = (("20261001", "2026-10-01"), ("20261118", "2026-11-18"), ("20261105", "2026-11-05"))
_DEBIAN = (
    ("20260928-2250", "2026-09-28"),
    ("20261117-2301", "2026-11-17"),
    ("20261020-2273", "2026-10-20"),
)

FAMILIES = (
    Family(
        name="al2023-ami-{stamp}-kernel-6.12-{arch}",
        owner=AMAZON,
        user="ec2-user",
        arches=("x86_64", "arm64"),
        stamps=_AL2023,
        root="/dev/xvda",
        alias="amazon",
    ),
    # Newer than every image above, and what a careless pattern would catch.
    Family(
        name="al2023-ami-minimal-{stamp}-kernel-6.12-{arch}",
        owner=AMAZON,
        user="ec2-user",
        arches=("x86_64", "arm64"),
        stamps=(("2023.9.20261119.0", "2026-11-19"),),
        root="/dev/xvda",
        alias="amazon",
    ),
    # Other kernel lines of the same release, published minutes later.
    *(
        Family(
            name=f"al2023-ami-{{stamp}}-kernel-{kernel}-{{arch}}",
            owner=AMAZON,
            user="ec2-user",
            arches=("x86_64", "arm64"),
            stamps=(("2023.9.20261116.0", "2026-11-20"),),
            root="/dev/xvda",
            alias="amazon",
        )
        for kernel in ("6.1", "6.18")
    ),
    Family(
        name="ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{arch}-server-{stamp}",
        owner=CANONICAL,
        user="ubuntu",
        arches=("amd64", "arm64"),
        stamps=_DAILY,
        root="/dev/sda1",
    ),
    Family(
        name="ubuntu/images/hvm-ssd-gp3/ubuntu-resolute-26.04-{arch}-server-{stamp}",
        owner=CANONICAL,
        user="ubuntu",
        arches=("amd64", "arm64"),
        stamps=_DAILY,
        root="/dev/sda1",
        debian="13",
    ),
    Family(
        name="debian-12-{arch}-{stamp}",
        owner=DEBIAN,
        user="admin",
        arches=("amd64", "arm64"),
        stamps=_DEBIAN,
        root="/dev/xvda",
    ),
    Family(
        name="debian-13-{arch}-{stamp}",
        owner=DEBIAN,
        user="admin",
        arches=("amd64", "arm64"),
        stamps=_DEBIAN,
        root="/dev/xvda",
        debian="13",
    ),
    Family(
        name="RHEL-9.8.0_HVM-{stamp}-{arch}-0-Hourly2-GP3",
        owner=REDHAT,
        user="ec2-user",
        arches=("x86_64", "arm64"),
        stamps=_DAILY,
        root="/dev/sda1",
    ),
    Family(
        name="RHEL-10.2.0_HVM-{stamp}-{arch}-0-Hourly2-GP3",
        owner=REDHAT,
        user="ec2-user",
        arches=("x86_64", "arm64"),
        stamps=_DAILY,
        root="/dev/sda1",
        debian="13",
    ),
    Family(
        name="amzn2-ami-kernel-5.10-hvm-2.0.{stamp}-{arch}-gp2",
        owner=AMAZON,
        user="ec2-user",
        arches=("x86_64", "arm64"),
        stamps=(("20260601.0", "2026-06-01"), ("20260615.0", "2026-06-15")),
        root="/dev/xvda",
        alias="amazon",
    ),
    Family(
        name="CIS-AMZN2-{stamp}",
        owner=ORGANISATION,
        user="ec2-user",
        arches=("x86_64",),
        stamps=(("20230801", "2023-08-01"), ("20231115", "2023-11-15"), ("20231002", "2023-10-02")),
        root="/dev/xvda",
        public=False,
    ),
    Family(
        name="hardened-amazon-linux-2-{stamp}",
        owner=ORGANISATION,
        user="ec2-user",
        arches=("x86_64",),
        stamps=(("20230810", "2023-08-10"), ("20231120", "2023-11-20")),
        root="/dev/xvda",
        public=False,
    ),
    # Somebody else's image under a trusted name: only a filter without `owners` takes it.
    Family(
        name="debian-12-{arch}-{stamp}",
        owner="666666666666",
        user="admin",
        arches=("amd64", "arm64"),
        stamps=(("20261122-9999", "2026-11-22"),),
        root="/dev/xvda",
    ),
)


@dataclass(frozen=True)
class Parent:
    """One published image."""

    ami_id: str
    name: str
    owner: str
    architecture: str
    created: str
    user: str
    root: str
    debian: str
    alias: str | None
    public: bool


def parents() -> list[Parent]:
    """List all images; ids are made from owner and name, hence the same in every run."""
    return [
        Parent(
            ami_id="ami-" + hashlib.sha256(f"{family.owner}/{name}".encode()).hexdigest()[:17],
            name=name,
            owner=family.owner,
            architecture=ARCHITECTURES[arch],
            created=f"{date}T08:00:00.000Z",
            user=family.user,
            root=family.root,
            debian=family.debian,
            alias=family.alias,
            public=family.public,
        )
        for family in FAMILIES
        for arch in family.arches
        for stamp, date in family.stamps
        for name in [family.name.format(arch=arch, stamp=stamp)]
    ]


def moto_amis() -> list[dict[str, Any]]:
    """Give the images the form of moto's own resource file."""
    return [
        {
            "ami_id": parent.ami_id,
            "architecture": parent.architecture,
            "boot_mode": "uefi" if parent.architecture == "arm64" else "uefi-preferred",
            "creation_date": parent.created,
            "description": parent.name,
            "hypervisor": "xen",
            "image_location": f"{parent.owner}/{parent.name}",
            "image_type": "machine",
            "name": parent.name,
            "owner_id": parent.owner,
            "public": parent.public,
            "root_device_name": parent.root,
            "root_device_type": "ebs",
            "sriov": "simple",
            "state": "available",
            "virtualization_type": "hvm",
        }
        for parent in parents()
    ]
