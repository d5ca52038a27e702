"""Which images of a version exist, and whether the version is finished.

Packer creates an image under its final name, copies and shares it, and gives it the tags of a
finished image last, region by region.  A version is finished when each architecture has, in every
region of the HCL, an image that is available, carries the tag ExpiresAt=never, and belongs to this
repository.  Everything else under the names of the version is unfinished, or belongs to others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packer_toolkit.aws.session import Clients
from packer_toolkit.build.cleanup.scope import (
    DEAD_STATES,
    MANAGED_BY,
    NEVER,
    read_expiry,
    read_tags,
)
from packer_toolkit.build.values import Values
from packer_toolkit.errors import CommandFailedError, RemoteError
from packer_toolkit.text.lines import join_lines


@dataclass(frozen=True)
class VersionImage:
    """An image of this account that has a name of the version, in one region.

    Attributes:
        architecture: Architecture that its name ends with.
        region: Region.
        id: ID.
        name: Name.
        state: State, such as available, pending, failed.
        tags: Values of its tags by name.
        created: Creation date, such as 2026-11-25T03:00:00.000Z.
    """

    architecture: str
    region: str
    id: str
    name: str
    state: str
    tags: Mapping[str, str]
    created: str

    @property
    def run_id(self) -> str:
        """Return the ID of the run that built it; empty without that tag."""
        return self.tags.get("RunId", "")

    def is_finished(self, repository: str) -> bool:
        """Return whether it is finished; the version is if every region has a finished image."""
        return (
            self.state == "available"
            and self.tags.get("ExpiresAt") == NEVER
            and self.tags.get("Repository") == repository
        )

    def describe(self) -> str:
        """Describe the image in one line: its ID, region, state and run."""
        tag = self.tags.get("ExpiresAt", "")
        expires = "no tag ExpiresAt" if not tag else f"ExpiresAt {_quote(tag)}"
        run = f", run {_quote(self.run_id)}" if self.run_id else ""
        return f"{self.id} ({self.architecture}, {self.region}, {self.state}, {expires}{run})"


@dataclass(frozen=True)
class VersionState:
    """The images of a version that exist, and those that are missing.

    Attributes:
        version: Version, such as 1.2.3.
        finished: Finished images by architecture, one for each region in the order of the HCL.
        missing: Architectures that have to be built.
        unfinished: Images that a killed build left; they have to be deleted before.
    """

    version: str
    finished: Mapping[str, tuple[VersionImage, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unfinished: tuple[VersionImage, ...] = ()


def get_repository(values: Values) -> str:
    """Return the value of the tag Repository of the images of this repository."""
    tagged = values.table("local.run_tags").get("Repository", "")
    return tagged or f"packer-ami-{values.text('var.image_name')}"


@contextlib.contextmanager
def explain_refusal(problem: str, next_step: str) -> Iterator[None]:
    """Turn an error of EC2 in the block into an error of one line.

    Args:
        problem: What cannot be done.
        next_step: What the user does about it, if EC2 lacks the permission.

    Raises:
        RemoteError: If EC2 cannot be reached, or refuses the call.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise RemoteError(f"{problem}: {join_lines(str(error))}; {next_step}") from error


def read_version_state(
    clients: Clients, values: Values, version: str, selected: Iterable[str] | None = None
) -> VersionState:
    """Find the images of a version in every region of the HCL.

    Args:
        clients: Returns the EC2 client of a region.
        values: Values of the HCL.
        version: Version, such as 1.2.3.
        selected: Architectures to build; by default all of the HCL.  Of the others, only finished
            images count.

    Raises:
        CommandFailedError: If an image has a name of the version and must not be deleted, or if the
            version cannot be completed because its other images are of another commit.
        RemoteError: If EC2 refuses a call in a region.
    """
    architectures = values.texts("var.architectures")
    finished: dict[str, tuple[VersionImage, ...]] = {}
    missing: list[str] = []
    unfinished: list[VersionImage] = []
    for architecture in architectures:
        name = f"{values.text('var.image_name')}-{version}-{architecture}"
        filters = [{"Name": "name", "Values": [name]}]
        images = [
            image
            for region in values.regions
            for image in describe_images(clients, region, architecture, filters)
        ]
        complete = _select_finished(images, values)
        if complete:
            finished[architecture] = complete
        elif selected is None or architecture in selected:
            missing.append(architecture)
            unfinished += _select_deletable(images, values)
    if finished and missing:
        _check_commits(finished, values, version, missing)
    return VersionState(version, finished, tuple(missing), tuple(unfinished))


def describe_images(
    clients: Clients, region: str, architecture: str, filters: Any
) -> Iterator[VersionImage]:
    """Yield images of this account, also disabled ones, because their names are taken, too."""
    with explain_refusal(
        f"cannot list the images of this version in {region}",
        "start again with a role that has the permission ec2:DescribeImages",
    ):
        response = clients(region).describe_images(
            Owners=["self"], Filters=filters, IncludeDisabled=True
        )
    for each in response["Images"]:
        if each.get("State") != "deregistered":
            yield VersionImage(
                architecture=architecture,
                region=region,
                id=str(each["ImageId"]),
                name=str(each.get("Name", "")),
                state=str(each.get("State", "unknown")),
                tags=read_tags(each),
                created=str(each.get("CreationDate", "")),
            )


