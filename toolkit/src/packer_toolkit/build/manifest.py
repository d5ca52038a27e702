"""manifest.json: the list of images that Packer writes, is verified, and a release publishes.

Packer succeeds as soon as EC2 has accepted each call: whether the images are finished is verified.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from packer_toolkit.aws.session import Clients
from packer_toolkit.build.host import Clock, wait
from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import VersionImage, describe_images, get_repository
from packer_toolkit.errors import RemoteError

FILE = "manifest.json"
# True in a manifest that `packer-toolkit pipeline plan` reconstructed from the tags of finished
# images.
RECONSTRUCTED = "found_again"
# EC2 may show new tags late: seconds between the verifications.
VERIFY_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)


# The images of one build: name of the source block, which is the same for all architectures;
# builder_type, such as amazon-ebs; build_time in seconds since 1970; artifact_id, such as
# eu-west-1:ami-1,us-east-1:ami-2; packer_run_uuid, because Packer appends each run to the file; and
# custom_data, the properties of the image that build.pkr.hcl adds.
ManifestEntry = dict[str, Any]


def read_entries(folder: Path, since: float) -> list[ManifestEntry]:
    """Read the entries of the last run of Packer.

    Args:
        folder: Folder of the repository.
        since: Start of the build, in seconds since 1970; an older file is from another build.

    Returns:
        The entries; none if the file is missing, older or not valid.
    """
    try:
        file = folder / FILE
        if file.stat().st_mtime < since - 1:
            return []
        data = json.loads(file.read_text())
        return [each for each in data["builds"] if each["packer_run_uuid"] == data["last_run_uuid"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def delete_manifest(folder: Path, since: float) -> None:
    """Delete the manifest of a failed build, because its images are deleted.

    Args:
        folder: Folder of the repository.
        since: Start of the build, in seconds since 1970; an older file is from another build.
    """
    if read_entries(folder, since):
        (folder / FILE).unlink(missing_ok=True)


def split_artifact(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the image IDs of an entry by region."""
    pairs = (pair.partition(":") for pair in str(entry.get("artifact_id") or "").split(","))
    return {region: id_ for region, _, id_ in pairs if id_.startswith("ami-")}


def get_architecture(entry: Mapping[str, Any]) -> str:
    """Return the architecture of an entry; the name of its source if it has none."""
    custom_data = entry.get("custom_data") or {}
    return str(custom_data.get("architecture") or entry.get("name"))


def reconstruct_entry(
    values: Values, version: str, images: Sequence[VersionImage]
) -> ManifestEntry:
    """Reconstruct the entry of one architecture from the tags of its images.

    Args:
        values: Values of the HCL.
        version: Version of the images, such as 1.2.3.
        images: Finished images of one architecture, one for each region.
    """
    first = images[0]
    created = datetime.fromisoformat(first.created.replace("Z", "+00:00"))
    return {
        "name": "image",
        "builder_type": "amazon-ebs",
        "build_time": int(created.timestamp()),
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


def add_entries(file: Path, entries: Sequence[ManifestEntry]) -> None:
    """Add entries to the last run of the manifest that Packer wrote.

    Args:
        file: The manifest.
        entries: Entries of images that an earlier build finished.
    """
    manifest = json.loads(file.read_text())
    run = manifest["last_run_uuid"]
    manifest["builds"] += [{**entry, "packer_run_uuid": run} for entry in entries]
    file.write_text(json.dumps(manifest, indent=2) + "\n")


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
            problems = _find_unfinished(clients, values, entries, count)
            if problems:
                wait(clock, pause, should_stop)
            if not problems or should_stop():
                break
    except RemoteError as error:
        raise RemoteError(
            f"the images were built, and cannot be verified: {error}; a new build recognizes a "
            "finished version, and deletes an unfinished one and builds it again"
        ) from error
    return problems


def _find_unfinished(
    clients: Clients, values: Values, entries: Sequence[Mapping[str, Any]], count: int
) -> list[str]:
    entries = [entry for entry in entries if entry.get("builder_type") == "amazon-ebs"]
    problems = []
    if len(entries) < count:
        problems.append(f"{FILE} names {len(entries)} of {count} images")
    for entry in entries:
        ids, architecture = split_artifact(entry), get_architecture(entry)
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
