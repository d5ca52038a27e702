"""Which images of a version exist, and whether the version is finished.

Packer creates an image under its final name, copies and shares it, and gives it the tags of a
finished image last, region by region.  A version is finished when each architecture has, in every
region of the HCL, an image that is available, carries the tag ExpiresAt=never, and belongs to this
repository.  Everything else under the names of the version is unfinished, or belongs to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from packer_toolkit.build.cleanup.find import DEAD_STATES, MANAGED_BY, NEVER, read_expiry
from packer_toolkit.build.values import Values
from packer_toolkit.errors import CommandFailedError, RemoteError

# Returns EC2's client of a region.
Clients = Callable[[str], Any]


@dataclass(frozen=True)
class Image:
    """An own image under a name of the version, in one region.

    Attributes:
        architecture: The one that its name ends with.
        region: Where it is.
        id: Its ID.
        name: Its name.
        state: EC2's word, such as available, pending, failed.
        tags: Its tags.
        created: EC2's creation date.
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
        """The build that made it; empty when it has no such tag."""
        return self.tags.get("RunId", "")

    def is_finished(self, repository: str) -> bool:
        """Return whether this one is finished; the image is when each region has such a one."""
        return (
            self.state == "available"
            and self.tags.get("ExpiresAt") == NEVER
            and self.tags.get("Repository") == repository
        )

    def describe(self) -> str:
        """Name the image, its region, its state and its build."""
        tag = self.tags.get("ExpiresAt", "")
        expires = "no tag ExpiresAt" if not tag else f"ExpiresAt {_quote(tag)}"
        run = f", run {_quote(self.run_id)}" if self.run_id else ""
        return f"{self.id} ({self.architecture}, {self.region}, {self.state}, {expires}{run})"


