"""The source AMI of a build: the newest one that is available, finished, and not its own.

Packer cannot filter by the absence of a tag, so that the newest match may be a leftover of a killed
build of a base image, or an image of this repository.  EC2 shows tags to the owner only: of images
of other accounts, only the state is known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from packer_toolkit.build.cleanup.scope import read_expiry, read_tags
from packer_toolkit.build.host import format_time
from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import explain_refusal, get_repository
from packer_toolkit.errors import CommandFailedError

VARIABLE = "source_ami_ids"


@dataclass(frozen=True)
class SourceAmi:
    """An image that matches the filter of the HCL."""

    id: str
    name: str


@dataclass(frozen=True)
class SourceAmiChoice:
    """The source AMI of one architecture.

    Attributes:
        image: The source AMI; None if no image matches or all are rejected.
        rejected: Newer images that match, each with the reason why it is rejected.
    """

    image: SourceAmi | None
    rejected: tuple[tuple[SourceAmi, str], ...] = ()


def find_source_amis(
    ec2: Any, values: Values, architectures: Collection[str] | None = None
) -> dict[str, SourceAmiChoice]:
    """Choose the source AMI of each architecture, among the images that match the HCL's filter.

    Args:
        ec2: EC2 client of the region of the build.
        values: Values of the HCL.
        architectures: Architectures that are built; by default all of the HCL.

    Raises:
        RemoteError: If EC2 refuses the call.
    """
    names = values.table("var.source_ami_names")
    ids = values.table(f"var.{VARIABLE}")
    choices = {}
    for architecture in values.texts("var.architectures"):
        if architectures is not None and architecture not in architectures:
            continue
        fixed = ids.get(architecture)
        filters = {
            "architecture": architecture,
            **({"image-id": fixed} if fixed else {"name": names.get(architecture, "")}),
            "root-device-type": "ebs",
            "state": "available",
            "virtualization-type": "hvm",
        }
        with explain_refusal(
            "cannot search for the source AMI",
            "start again with a role that has the permission ec2:DescribeImages",
        ):
            response = ec2.describe_images(
                Owners=values.texts("var.source_ami_owners"),
                Filters=[{"Name": key, "Values": [value]} for key, value in filters.items()],
            )
        images = [
            image for image in response["Images"] if image.get("State", "available") == "available"
        ]
        if f"var.{VARIABLE}" not in values.raw:
            # HCL that cannot use another image: a deprecated one does not stop the build.
            images = [{**image, "DeprecationTime": None} for image in images]
        choices[architecture] = _choose(images, "" if fixed else get_repository(values))
    return choices


def make_arguments(choices: Mapping[str, SourceAmiChoice], values: Values) -> list[str]:
    """Return the options of `packer build` that select the chosen source AMIs.

    Args:
        choices: Source AMIs by architecture.
        values: Values of the HCL.

    Raises:
        CommandFailedError: If all matches are rejected, or if the HCL has no variable for an ID.
    """
    ids = values.table(f"var.{VARIABLE}")
    needed = {}
    for architecture, choice in choices.items():
        if not choice.rejected:
            continue
        (newest, reason), *_ = choice.rejected
        if choice.image is None:
            raise CommandFailedError(
                f"source AMI for {architecture}: no match of the filter can be used: the newest "
                f"one, {newest.id} ({newest.name}), {reason}; finish the base image, or change "
                "source_ami_names"
            )
        if f"var.{VARIABLE}" not in values.raw:
            raise CommandFailedError(
                f"source AMI for {architecture}: {newest.id} ({newest.name}), the newest match, "
                f"{reason}, and the HCL has no variable {VARIABLE} for another one; update "
                "from the template: task template-update"
            )
        needed[architecture] = choice.image.id
    if not needed:
        return []
    return [f"-var={VARIABLE}={json.dumps({**ids, **needed})}"]


def describe_rejected(choices: Mapping[str, SourceAmiChoice]) -> list[str]:
    """Describe each newer match that is rejected, in a line for the user."""
    return [
        f"Source AMI for {architecture}: {choice.image.id} ({choice.image.name}), because "
        f"{rejected.id} ({rejected.name}) {reason}"
        for architecture, choice in choices.items()
        if choice.image
        for rejected, reason in choice.rejected
    ]


def _choose(images: list[dict[str, Any]], repository: str) -> SourceAmiChoice:
    """Choose the newest usable image; a deprecated one only if all others are rejected."""
    rejected: list[tuple[SourceAmi, str]] = []
    deprecated: list[tuple[SourceAmi, str]] = []
    now = format_time(time.time())
    for image in sorted(images, key=lambda each: str(each["CreationDate"]), reverse=True):
        source = SourceAmi(str(image["ImageId"]), str(image.get("Name", "")))
        tags = read_tags(image)
        if repository and tags.get("Repository") == repository:
            rejected.append((source, "is an image of this repository"))
        elif repository and read_expiry(tags):
            rejected.append((source, f"is unfinished: its tag ExpiresAt is {tags['ExpiresAt']}"))
        elif str(image.get("DeprecationTime") or now) < now:
            deprecated.append((source, f"has been deprecated since {image['DeprecationTime']}"))
        else:
            return SourceAmiChoice(source, (*deprecated, *rejected))
    return SourceAmiChoice(deprecated[0][0] if deprecated else None, tuple(rejected))
