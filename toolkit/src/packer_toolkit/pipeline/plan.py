"""What a run of the workflow has to build, and whether it has to build at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from packer_toolkit.aws.session import make_clients, open_role_session
from packer_toolkit.build.arguments import read_arguments
from packer_toolkit.build.manifest import reconstruct_entry, split_artifact
from packer_toolkit.build.source_amis import find_source_amis
from packer_toolkit.build.values import Values, inspect
from packer_toolkit.build.version_images import VersionState, read_version_state
from packer_toolkit.errors import CommandFailedError, SetupError
from packer_toolkit.pipeline.artifacts import FOUND_AGAIN

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
        images: the finished images of this version in the region of the build, by architecture.
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
    session = open_role_session(values.text("var.assume_role_arn"), "packer-toolkit-plan", region)
    return make_clients(session)(region)


def newest_parents(ec2: Any, values: Values) -> dict[str, str]:
    """Return the source AMI that a build would take now, for each architecture.

    Raises:
        RemoteError: When the region cannot be asked.
    """
    choices = find_source_amis(ec2, values)
    return {name: choice.image.id for name, choice in choices.items() if choice.image}


def read_release(ec2: Any, values: Values, version: str) -> VersionState:
    """Find out what exists of a version.

    Args:
        ec2: EC2's client of the region that the HCL builds in; the other regions get their own.
        values: Of the HCL.
        version: Such as 1.2.3.

    Raises:
        CommandFailedError, RemoteError: See `read_version_state`.
    """
    home = values.text("var.region")
    clients = {home: ec2}

    def get_client(region: str) -> Any:
        return clients.setdefault(region, client(values, region)) if region != home else ec2

    return read_version_state(get_client, values, version)


def manifest_again(values: Values, version: str) -> dict[str, Any]:
    """Return the manifest of a version that is finished, reconstructed from its images' tags.

    For a run that is started again because the build artifacts were lost.

    Raises:
        CommandFailedError: When the version is not finished for every architecture in every region.
    """
    release = read_release(client(values, values.text("var.region")), values, version)
    if release.missing or not release.finished:
        missing = ", ".join(release.missing or values.texts("var.architectures"))
        raise CommandFailedError(
            f"version {version}: it is not finished for {missing}, so that manifest.json cannot be "
            "written; start the run again, which builds it"
        )
    entries = [reconstruct_entry(values, version, images) for images in release.finished.values()]
    return {"builds": entries, "last_run_uuid": "", FOUND_AGAIN: True}


def is_manifest_of(manifest: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
    """Return whether a manifest names exactly the images of the reconstructed one."""

    def names(each: Mapping[str, Any]) -> list[tuple[str, str]]:
        builds = each.get("builds")
        return sorted(
            pair
            for build in (builds if isinstance(builds, list) else [])
            if isinstance(build, dict)
            for pair in split_artifact(build).items()
        )

    return names(manifest) == names(again)


def release(ec2: Any, values: Values, version: str) -> Plan:
    """Decide about a release: a version is built once, and counts as built when it is finished.

    Raises:
        CommandFailedError: When something has a name of the version that a build must not delete.
        RemoteError: When a region cannot be asked.
    """
    existing = read_release(ec2, values, version)
    images = {name: each[0].id for name, each in existing.finished.items()}
    shown = ", ".join(f"{name} {image}" for name, image in sorted(images.items()))
    if images and not existing.missing:
        reason = (
            f"Version {version} exists already ({shown}): no second image is made. A release "
            "without a manifest.json gets one, from these images."
        )
        return Plan("release", False, reason, version, images)
    if not images and not existing.unfinished:
        return Plan("release", True, f"Version {version} is built for the first time.", version)
    reasons = []
    if existing.unfinished:
        unfinished = ", ".join(image.describe() for image in existing.unfinished)
        reasons.append(
            f"Version {version} is unfinished: the build deletes {unfinished}, and builds again."
        )
    if images:
        missing = ", ".join(existing.missing)
        reasons.append(f"Version {version} is finished for {shown}: the build adds {missing}.")
    return Plan("release", True, " ".join(reasons), version, images)


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