@dataclass(frozen=True)
class Release:
    """What exists of a version.

    Attributes:
        version: Such as 1.2.3.
        finished: The finished images by architecture, one for each region in the HCL's order.
        missing: Architectures that have to be built.
        unfinished: Images that a killed build left, which have to be deleted before.
    """

    version: str
    finished: Mapping[str, tuple[Image, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unfinished: tuple[Image, ...] = ()


def get_repository(values: Values) -> str:
    """Return the value of the tag Repository of this repository's images."""
    tagged = values.table("local.run_tags").get("Repository", "")
    return tagged or f"packer-ami-{values.text('var.image_name')}"


def read_release(
    clients: Clients, values: Values, version: str, selected: Iterable[str] | None = None
) -> Release:
    """Find out what exists of a version, in every region of the HCL.

    Args:
        clients: Returns EC2's client of a region.
        values: Of the HCL.
        version: Such as 1.2.3.
        selected: Architectures that are to be built; all of the HCL's when None.  Of the others
            only what is finished counts.

    Raises:
        CommandFailedError: When something has a name of the version that a build must not delete,
            or when the version cannot be completed because its other images are of another commit.
        RemoteError: When a region cannot be asked.
    """
    architectures = values.texts("var.architectures")
    wanted = [name for name in architectures if selected is None or name in selected]
    finished: dict[str, tuple[Image, ...]] = {}
    missing: list[str] = []
    unfinished: list[Image] = []
    for architecture in architectures:
        images = list(_find_images(clients, values, version, architecture))
        complete = _select_finished(images, values)
        if complete:
            finished[architecture] = complete
        elif architecture in wanted:
            missing.append(architecture)
            unfinished += _select_deletable(images, values)
    if finished and missing:
        _check_commits(finished, values, version, missing)
    return Release(version, finished, tuple(missing), tuple(unfinished))


def make_entry(values: Values, version: str, images: Sequence[Image]) -> dict[str, Any]:
    """Make the entry of manifest.json for one architecture, as Packer writes it.

    Args:
        values: Of the HCL.
        version: Such as 1.2.3.
        images: The finished images of one architecture, one for each region.
    """
    first = images[0]
    made = datetime.fromisoformat(first.created.replace("Z", "+00:00"))
    return {
        "name": "image",
        "builder_type": "amazon-ebs",
        "build_time": int(made.timestamp()),
        "files": None,
        "artifact_id": ",".join(sorted(f"{image.region}:{image.id}" for image in images)),
        "packer_run_uuid": "",
        "custom_data": {
            "architecture": first.architecture,
            "commit": first.tags.get("Commit", ""),
            "image_name": values.text("var.image_name"),
            "source_ami": first.tags.get("SourceAMI", ""),
            "template_version": first.tags.get("TemplateVersion", ""),
            "toolkit_version": first.tags.get("ToolkitVersion", ""),
            "version": version,
        },
    }


def find_unfinished(
    clients: Clients, values: Values, entries: Sequence[Mapping[str, Any]], count: int
) -> list[str]:
    """List what is unfinished of the images that a build wrote into manifest.json.

    Args:
        clients: Returns EC2's client of a region.
        values: Of the HCL.
        entries: The entries of this build in manifest.json.
        count: How many images it had to make.

    Raises:
        RemoteError: When a region cannot be asked.
    """
    entries = [entry for entry in entries if entry.get("builder_type") == "amazon-ebs"]
    problems = []
    if len(entries) < count:
        problems.append(f"manifest.json names {len(entries)} of {count} images")
    for entry in entries:
        ids = split_artifact(entry)
        name = (entry.get("custom_data") or {}).get("architecture") or entry.get("name")
        for region in values.regions:
            if region not in ids:
                problems.append(f"the image for {name} is not in {region}")
                continue
            filters = [{"Name": "image-id", "Values": [ids[region]]}]
            images = list(_describe(clients, region, str(name), filters))
            if not images:
                problems.append(f"{ids[region]} in {region} does not exist")
            problems += [
                f"{image.describe()} is not finished"
                for image in images
                if not image.is_finished(get_repository(values))
            ]
    return problems


def split_artifact(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the image IDs of an entry of manifest.json by region."""
    pairs = (pair.partition(":") for pair in str(entry.get("artifact_id") or "").split(","))
    return {region: name for region, _, name in pairs if name.startswith("ami-")}


def _find_images(
    clients: Clients, values: Values, version: str, architecture: str
) -> Iterator[Image]:
    name = f"{values.text('var.image_name')}-{version}-{architecture}"
    for region in values.regions:
        filters = [{"Name": "name", "Values": [name]}]
        yield from _describe(clients, region, architecture, filters)


def _describe(
    clients: Clients, region: str, architecture: str, filters: list[dict[str, Any]]
) -> Iterator[Image]:
    """Describe own images, also disabled ones, which hold their name too."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = clients(region).describe_images(
            Owners=["self"], Filters=filters, IncludeDisabled=True
        )
    except (BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())
        raise RemoteError(
            f"cannot look for images of this version in {region}: {reason}"
        ) from error
    for each in answer["Images"]:
        if each.get("State") != "deregistered":
            yield Image(
                architecture=architecture,
                region=region,
                id=str(each["ImageId"]),
                name=str(each.get("Name", "")),
                state=str(each.get("State", "unknown")),
                tags={tag["Key"]: tag["Value"] for tag in each.get("Tags") or []},
                created=str(each.get("CreationDate", "")),
            )


def _select_finished(images: Sequence[Image], values: Values) -> tuple[Image, ...]:
    """Return the finished image of each region; nothing when a region has none.

    Raises:
        CommandFailedError: When those of two regions are of different builds.
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
        shown = ", ".join(
            image.describe() for runs in by_region.values() for image in runs.values()
        )
        raise CommandFailedError(
            f"{newest.name}: its regions have images of different builds, {shown}; delete those of "
            "one build with packer-toolkit sweep --run-id RUN --finished-images, then start again"
        )
    run_id = newest.run_id if newest.run_id in run_ids else sorted(run_ids)[0]
    return tuple(runs[run_id] for runs in by_region.values())


def _select_deletable(images: Sequence[Image], values: Values) -> list[Image]:
    """Return the images of an unfinished version.

    Only what a killed build can have left is deleted: images with all tags of the run whose time
    is set, and with them the images of the same run that look finished in another region.

    Raises:
        CommandFailedError: When there is an image that a build must not delete.
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


def _has_tags_of_run(image: Image, values: Values) -> bool:
    """Return whether an image has the tags of a build that did not finish it.

    Only finished images have a Version of their own, so that a time in ExpiresAt of one that has
    it was set by a developer.
    """
    of_run = values.table("local.run_tags").get("Version", "")
    return bool(read_expiry(image.tags)) and image.tags.get("Version", "") in ("", of_run)


def _explain_blocker(
    image: Image, images: Sequence[Image], values: Values, killed: set[str]
) -> str:
    """Explain why a build must not delete an image; empty when it may."""
    repository = get_repository(values)
    here = f"{image.id} in {image.region}"
    delete = f"aws ec2 deregister-image --region {image.region} --image-id {image.id}"
    sweep = f"packer-toolkit sweep --run-id {image.run_id} --finished-images"
    owner = image.tags.get("Repository", "")
    if not image.tags and image.state == "pending":
        return f"{here} has this name, is pending and has no tags yet; start again once it is done"
    if owner != repository:
        whose = f"its tag Repository is {_quote(owner)}" if owner else "it has no tag Repository"
        return (
            f"{here} has this name and is not an image of {repository}, because {whose}; build "
            f"another version, or, if nothing uses the image, delete it: {delete}"
        )
    if image.tags.get("ManagedBy") != MANAGED_BY or not image.run_id:
        return (
            f"{here} is unfinished, and its tags ManagedBy and RunId do not show which build made "
            f"it; if nothing uses the image, delete it: {delete}"
        )
    if image.state in DEAD_STATES or _has_tags_of_run(image, values):
        return ""
    expires = image.tags.get("ExpiresAt")
    if read_expiry(image.tags):
        return (
            f"{here} has the tag Version of a finished image, and its tag ExpiresAt is "
            f"{_quote(expires or '')}; set it to never if the image was released, or, if nothing "
            f"uses the image, delete it: {sweep}"
        )
    if expires != NEVER:
        shown = f"{_quote(expires)}, neither never nor a time" if expires else "missing"
        return (
            f"{here} is not known to be finished, because its tag ExpiresAt is {shown}; set it to "
            f"never if the image was released, or, if nothing uses the image, delete it: {sweep}"
        )
    if image.state == "disabled":
        return (
            f"{here} was disabled; build another version, or enable it: "
            f"aws ec2 enable-image --region {image.region} --image-id {image.id}"
        )
    if image.state != "available":
        return f"{here} is {image.state}; start again once it is available"
    if image.run_id in killed:
        return ""
    finished = [each.region for each in images if each.is_finished(repository)]
    others = ", ".join(region for region in values.regions if region not in finished)
    return (
        f"{here} is finished, and {others} has no finished copy of it; copy the image with its "
        f"tags, build another version, or, if nothing uses the image, delete it: {sweep}"
    )


def _check_commits(
    finished: Mapping[str, Sequence[Image]], values: Values, version: str, missing: Sequence[str]
) -> None:
    """Refuse to complete a version from two commits.

    Raises:
        CommandFailedError: When a finished image is of another commit, or the commit is not known.
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
                "or, if "
                f"nothing uses the image, delete it: packer-toolkit sweep --run-id {image.run_id} "
                "--finished-images"
            )


def _quote(text: str) -> str:
    """Return a tag's value in one short line of printable characters."""
    return "".join(c if c.isprintable() else "?" for c in text)[:60]
