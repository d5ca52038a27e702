"""What a build does about the images of its version: before Packer starts, and when it has ended.

Packer refuses a name that any image has, so that what a killed build left is deleted first.  And
Packer succeeds as soon as EC2 has taken each call; whether the images are finished is verified.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from packer_toolkit.aws.session import config
from packer_toolkit.build.cleanup.find import NEVER, Scope, Sweep
from packer_toolkit.build.selection import Selection
from packer_toolkit.build.values import Arguments, Values
from packer_toolkit.build.version_images import (
    Clients,
    Image,
    Release,
    find_unfinished,
    get_repository,
    make_entry,
    read_release,
)
from packer_toolkit.errors import CommandFailedError, RemoteError

_ATTEMPTS = 5  # earlier ones of a run that are looked at
# EC2 may show new tags late: it is asked again after so many seconds each.
VERIFY_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)


def make_clients(session: Any) -> Clients:
    """Return a function that makes EC2's client of a region, once for each."""

    @cache
    def get_client(region: str) -> Any:
        return session.client("ec2", region_name=region, config=config())

    return get_client


def select_architectures(values: Values, arguments: Arguments) -> list[str]:
    """Return the architectures whose builds -only and -except select."""
    names = [f"amazon-ebs.{name}" for name in values.texts("var.architectures")]
    selected = Selection.of(arguments).of_builds(names)
    return [name.removeprefix("amazon-ebs.") for name in selected]


def read_missing(session: Any, values: Values, arguments: Arguments) -> Release:
    """Find out what is missing of the version that is to be built.

    Args:
        session: A boto3 session.
        values: Of the HCL.
        arguments: Of `packer build`.

    Returns:
        What exists of the version: finished images are not built again.

    Raises:
        CommandFailedError: When the version is finished, or a name belongs to an image that must
            not be deleted.
        RemoteError: When a region cannot be asked.
    """
    version = values.text("var.version")
    selected = select_architectures(values, arguments)
    release = read_release(make_clients(session), values, version, selected)
    if selected and not release.missing:
        shown = ", ".join(
            f"{images[0].name} is {images[0].id} in {images[0].region}"
            for images in release.finished.values()
        )
        raise CommandFailedError(
            f"version {version}: it exists already, {shown}; build another version"
        )
    return release


def delete_unfinished(
    session: Any,
    values: Values,
    release: Release,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    show: Callable[[str], None] = lambda _: None,
) -> None:
    """Delete the unfinished images of a version, and what else their killed builds left.

    Args:
        session: A boto3 session.
        values: Of the HCL.
        release: What exists of the version.
        should_stop: Asked again and again: true, and nothing more is waited for.
        show: Takes a line for the user.

    Raises:
        RemoteError: When an image cannot be deleted; Packer could not use its name then.
    """
    repository = get_repository(values)
    for image in release.unfinished:
        show(f"Unfinished: {image.name}, {image.describe()}; it is deleted and built again")
    # An image that looks finished in one region loses that mark first: if this is interrupted, no
    # part of the image counts as finished.
    for image in release.unfinished:
        if image.tags.get("ExpiresAt") == NEVER:
            _mark_unfinished(session, image)
    keep = frozenset(image.id for images in release.finished.values() for image in images)
    names = {image.id for image in release.unfinished} | set(values.regions)
    for run_id in dict.fromkeys(image.run_id for image in release.unfinished):
        scope = Scope(repository, tuple(values.regions), run_id, never=keep)
        outcome = Sweep(session, scope, hurry=should_stop, say=show).run()
        for thing in outcome.left:
            if thing["id"] in names and not should_stop():
                raise RemoteError(
                    f"{thing['id']} in {thing['region']}: it belongs to an unfinished build of "
                    f"version {release.version} and cannot be deleted ({thing['reason']}); delete "
                    f"it with packer-toolkit sweep --run-id {run_id}, then build again"
                )


def sweep_earlier_attempts(
    session: Any,
    scope: Scope,
    environment: Mapping[str, str],
    *,
    should_stop: Callable[[], bool],
    show: Callable[[str], None],
) -> None:
    """Delete what earlier attempts of this run of the workflow left, but no finished image.

    GitHub starts another attempt only when the earlier one has ended, so that nothing uses it.

    Args:
        session: A boto3 session.
        scope: What this build may delete.
        environment: Of the build.
        should_stop: Asked again and again: true, and nothing more is waited for.
        show: Takes a line for the user.
    """
    run, attempt = environment.get("GITHUB_RUN_ID"), environment.get("GITHUB_RUN_ATTEMPT", "")
    if not attempt.isdecimal() or scope.run_id != f"{run}-{attempt}":
        return
    for number in range(max(1, int(attempt) - _ATTEMPTS), int(attempt)):
        earlier = replace(scope, run_id=f"{run}-{number}", finished=False)
        outcome = Sweep(session, earlier, hurry=should_stop, say=show).run()
        for thing in outcome.left:
            show(f"LEFT: {thing['kind']} {thing['id']} in {thing['region']}: {thing['reason']}")


def verify_images(
    clients: Clients,
    values: Values,
    entries: Sequence[Mapping[str, Any]],
    count: int,
    should_stop: Callable[[], bool],
) -> list[str]:
    """Return what is unfinished of the images of a build, once EC2 has had time to show its tags.

    Args:
        clients: Returns EC2's client of a region.
        values: Of the HCL.
        entries: The entries of this build in manifest.json.
        count: How many images it had to make.
        should_stop: Asked again and again: true, and nothing more is waited for.

    Raises:
        RemoteError: When a region cannot be asked.
    """
    try:
        for pause in (*VERIFY_PAUSES, 0.0):
            problems = find_unfinished(clients, values, entries, count)
            until = time.monotonic() + pause
            while problems and not should_stop() and time.monotonic() < until:
                time.sleep(0.1)
            if not problems or should_stop():
                break
    except RemoteError as error:
        raise RemoteError(
            f"the images were built, and cannot be verified: {error}; start again: a finished "
            "version is recognized, an unfinished one is deleted and built again"
        ) from error
    return problems


def complete_manifest(file: Path, values: Values, release: Release) -> list[str]:
    """Add the images that an earlier build finished to the manifest of the build of the others.

    Args:
        file: manifest.json, as Packer wrote it.
        values: Of the HCL.
        release: What existed of the version before the build.

    Returns:
        The architectures that were added.
    """
    manifest = json.loads(file.read_text())
    for images in release.finished.values():
        entry = make_entry(values, release.version, images)
        # Readers take the entries of the last run only.
        manifest["builds"].append({**entry, "packer_run_uuid": manifest["last_run_uuid"]})
    file.write_text(json.dumps(manifest, indent=2) + "\n")
    return list(release.finished)


def _mark_unfinished(session: Any, image: Image) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client = session.client("ec2", region_name=image.region, config=config())
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        client.create_tags(
            Resources=[image.id],
            # A time beside a Version would look like a released image that a developer marked.
            Tags=[{"Key": "ExpiresAt", "Value": now}, {"Key": "Version", "Value": ""}],
        )
    except (BotoCoreError, ClientError) as error:
        raise RemoteError(
            f"{image.id} in {image.region}: it belongs to an unfinished image and cannot be tagged "
            f"({' '.join(str(error).split())}); start again with a role that may"
        ) from error
