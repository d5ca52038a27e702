"""manifest.json: the list of finished images that Packer writes and a release publishes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import VersionImage

FILE = "manifest.json"
# True in a manifest that `packer-toolkit pipeline plan` reconstructed from the tags of finished
# images.
RECONSTRUCTED = "found_again"


class CustomData(TypedDict):
    """What build.pkr.hcl adds to an entry: the properties of the image."""

    architecture: str
    commit: str
    image_name: str
    source_ami: str
    template_version: str
    toolkit_version: str
    version: str


class ManifestEntry(TypedDict):
    """The images of one build.

    Attributes:
        name: Name of the source block, the same for all architectures.
        builder_type: Such as amazon-ebs.
        build_time: Seconds since 1970.
        artifact_id: Such as eu-west-1:ami-1,us-east-1:ami-2.
        packer_run_uuid: ID of the run of Packer; Packer appends each run to the file.
    """

    name: str
    builder_type: str
    build_time: int
    files: list[Any] | None
    artifact_id: str
    packer_run_uuid: str
    custom_data: CustomData


class Manifest(TypedDict, total=False):
    """The content of manifest.json; readers use only the entries of the last run."""

    builds: list[ManifestEntry]
    last_run_uuid: str
    found_again: bool


def read_entries(folder: Path, since: datetime) -> list[ManifestEntry]:
    """Read the entries of the last run of Packer.

    Args:
        folder: Folder of the repository.
        since: Start of the build; an older file is from another build.

    Returns:
        The entries; none if the file is missing, older or not valid.
    """
    try:
        file = folder / FILE
        if file.stat().st_mtime < since.timestamp() - 1:
            return []
        data = json.loads(file.read_text())
        return [each for each in data["builds"] if each["packer_run_uuid"] == data["last_run_uuid"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def delete_manifest(folder: Path, since: datetime) -> None:
    """Delete the manifest of a failed build, because its images are deleted.

    Args:
        folder: Folder of the repository.
        since: Start of the build; an older file is from another build.
    """
    if read_entries(folder, since):
        with contextlib.suppress(FileNotFoundError):
            (folder / FILE).unlink()


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
    manifest: Manifest = json.loads(file.read_text())
    run = manifest["last_run_uuid"]
    manifest["builds"] += [{**entry, "packer_run_uuid": run} for entry in entries]
    file.write_text(json.dumps(manifest, indent=2) + "\n")
