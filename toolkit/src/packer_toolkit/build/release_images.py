"""The images of a build's version: what is deleted before Packer starts, and verified afterwards.

Packer refuses a name that any image has: the leftovers of a killed build are deleted first.  And
Packer succeeds as soon as EC2 has accepted each call: whether the images are finished is verified.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packer_toolkit.build.arguments import Arguments
from packer_toolkit.build.cleanup.delete import LeftoverDeleter
from packer_toolkit.build.cleanup.find import LeftoverFinder
from packer_toolkit.build.cleanup.scope import NEVER, DeletionResult, Scope
from packer_toolkit.build.clock import Clock, format_time, wait
from packer_toolkit.build.manifest import FILE, get_architecture, split_artifact
from packer_toolkit.build.selection import Selection
from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import (
    VersionImage,
    VersionState,
    describe_images,
    get_repository,
    read_version_state,
)
from packer_toolkit.errors import CommandFailedError, RemoteError

if TYPE_CHECKING:
    from packer_toolkit.aws.session import Clients

_MOST_ATTEMPTS = 5  # earlier attempts of a workflow run whose leftovers are deleted
# EC2 may show new tags late: seconds between the verifications.
VERIFY_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)

Delete = Callable[[Scope], DeletionResult]


def make_delete(
    clients: Clients,
    should_stop: Callable[[], bool],
    echo: Callable[[str], None],
    clock: Clock = time,
) -> Delete:
    """Return a function that deletes the resources of a scope.

    Args:
        clients: Returns the EC2 client of a region.
        should_stop: Returns whether nothing is waited for any more.
        echo: Prints a line for the user.
        clock: Clock for the pauses.
    """

    def delete(scope: Scope) -> DeletionResult:
        finder = LeftoverFinder(clients, scope, clock)
        return LeftoverDeleter(finder, is_forced=should_stop, echo=echo).run()

    return delete


def select_architectures(values: Values, arguments: Arguments) -> list[str]:
    """Return the architectures whose builds -only and -except select."""
    names = [f"amazon-ebs.{name}" for name in values.texts("var.architectures")]
    selected = Selection.of(arguments).select(names)
    return [name.removeprefix("amazon-ebs.") for name in selected]


def read_missing(clients: Clients, values: Values, arguments: Arguments) -> VersionState:
    """Find out which images are missing of the version that is built.

    Args:
        clients: Returns the EC2 client of a region.
        values: Values of the HCL.
        arguments: Arguments of `packer build`.

    Returns:
        The state of the version: finished images are not built again.

    Raises:
        CommandFailedError: If the version is finished, or if an image that must not be deleted has
            one of its names.
        RemoteError: If EC2 refuses a call in a region.
    """
    version = values.text("var.version")
    selected = select_architectures(values, arguments)
    state = read_version_state(clients, values, version, selected)
    if selected and not state.missing:
        images = ", ".join(
            f"{images[0].name} is {images[0].id} in {images[0].region}"
            for images in state.finished.values()
        )
        raise CommandFailedError(
            f"version {version}: it exists already, {images}; build another version"
        )
    return state


def delete_unfinished(
    clients: Clients,
    values: Values,
    state: VersionState,
    *,
    delete: Delete,
    should_stop: Callable[[], bool] = lambda: False,
    echo: Callable[[str], None] = lambda _: None,
) -> None:
    """Delete the unfinished images of a version, and the other leftovers of their killed builds.

    Args:
        clients: Returns the EC2 client of a region.
        values: Values of the HCL.
        state: State of the version.
        delete: Deletes the resources of a scope.
        should_stop: Returns whether nothing is waited for any more.
        echo: Prints a line for the user.

    Raises:
        RemoteError: If an image cannot be deleted, so that Packer could not use its name.
    """
    repository = get_repository(values)
    for image in state.unfinished:
        echo(f"Unfinished: {image.name}, {image.describe()}; it is deleted and built again")
    # An image that looks finished in one region loses that mark first: if this is interrupted, no
    # part of the image counts as finished.
    for image in state.unfinished:
        if image.tags.get("ExpiresAt") == NEVER:
            _mark_unfinished(clients(image.region), image)
    finished = frozenset(image.id for images in state.finished.values() for image in images)
    blocking = {image.id for image in state.unfinished} | set(values.regions)
    for run_id in dict.fromkeys(image.run_id for image in state.unfinished):
        scope = Scope(repository, tuple(values.regions), run_id, never=finished)
        for leftover in delete(scope).leftovers:
            if leftover["id"] in blocking and not should_stop():
                raise RemoteError(
                    f"{leftover['id']} in {leftover['region']}: it belongs to an unfinished build "
                    f"of version {state.version} and cannot be deleted ({leftover['reason']}); "
                    f"delete it with packer-toolkit cleanup --run-id {run_id}, then build again"
                )


def delete_earlier_attempts(
    scope: Scope, environment: Mapping[str, str], delete: Delete, echo: Callable[[str], None]
) -> None:
    """Delete the leftovers of earlier attempts of this workflow run, but no finished image.

    GitHub starts another attempt only after the earlier one has ended, so that nothing uses them.

    Args:
        scope: Scope of this build.
        environment: Environment of the build.
        delete: Deletes the resources of a scope.
        echo: Prints a line for the user.
    """
    run, attempt = environment.get("GITHUB_RUN_ID"), environment.get("GITHUB_RUN_ATTEMPT", "")
    if not attempt.isdecimal() or scope.run_id != f"{run}-{attempt}":
        return
    for number in range(max(1, int(attempt) - _MOST_ATTEMPTS), int(attempt)):
        earlier = replace(scope, run_id=f"{run}-{number}", finished=False)
        for each in delete(earlier).leftovers:
            echo(f"LEFT: {each['kind']} {each['id']} in {each['region']}: {each['reason']}")


def verify_images(
    clients: Clients,
    values: Values,
    entries: Sequence[Mapping[str, Any]],
    count: int,
    should_stop: Callable[[], bool],
    clock: Clock = time,
) -> list[str]:
    """Verify that the images of a build are finished, after EC2 has had time to show their tags.

    Args:
        clients: Returns the EC2 client of a region.
        values: Values of the HCL.
        entries: Entries of this build in manifest.json.
        count: Number of images that the build had to create.
        should_stop: Returns whether nothing is waited for any more.
        clock: Clock for the pauses.

    Returns:
        A line for each problem.

    Raises:
        RemoteError: If EC2 refuses a call in a region.
    """
    try:
        for pause in (*VERIFY_PAUSES, 0.0):
            problems = find_unfinished(clients, values, entries, count)
            if problems:
                wait(clock, pause, should_stop)
            if not problems or should_stop():
                break
    except RemoteError as error:
        raise RemoteError(
            f"the images were built, and cannot be verified: {error}; start again: a finished "
            "version is recognized, an unfinished one is deleted and built again"
        ) from error
    return problems


def find_unfinished(
    clients: Clients, values: Values, entries: Sequence[Mapping[str, Any]], count: int
) -> list[str]:
    """Describe the unfinished ones of the images that a build wrote into manifest.json.

    Args:
        clients: Returns the EC2 client of a region.
        values: Values of the HCL.
        entries: Entries of this build in manifest.json.
        count: Number of images that the build had to create.

    Raises:
        RemoteError: If EC2 refuses a call in a region.
    """
    entries = [entry for entry in entries if entry.get("builder_type") == "amazon-ebs"]
    problems = []
    if len(entries) < count:
        problems.append(f"{FILE} names {len(entries)} of {count} images")
    for entry in entries:
        ids = split_artifact(entry)
        architecture = get_architecture(entry)
        for region in values.regions:
            if region not in ids:
                problems.append(f"the image for {architecture} is not in {region}")
                continue
            filters = [{"Name": "image-id", "Values": [ids[region]]}]
            images = list(describe_images(clients, region, architecture, filters))
            if not images:
                problems.append(f"{ids[region]} in {region} does not exist")
            problems += [
                f"{image.describe()} is not finished"
                for image in images
                if not image.is_finished(get_repository(values))
            ]
    return problems


def _mark_unfinished(client: Any, image: VersionImage) -> None:
    """Set the tags of an unfinished image."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.create_tags(
            Resources=[image.id],
            # A time beside a Version would look like a released image that a developer marked.
            Tags=[
                {"Key": "ExpiresAt", "Value": format_time(time.time())},
                {"Key": "Version", "Value": ""},
            ],
        )
    except (BotoCoreError, ClientError) as error:
        raise RemoteError(
            f"{image.id} in {image.region}: it belongs to an unfinished image and cannot be tagged "
            f"({' '.join(str(error).split())}); start again with a role that may"
        ) from error
