"""Decide what a workflow run should build, if anything: from its event, its tag and the last build.

Of a release that is built already, the manifest can be reconstructed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from packer_toolkit.aws.session import make_clients, open_role_session
from packer_toolkit.build.manifest import (
    FILE as MANIFEST,
    RECONSTRUCTED,
    reconstruct_entry,
    split_artifact,
)
from packer_toolkit.build.source_amis import find_source_amis
from packer_toolkit.build.values import Values, inspect_current_folder
from packer_toolkit.build.version_images import read_version_state
from packer_toolkit.errors import CommandFailedError, SetupError
from packer_toolkit.github.client import RepositoryAccess
from packer_toolkit.pipeline.artifacts import read_artifacts
from packer_toolkit.pipeline.status import RecordedStatus, read_last_build

BuildKind = Literal["test", "daily", "release"]

# What variables.pkr.hcl accepts, and not empty; a v before a digit belongs to the tag alone.
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,39}")
_WITHOUT_PACKER = "run this command in the toolkit image"


@dataclass(frozen=True)
class BuildPlan:
    """The decision about one workflow run; `plan --json` prints it with these names.

    Attributes:
        kind: test, daily or release.
        build: Whether to build.
        reason: Why, in sentences for the user.
        version: Version of the image; empty for a build that creates no image.
        images: IDs of the finished images of this version in the region of the build, by
            architecture.
        parents: IDs of the newest base images by architecture, of a daily build.
    """

    kind: BuildKind
    build: bool
    reason: str
    version: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)


def decide_build(
    event: str, selected: BuildKind | None, *, force: bool, commit: str, access: RepositoryAccess
) -> BuildPlan:
    """Return what a workflow run should build.

    Args:
        event: Value of GITHUB_EVENT_NAME.
        selected: The kind that the user selected for a manual run.
        force: Whether to run a daily build even if nothing has changed.
        commit: SHA of the commit.
        access: The repository on GitHub, which has the result of the last build.

    Raises:
        CommandFailedError: When an image that a build must not delete has a name of the version.
        SetupError: When a release has no tag, or the tag is not a version.
        RemoteError: When AWS cannot be reached, or refuses the request.
    """
    kind = get_build_kind(event, selected)
    if kind == "test":
        return BuildPlan("test", True, "A test build: no image is created.")
    version = ""
    if kind == "release":
        if os.environ.get("GITHUB_REF_TYPE") != "tag":
            raise SetupError(
                "a release is built from its tag: start the run again, and choose the tag under "
                '"Use workflow from"'
            )
        version = parse_version_tag(os.environ.get("GITHUB_REF_NAME", ""))
    values = inspect_current_folder(_WITHOUT_PACKER)
    clients = create_clients(values)
    if version:
        return plan_release(clients, values, version)
    base_images = find_base_images(clients(values.text("var.region")), values)
    forced = "A build was requested even if nothing has changed."
    return plan_daily_build(forced if force else read_last_build(access, commit), base_images)


def get_build_kind(event: str, selected: BuildKind | None) -> BuildKind:
    """Return the kind of build that an event starts; see `decide_build` for the arguments."""
    kinds: Mapping[str, BuildKind] = {
        "release": "release",
        "schedule": "daily",
        "workflow_dispatch": selected or "test",
    }
    return kinds.get(event, "test")


def parse_version_tag(tag: str) -> str:
    """Return the version that a tag names, such as 1.2.3 for v1.2.3.

    Raises:
        SetupError: When the tag does not name a version; the message escapes the tag.
    """
    version = tag[1:] if re.match(r"v\d", tag) else tag
    if not _VERSION.fullmatch(version):
        raise SetupError(
            f"the tag {tag[:60]!r} is not a version: use at most 40 letters, digits, dots and "
            "hyphens, such as v1.2.3"
        )
    return version


def create_clients(values: Values) -> Callable[[str], Any]:
    """Return a function that returns the EC2 client of a region, with the role of the HCL."""
    role, region = values.text("var.assume_role_arn"), values.text("var.region")
    return make_clients(open_role_session(role, "packer-toolkit-plan", region))


def find_base_images(ec2: Any, values: Values) -> dict[str, str]:
    """Return the ID of the base image that a build would use now, by architecture.

    Raises:
        RemoteError: When EC2 cannot be reached, or refuses.
    """
    choices = find_source_amis(ec2, values)
    return {name: choice.image.id for name, choice in choices.items() if choice.image}


def plan_release(clients: Callable[[str], Any], values: Values, version: str) -> BuildPlan:
    """Plan a release: a version is built once, and is built when all its images are finished.

    Args:
        clients: Returns the EC2 client of a region.
        values: Values of the HCL.
        version: Such as 1.2.3.

    Raises:
        CommandFailedError: When an image that a build must not delete has a name of the version.
        RemoteError: When EC2 cannot be reached in a region, or refuses.
    """
    release = read_version_state(clients, values, version)
    images = {name: regions[0].id for name, regions in release.finished.items()}
    finished = ", ".join(f"{name} {image}" for name, image in sorted(images.items()))
    if images and not release.missing:
        return BuildPlan(
            "release",
            False,
            f"Version {version} exists already ({finished}): no second image is created. If the "
            "release has no manifest.json, it is reconstructed from these images.",
            version,
            images,
        )
    reasons = []
    if release.unfinished:
        reasons.append(
            f"Version {version} is unfinished: the build deletes "
            f"{', '.join(image.describe() for image in release.unfinished)}, and builds again."
        )
    if images:
        reasons.append(
            f"Version {version} is finished for {finished}: the build adds "
            f"{', '.join(release.missing)}."
        )
    reason = " ".join(reasons) or f"Version {version} is built for the first time."
    return BuildPlan("release", True, reason, version, images)


def plan_daily_build(last_build: RecordedStatus | str, base_images: Mapping[str, str]) -> BuildPlan:
    """Plan a daily build, which is skipped when nothing has changed since the last successful one.

    Args:
        last_build: The last build of this commit; a sentence with the reason to build without it.
        base_images: IDs of the newest base images, by architecture.
    """
    build = True
    if isinstance(last_build, str):
        reason = last_build
    elif not last_build.succeeded:
        reason = "The last build of this commit failed."
    elif dict(last_build.base_images) != dict(base_images) or not base_images:
        reason = "The base image has changed."
    else:
        build = False
        reason = (
            "Neither the base image nor the repository has changed since the last build, which "
            "succeeded."
        )
    return BuildPlan("daily", build, reason, parents=base_images)


def restore_manifest(version: str) -> None:
    """Write manifest.json of a finished version, unless it names the images of this version.

    The manifest of other images is from an earlier or an interrupted build in this folder.

    Raises:
        CommandFailedError, RemoteError: See `reconstruct_manifest`.
    """
    values = inspect_current_folder(_WITHOUT_PACKER)
    manifest = reconstruct_manifest(create_clients(values), values, version)
    present, finished = (
        sorted(pair for entry in entries for pair in split_artifact(entry).items())
        for entries in (read_artifacts(Path()).entries, manifest["builds"])
    )
    if present != finished:
        Path(MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def reconstruct_manifest(
    clients: Callable[[str], Any], values: Values, version: str
) -> dict[str, Any]:
    """Return the manifest of a finished version, reconstructed from the tags of its images.

    A run that is started again needs it when the build artifacts were lost.

    Args:
        clients: Returns the EC2 client of a region.
        values: Values of the HCL.
        version: Such as 1.2.3.

    Raises:
        CommandFailedError: When the version is not finished for every architecture and region.
        RemoteError: When EC2 cannot be reached in a region, or refuses.
    """
    release = read_version_state(clients, values, version)
    if release.missing or not release.finished:
        missing = ", ".join(release.missing or values.texts("var.architectures"))
        raise CommandFailedError(
            f"version {version}: it is not finished for {missing}, so that manifest.json cannot be "
            "written; start the run again to build it"
        )
    return {
        "builds": [
            reconstruct_entry(values, version, images) for images in release.finished.values()
        ],
        "last_run_uuid": "",
        RECONSTRUCTED: True,
    }
