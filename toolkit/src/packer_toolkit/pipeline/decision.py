"""Decide what a workflow run should build, from its event, its tag and the last build."""

from __future__ import annotations

import os
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.github.client import RepositoryAccess
from packer_toolkit.pipeline import plan
from packer_toolkit.pipeline.status import read_last_build


def decide_build(
    event: str, kind: str, *, force: bool, commit: str, access: RepositoryAccess
) -> plan.BuildPlan:
    """Return what a workflow run should build.

    Args:
        event: GITHUB_EVENT_NAME.
        kind: Kind that the user selected for a manual run; empty otherwise.
        force: Whether a daily build is run although nothing has changed.
        commit: SHA of the commit.
        access: The repository on GitHub, which has the result of the last build.

    Raises:
        CommandFailedError: When something has a name of the version that a build must not delete.
        SetupError: When a release has no tag, or the tag is not a version.
        RemoteError: When AWS cannot be reached, or refuses the request.
    """
    build_kind = plan.get_build_kind(event, kind)
    if build_kind == "test":
        return plan.BuildPlan("test", True, "A test build: no image is created.")
    if build_kind == "release":
        if os.environ.get("GITHUB_REF_TYPE") != "tag":
            raise SetupError(
                'a release is built from its tag: choose the tag under "Use workflow from"'
            )
        version = plan.parse_version_tag(os.environ.get("GITHUB_REF_NAME", ""))
        values = plan.read_values()
        return plan.plan_release(plan.create_clients(values), values, version)
    values = plan.read_values()
    ec2 = plan.create_clients(values)(values.text("var.region"))
    base_images = plan.find_base_images(ec2, values)
    last_build = "" if force else read_last_build(access, commit)
    return plan.plan_daily_build(last_build, base_images, always=force)


def restore_manifest(version: str) -> None:
    """Write manifest.json of a version that is finished, unless it is there already.

    The manifest of other images is one that an earlier or a killed build left in this folder.

    Raises:
        CommandFailedError: When the version is not finished for every architecture in every region.
    """
    values = plan.read_values()
    plan.write_missing_manifest(Path(), plan.create_clients(values), values, version)
