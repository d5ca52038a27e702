"""What a run of the workflow has to build, and whether it has to build at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from packer_toolkit import aws
from packer_toolkit.errors import NotGoodError, RemoteError, SetupError
from packer_toolkit.packer_values import Values, inspect, read_arguments
from packer_toolkit.records import FOUND_AGAIN

Kind = Literal["test", "daily", "release"]

# As variables.pkr.hcl has it, and not empty; a v before a digit is the tag's, not the version's.
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,39}")


@dataclass(frozen=True)
class Plan:
    """A decision.

    Attributes:
        kind: test, daily or release.
        build: whether to build.
        reason: for a person, in one sentence.
        version: of the image; empty for what is only tested.
        images: those of this version that exist, by architecture.
        parents: the newest parent images, by architecture, where somebody looked.
    """

    kind: Kind
    build: bool
    reason: str
    version: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)


def kind_of(event: str, asked: str) -> Kind:
    """Return what an event is about.

    Args:
        event: GITHUB_EVENT_NAME.
        asked: the choice of a person who started the run by hand; empty otherwise.
    """
    if event == "release":
        return "release"
    if event == "schedule":
        return "daily"
    if event == "workflow_dispatch" and asked in ("daily", "release"):
        return "release" if asked == "release" else "daily"
    return "test"


def version_of(tag: str) -> str:
    """Return the version that a tag names, such as 1.2.3 for v1.2.3.

    Raises:
        SetupError: when it names none; whatever it holds is shown in a harmless form.
    """
    version = tag[1:] if re.match(r"v\d", tag) else tag
    if not _VERSION.fullmatch(version):
        raise SetupError(
            f"the tag {tag[:60]!r} is no version: use at most 40 letters, digits, dots and "
            "hyphens, such as v1.2.3"
        )
    return version


def values_here() -> Values:
    """Return what the HCL here comes to.

    Raises:
        SetupError: when there is no Packer, or it cannot read the HCL.
    """
    packer = shutil.which("packer")
    if not packer:
        raise SetupError("packer, which reads the HCL, is not on PATH: run this in the toolkit")
    return inspect(packer, read_arguments(()), os.environ)


def client(values: Values, region: str = "") -> Any:
    """Return EC2's client of the region, or another one, and the role that the HCL names."""
    region = region or values.text("var.region")
    session = aws.session(values.text("var.assume_role_arn"), "packer-toolkit-plan", region)
    return session.client("ec2", region_name=region, config=aws.config())


def _images(ec2: Any, what: str, **query: Any) -> list[dict[str, Any]]:
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    try:
        found: list[dict[str, Any]] = ec2.describe_images(**query)["Images"]
    except (BotoCoreError, ClientError) as error:
        raise RemoteError(f"cannot look for {what}: {' '.join(str(error).split())}") from error
    return found


def newest_parents(ec2: Any, values: Values) -> dict[str, str]:
    """Return the parent image that a build would take now, for each architecture.

    It asks what sources.pkr.hcl asks.
    """
    names = values.table("var.source_ami_names")
    found = {}
    for architecture in values.texts("var.architectures"):
        filters = {
            "architecture": architecture,
            "name": names.get(architecture, ""),
            "root-device-type": "ebs",
            "virtualization-type": "hvm",
        }
        images = _images(
            ec2,
            "the parent image",
            Owners=values.texts("var.source_ami_owners"),
            Filters=[{"Name": name, "Values": [value]} for name, value in filters.items()],
        )
        if images:
            newest = max(images, key=lambda image: str(image["CreationDate"]))
            found[architecture] = str(newest["ImageId"])
    return found


def images_of(ec2: Any, values: Values, version: str) -> dict[str, dict[str, Any]]:
    """Return the own images of a version that exist, as EC2 describes them, by architecture."""
    found = {}
    for architecture in values.texts("var.architectures"):
        name = f"{values.text('var.image_name')}-{version}-{architecture}"
        images = _images(
            ec2, "images of this version", Owners=["self"],
            Filters=[{"Name": "name", "Values": [name]}],
        )  # fmt: skip
        if images:
            found[architecture] = images[0]
    return found


def manifest_again(values: Values, version: str) -> dict[str, Any]:
    """Return the manifest of a version that exists, as its images and their tags tell.

    For a run that is started again because the records of the build were lost.
    """
    regions: dict[str, list[str]] = {}
    builds: dict[str, dict[str, Any]] = {}
    for region in values.regions:
        for architecture, image in images_of(client(values, region), values, version).items():
            tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags") or []}
            made = datetime.fromisoformat(str(image["CreationDate"]).replace("Z", "+00:00"))
            regions.setdefault(architecture, []).append(f"{region}:{image['ImageId']}")
            builds.setdefault(
                architecture,
                {
                    "name": "image",
                    "builder_type": "amazon-ebs",
                    "build_time": int(made.timestamp()),
                    "files": None,
                    "artifact_id": "",
                    "packer_run_uuid": "",
                    "custom_data": {
                        "architecture": architecture,
                        "commit": tags.get("Commit", ""),
                        "image_name": values.text("var.image_name"),
                        "source_ami": tags.get("SourceAMI", ""),
                        "template_version": tags.get("TemplateVersion", ""),
                        "toolkit_version": tags.get("ToolkitVersion", ""),
                        "version": version,
                    },
                },
            )
    for architecture, build in builds.items():
        build["artifact_id"] = ",".join(sorted(regions[architecture]))
    return {"builds": list(builds.values()), "last_run_uuid": "", FOUND_AGAIN: True}


def release(ec2: Any, values: Values, version: str) -> Plan:
    """Decide about a release: a version is built once.

    Raises:
        NotGoodError: when it exists for some of the architectures only.
    """
    found = images_of(ec2, values, version)
    images = {architecture: str(image["ImageId"]) for architecture, image in found.items()}
    missing = [name for name in values.texts("var.architectures") if name not in images]
    shown = ", ".join(f"{name} {image}" for name, image in sorted(images.items()))
    if not images:
        return Plan("release", True, f"Version {version} is built for the first time.", version)
    if not missing:
        reason = (
            f"Version {version} exists already ({shown}): no second image is made. A release "
            "without a manifest.json gets one, from these images."
        )
        return Plan("release", False, reason, version, images)
    raise NotGoodError(
        f"version {version} exists for some architectures ({shown}) and not for "
        f"{', '.join(missing)}: deregister what there is and start the run again, or "
        "publish a release of another version"
    )


def daily(
    remembered: Mapping[str, str] | None, parents: Mapping[str, str], *, always: bool, why: str
) -> Plan:
    """Decide about a daily build.

    Args:
        remembered: parent images of the last good build of this very commit; None when there was
            none, or when a later one failed.
        parents: the newest ones now.
        always: build whatever has changed.
        why: there is nothing remembered.
    """
    if always:
        return Plan("daily", True, "A build was asked for, whatever has changed.", parents=parents)
    if remembered is None:
        return Plan("daily", True, why, parents=parents)
    if dict(remembered) != dict(parents) or not parents:
        return Plan("daily", True, "The parent image has changed.", parents=parents)
    reason = (
        "Neither the parent image nor the repository has changed since the last build, which was "
        "good."
    )
    return Plan("daily", False, reason, parents=parents)