def _select_finished(images: Sequence[VersionImage], values: Values) -> tuple[VersionImage, ...]:
    """Return the finished image of each region; nothing if a region has none.

    Raises:
        CommandFailedError: If the images of two regions are of different builds.
    """
    repository = get_repository(values)
    by_region = {
        region: {
            image.run_id: image
            for image in sorted(images, key=lambda image: image.created)
            if image.region == region and image.is_finished(repository)
        }
        for region in values.regions
    }
    if not all(by_region.values()):
        return ()
    newest = max((i for runs in by_region.values() for i in runs.values()), key=lambda i: i.created)
    run_ids = set.intersection(*(set(runs) for runs in by_region.values()))
    if not run_ids:
        images_ = ", ".join(
            image.describe() for runs in by_region.values() for image in runs.values()
        )
        raise CommandFailedError(
            f"{newest.name}: its regions have images of different builds, {images_}; delete those "
            "of one build with packer-toolkit cleanup --run-id RUN --finished-images, then start "
            "again"
        )
    run_id = newest.run_id if newest.run_id in run_ids else sorted(run_ids)[0]
    return tuple(runs[run_id] for runs in by_region.values())


def _select_deletable(images: Sequence[VersionImage], values: Values) -> list[VersionImage]:
    """Return the images of an unfinished version.

    Only the leftovers of a killed build are deleted: images with all tags of the run whose tag
    ExpiresAt is a time, and the images of the same run that look finished in another region.

    Raises:
        CommandFailedError: If one of the images must not be deleted.
    """
    repository = get_repository(values)
    killed = {
        image.run_id
        for image in images
        if image.tags.get("Repository") == repository and _has_tags_of_run(image, values)
    }
    for image in images:
        if reason := _explain_blocker(image, images, values, killed):
            raise CommandFailedError(f"{image.name}: {reason}")
    return list(images)


def _has_tags_of_run(image: VersionImage, values: Values) -> bool:
    """Return whether an image has the tags of a build that did not finish it.

    Only finished images have a Version of their own: a developer set the time in ExpiresAt of an
    image that has one.
    """
    of_run = values.table("local.run_tags").get("Version", "")
    return bool(read_expiry(image.tags)) and image.tags.get("Version", "") in ("", of_run)


def _explain_blocker(
    image: VersionImage, images: Sequence[VersionImage], values: Values, killed: set[str]
) -> str:
    """Explain why a build must not delete an image; empty if it may."""
    repository = get_repository(values)
    subject = f"{image.id} in {image.region}"
    delete = f"aws ec2 deregister-image --region {image.region} --image-id {image.id}"
    cleanup = f"packer-toolkit cleanup --run-id {image.run_id} --finished-images"
    owner = image.tags.get("Repository", "")
    if not image.tags and image.state == "pending":
        return (
            f"{subject} has this name, is pending and has no tags yet; start again once it is "
            "available"
        )
    if owner != repository:
        reason = f"its tag Repository is {_quote(owner)}" if owner else "it has no tag Repository"
        return (
            f"{subject} has this name and is not an image of {repository}, because {reason}; build "
            f"another version, or, if nothing uses the image, delete it: {delete}"
        )
    if image.tags.get("ManagedBy") != MANAGED_BY or not image.run_id:
        return (
            f"{subject} is unfinished, and its tags ManagedBy and RunId do not name the build that "
            f"created it; if nothing uses the image, delete it: {delete}"
        )
    if image.state in DEAD_STATES or _has_tags_of_run(image, values):
        return ""
    expires = image.tags.get("ExpiresAt")
    if read_expiry(image.tags):
        return (
            f"{subject} has the tag Version of a finished image, and its tag ExpiresAt is "
            f"{_quote(expires or '')}; set it to never if the image was released, or, if nothing "
            f"uses the image, delete it: {cleanup}"
        )
    if expires != NEVER:
        value = f"{_quote(expires)}, neither never nor a time" if expires else "missing"
        return (
            f"{subject} is not known to be finished, because its tag ExpiresAt is {value}; set it "
            "to never if the image was released, or, if nothing uses the image, delete it: "
            f"{cleanup}"
        )
    if image.state == "disabled":
        return (
            f"{subject} was disabled; build another version, or enable it: "
            f"aws ec2 enable-image --region {image.region} --image-id {image.id}"
        )
    if image.state != "available":
        return f"{subject} is {image.state}; start again once it is available"
    if image.run_id in killed:
        return ""
    finished = [each.region for each in images if each.is_finished(repository)]
    others = ", ".join(region for region in values.regions if region not in finished)
    return (
        f"{subject} is finished, and {others} has no finished copy of it; copy the image with its "
        f"tags, build another version, or, if nothing uses the image, delete it: {cleanup}"
    )


def _check_commits(
    finished: Mapping[str, Sequence[VersionImage]],
    values: Values,
    version: str,
    missing: Sequence[str],
) -> None:
    """Make sure that all images of a version are of one commit.

    Raises:
        CommandFailedError: If a finished image is of another commit, or its commit is not known.
    """
    commit = values.table("local.image_tags").get("Commit", "")
    for images in finished.values():
        image = images[0]
        built = image.tags.get("Commit", "")
        if built != commit or built == "unknown":
            raise CommandFailedError(
                f"version {version}: {image.id} ({image.architecture}, {image.region}) was built "
                f"from commit {_quote(built) or 'unknown'}, and {', '.join(missing)} would be "
                f"built from {_quote(commit) or 'unknown'}; build that commit, another version, "
                "or, if nothing uses the image, delete it: packer-toolkit cleanup "
                f"--run-id {image.run_id} --finished-images"
            )


def _quote(text: str) -> str:
    """Return the value of a tag as one short line of printable characters."""
    return "".join(c if c.isprintable() else "?" for c in text)[:60]
