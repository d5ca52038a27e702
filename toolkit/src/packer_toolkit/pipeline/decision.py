"""Decide what a workflow run should build, from its event, its tag and the last build."""

from __future__ import annotations

import json
import os
from pathlib import Path

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.github.actions import warn
from packer_toolkit.github.client import Place
from packer_toolkit.pipeline import plan, status
from packer_toolkit.pipeline.artifacts import MANIFEST, read


def decide_build(event: str, kind: str, *, force: bool, commit: str, place: Place) -> plan.Plan:
    """Return what a workflow run should build.

    Args:
        event: GITHUB_EVENT_NAME.
        kind: Kind that the user selected for a manual run; empty otherwise.
        force: Whether a daily build is run although nothing has changed.
        commit: SHA of the commit.
        place: The repository on GitHub, which has the result of the last build.

    Raises:
        CommandFailedError: When something has a name of the version that a build must not delete.
        SetupError: When a release has no tag, or the tag is not a version.
        RemoteError: When AWS cannot be reached, or refuses the request.
    """
    build_kind = plan.kind_of(event, kind)
    if build_kind == "test":
        return plan.Plan("test", True, "A test build: everything but the image.")
    if build_kind == "release":
        if os.environ.get("GITHUB_REF_TYPE") != "tag":
            raise SetupError(
                'a release is built from its tag: choose the tag under "Use workflow from"'
            )
        version = plan.version_of(os.environ.get("GITHUB_REF_NAME", ""))
        values = plan.values_here()
        return plan.release(plan.client(values), values, version)
    values = plan.values_here()
    parents = plan.newest_parents(plan.client(values), values)
    remembered, reason = (None, "") if force else _read_last_build(place, commit)
    return plan.daily(remembered, parents, always=force, why=reason)


def restore_manifest(version: str) -> None:
    """Write manifest.json of a version that is finished, unless it is there already.

    The manifest of other images is one that an earlier or a killed build left in this folder.

    Raises:
        CommandFailedError: When the version is not finished for every architecture in every region.
    """
    manifest = plan.manifest_again(plan.values_here(), version)
    if not plan.is_manifest_of(read(Path()).manifest, manifest):
        Path(MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _read_last_build(place: Place, commit: str) -> tuple[dict[str, str] | None, str]:
    """Return the base images of the commit's last build if it succeeded, or why there are none."""
    try:
        last = status.of_commit(place.connect(), commit)
    except RemoteError as error:
        # A needless build costs minutes; a missing one hides a failure.
        warn(f"it is not known how the last build was, so there is one now: {error}")
        return None, "It is not known how the last build was."
    if last is None:
        return None, "This commit has not been built before."
    if not last.good:
        return None, "The last build of this commit failed."
    return dict(last.parents), ""
