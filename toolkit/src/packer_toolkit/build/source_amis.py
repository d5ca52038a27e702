"""Which source AMI a build takes: the newest one that is available, finished, and not its own.

Packer's filter knows no "not tagged", so that the newest match may be an image that a killed build
of a base image left, or an image of this very repository.  EC2 shows tags to the owner only: of the
images of other accounts no more than the state is known.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from packer_toolkit.build.cleanup.find import read_expiry
from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import get_repository
from packer_toolkit.errors import CommandFailedError, RemoteError

VARIABLE = "source_ami_ids"


@dataclass(frozen=True)
class SourceAmi:
    """An image that matches the filter of the HCL."""

    id: str
    name: str


@dataclass(frozen=True)
class Choice:
    """What a build takes for one architecture.

    Attributes:
        image: The source AMI; None when no image matches or each one is rejected.
        rejected: Newer images that match, each with the reason why it is not taken.
    """

    image: SourceAmi | None
    rejected: tuple[tuple[SourceAmi, str], ...] = ()


def find_source_amis(
    ec2: Any, values: Values, architectures: Collection[str] | None = None
) -> dict[str, Choice]:
    """Choose the source AMI of each architecture, among what the filter of build.pkr.hcl matches.

    Args:
        ec2: EC2's client of the region that the HCL builds in.
        values: Of the HCL.
        architectures: Those that are built; all of the HCL's when None.

    Raises:
        RemoteError: When the region cannot be asked.
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
        images = _describe(ec2, values.texts("var.source_ami_owners"), filters)
        if f"var.{VARIABLE}" not in values.raw:
            # HCL that cannot take another image: a deprecated one is no reason to refuse the build.
            images = [{**image, "DeprecationTime": None} for image in images]
        choices[architecture] = _choose(images, "" if fixed else get_repository(values))
    return choices


def make_arguments(choices: Mapping[str, Choice], values: Values) -> list[str]:
    """Return the options of `packer build` that make it take the chosen source AMIs.

    Args:
        choices: By architecture.
        values: Of the HCL.

    Raises:
        CommandFailedError: When no match can be taken, or the HCL has no variable to pass an ID in.
    """
    ids = values.table(f"var.{VARIABLE}")
    needed = {}
    for architecture, choice in choices.items():
        if not choice.rejected:
            continue
        (newest, reason), *_ = choice.rejected
        if choice.image is None:
            raise CommandFailedError(
                f"source AMI for {architecture}: no match of the filter can be taken, the newest "
                f"one, {newest.id} ({newest.name}), {reason}; finish the base image, or change "
                "source_ami_names"
            )
        if f"var.{VARIABLE}" not in values.raw:
            raise CommandFailedError(
                f"source AMI for {architecture}: {newest.id} ({newest.name}), the newest match, "
                f"{reason}, and the HCL has no variable {VARIABLE} to take another one; update "
                "from the template: task template-update"
            )
        needed[architecture] = choice.image.id
    if not needed:
        return []
    return [f"-var={VARIABLE}={json.dumps({**ids, **needed})}"]


def describe_rejected(choices: Mapping[str, Choice]) -> list[str]:
    """Write a line for each image that is not taken although it is the newer match."""
    return [
        f"Source AMI for {architecture}: {choice.image.id} ({choice.image.name}), because "
        f"{rejected.id} ({rejected.name}) {reason}"
        for architecture, choice in choices.items()
        if choice.image
        for rejected, reason in choice.rejected
    ]


def _describe(ec2: Any, owners: list[str], filters: dict[str, str]) -> list[dict[str, Any]]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = ec2.describe_images(
            Owners=owners,
            Filters=[{"Name": name, "Values": [value]} for name, value in filters.items()],
        )
    except (BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())
        raise RemoteError(f"cannot look for the source AMI: {reason}") from error
    return [each for each in answer["Images"] if each.get("State", "available") == "available"]


def _choose(images: list[dict[str, Any]], repository: str) -> Choice:
    """Choose the newest image that may be taken; a deprecated one only where it is the last."""
    rejected: list[tuple[SourceAmi, str]] = []
    deprecated: list[tuple[SourceAmi, str]] = []
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for image in sorted(images, key=lambda each: str(each["CreationDate"]), reverse=True):
        source = SourceAmi(str(image["ImageId"]), str(image.get("Name", "")))
        tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags") or []}
        if repository and tags.get("Repository") == repository:
            rejected.append((source, "is an image of this repository"))
        elif repository and read_expiry(tags):
            rejected.append((source, f"is unfinished: its tag ExpiresAt is {tags['ExpiresAt']}"))
        elif str(image.get("DeprecationTime") or now) < now:
            deprecated.append((source, f"is deprecated since {image['DeprecationTime']}"))
        else:
            return Choice(source, (*deprecated, *rejected))
    return Choice(deprecated[0][0] if deprecated else None, tuple(rejected))
