"""The snapshots of an image: those that its build made, and those of the team that it uses.

The snapshot of an unfinished image has no tags yet and is found through the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from packer_toolkit.build.cleanup.calls import list_items, read_tags
from packer_toolkit.build.cleanup.scope import NEVER

# How EC2 begins the description of a snapshot that it makes for an image; the ID follows.
_DESCRIPTIONS = ("Copied for DestinationAmi", "Created by CreateImage(*) for")
# A build makes the snapshots of its image at most so long before the image itself.
_LONGEST_BUILD = timedelta(days=1)


@dataclass
class ImageSnapshots:
    """The snapshots of the images of one region that are deleted.

    Args:
        client: EC2 client of the region.
        tags: Tags of the scope.
        of_team: ID of the image that uses a snapshot of the team, by the ID of the snapshot; it is
            also needed after the image was deleted.

    Attributes:
        of_images: IDs of the snapshots that builds made for these images.
    """

    client: Any
    tags: dict[str, str]
    of_team: dict[str, str]
    of_images: set[str] = field(default_factory=set, init=False)

    def find_for_image(self, image: dict[str, Any]) -> tuple[str, ...]:
        """Find the snapshots that a build made for an image, and those that the image only uses.

        A pending copy does not name its snapshots yet, but their descriptions, which EC2 writes,
        name the copy.  A snapshot that `ami_block_device_mappings` added belongs to the team, even
        after Packer has set its tags on it.

        Returns:
            Sorted IDs of the snapshots that the build made.
        """
        descriptions = [f"{text} {image['ImageId']}*" for text in _DESCRIPTIONS]
        ids = {each["SnapshotId"] for each in self._list("description", descriptions)}
        used = self._list("snapshot-id", sorted(list_snapshot_ids(image) - ids))
        ids |= {each["SnapshotId"] for each in used if self._is_from_build(each, image)}
        self.of_images |= ids
        self.of_team |= dict.fromkeys(list_snapshot_ids(image) - ids, image["ImageId"])
        return tuple(sorted(ids))

    def explain_retained(self, snapshot: dict[str, Any]) -> str:
        """Explain why a snapshot with the tags of the scope is not of a build; empty if it is."""
        if image := self.of_team.get(snapshot["SnapshotId"]):
            return f"the image {image} uses it, but its build did not create it"
        # Without its image, only EC2's description shows the origin.
        is_from_ec2 = snapshot.get("Description", "").startswith(("Copied for ", "Created by "))
        is_finished = read_tags(snapshot).get("ExpiresAt") == NEVER
        return "EC2 did not create it for an image" if is_finished and not is_from_ec2 else ""

    def _list(self, name: str, values: list[str]) -> list[dict[str, Any]]:
        """List the own snapshots that match one of the values of a filter."""
        if not values:
            return []
        filters = [{"Name": name, "Values": values}]
        return list_items(
            self.client, "describe_snapshots", "Snapshots[]", OwnerIds=["self"], Filters=filters
        )

    def _is_from_build(self, snapshot: dict[str, Any], image: dict[str, Any]) -> bool:
        """Return whether a build made a snapshot for an image whose ID is not in its description.

        The tags alone do not show it, because Packer tags every snapshot of a finished image.
        """
        if not self.tags.items() <= read_tags(snapshot).items():
            return False
        created = datetime.fromisoformat(str(image["CreationDate"]).replace("Z", "+00:00"))
        started: datetime = snapshot["StartTime"]
        return started > created - _LONGEST_BUILD


def list_snapshot_ids(image: dict[str, Any]) -> set[str]:
    """Return the IDs of the snapshots that an image uses."""
    return {
        mapping["Ebs"]["SnapshotId"]
        for mapping in image.get("BlockDeviceMappings", [])
        if mapping.get("Ebs", {}).get("SnapshotId")
    }
