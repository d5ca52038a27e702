"""Finds the resources that builds left in an account.

Only exact tags count: Repository, ManagedBy and, for one build, RunId.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from packer_toolkit.aws.session import Clients
from packer_toolkit.build.cleanup.calls import list_items
from packer_toolkit.build.cleanup.scope import (
    DEAD_STATES,
    NEVER,
    FoundResource,
    Scope,
    read_expiry,
    read_tags,
)
from packer_toolkit.build.host import Clock

# Kind -> call, JMESPath of the items, key of the ID, options.
_LISTINGS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "instance": ("describe_instances", "Reservations[].Instances[]", "InstanceId", {}),
    "key-pair": ("describe_key_pairs", "KeyPairs[]", "KeyName", {}),
    "image": (
        *("describe_images", "Images[]", "ImageId"),
        {"Owners": ["self"], "IncludeDisabled": True},
    ),
    "snapshot": ("describe_snapshots", "Snapshots[]", "SnapshotId", {"OwnerIds": ["self"]}),
    "volume": ("describe_volumes", "Volumes[]", "VolumeId", {}),
    "security-group": ("describe_security_groups", "SecurityGroups[]", "GroupId", {}),
}
# Kind -> states in which EC2 still lists a resource that is already deleted.
_DELETED = {
    "instance": ("terminated",),
    "volume": ("deleting", "deleted"),
    "image": ("deregistered",),
}
# How EC2 begins the description of a snapshot that it makes for an image; the ID follows.
_DESCRIPTIONS = ("Copied for DestinationAmi", "Created by CreateImage(*) for")
# A build makes the snapshots of its image at most so long before the image itself.
_LONGEST_BUILD = timedelta(days=1)


@dataclass
class LeftoverFinder:
    """Finds the resources of a scope, and decides which of them are retained.

    Args:
        clients: Returns the EC2 client of a region.
        scope: The resources that may be deleted.
        clock: Clock that decides which times are in the past.

    Attributes:
        abandoned: Regions and IDs of images that look finished, and are parts of unfinished ones.
    """

    clients: Clients
    scope: Scope
    clock: Clock = time
    abandoned: set[tuple[str, str]] = field(default_factory=set, init=False)
    _team_snapshots: dict[str, str] = field(default_factory=dict, init=False)
    _images: dict[tuple[str, str], tuple[dict[str, Any], str]] = field(
        default_factory=dict, init=False
    )

    def find(self) -> list[FoundResource]:
        """Find all resources of the scope.

        Raises:
            CredentialsExpiredError: If the credentials are not valid.
            botocore.exceptions.ClientError: If EC2 refuses a call.
        """
        self._images.clear()
        resources = self._find_in_regions()
        if abandoned := self._find_abandoned() - self.abandoned:
            self.abandoned |= abandoned
            resources = self._find_in_regions()
        return resources

    def find_image_ids(self) -> frozenset[str]:
        """Find the IDs of the images of the scope and of their snapshots."""
        resources = self._find_in_regions("image", "snapshot")
        return frozenset(id_ for each in resources for id_ in (each.id, *each.snapshots))

    def _find_in_regions(self, *kinds: str) -> list[FoundResource]:
        return [each for region in self.scope.regions for each in self.find_in(region, *kinds)]

    def find_in(self, region: str, *kinds: str) -> list[FoundResource]:
        """Find the resources of the scope in one region.

        Args:
            region: Region to search.
            kinds: Kinds to search for; by default all.
        """
        client = self.clients(region)
        snapshots = ImageSnapshots(client, self.scope.tags, self._team_snapshots)
        resources = []
        for kind, (call, items, key, options) in _LISTINGS.items():
            if kinds and kind not in kinds:
                continue
            for item in list_items(client, call, items, Filters=self.scope.filters, **options):
                # In a filter of EC2, an asterisk matches anything.
                if (
                    _is_deleted(kind, item)
                    or not self.scope.tags.items() <= read_tags(item).items()
                ):
                    continue
                id_ = str(item[key])
                resource = FoundResource(
                    kind, id_, region, self._explain_retained(kind, region, id_, item)
                )
                if kind == "image":
                    self._images[region, id_] = (item, resource.retained)
                    if not resource.retained:
                        resource = replace(resource, snapshots=snapshots.find_for_image(item))
                if kind == "snapshot" and not resource.retained:
                    resource = replace(resource, retained=snapshots.explain_retained(item))
                # The snapshot of a deleted image is deleted after it, with or without tags.
                if kind != "snapshot" or id_ not in snapshots.of_images:
                    resources.append(resource)
        return _retain_used_snapshots(client, region, resources)

    def _find_abandoned(self) -> set[tuple[str, str]]:
        """Find images that look finished, and are part of one that is deleted elsewhere.

        A build that was killed while it set the last tags leaves such an image: it looks finished
        in one region and has only the tags of the run, hence no Version, in another one.
        """
        unfinished = {
            (item.get("Name"), read_tags(item).get("RunId"), region)
            for (region, _), (item, retained) in self._images.items()
            if not retained and read_expiry(read_tags(item)) and not read_tags(item).get("Version")
        }
        return {
            (region, id_)
            for (region, id_), (item, _) in self._images.items()
            if read_tags(item).get("ExpiresAt") == NEVER
            and id_ not in self.scope.never
            and any(
                (name, run_id) == (item.get("Name"), read_tags(item).get("RunId"))
                and other != region
                for name, run_id, other in unfinished
            )
        }

    def _explain_retained(self, kind: str, region: str, id_: str, item: dict[str, Any]) -> str:
        """Explain why a resource is retained; empty if it is deleted."""
        if id_ in self.scope.never:
            return "it existed before"
        is_abandoned = (region, id_) in self.abandoned
        expires = read_tags(item).get("ExpiresAt", "")
        if expires == NEVER and not is_abandoned:
            state = item.get("State", "available")
            if self.scope.finished:
                return ""
            if kind != "image":
                return f"its tag ExpiresAt is {NEVER}"
            if state in ("available", "disabled"):
                return "it belongs to a finished image"
            if state not in DEAD_STATES:
                return f"it is {state}, and its tag ExpiresAt is {NEVER}"
            if not self.scope.run_id:
                return f"it is {state}, and its tag ExpiresAt is {NEVER}: delete it with its run ID"
        if self.scope.run_id or is_abandoned:
            return ""
        end = read_expiry(read_tags(item))
        if end is None:
            return f"its tag ExpiresAt is not a valid time: {expires!r}"
        if end.timestamp() > self.clock.time():
            return f"its build may be running until {expires}"
        return ""


def _retain_used_snapshots(
    client: Any, region: str, resources: list[FoundResource]
) -> list[FoundResource]:
    """Retain the snapshots of images that are not deleted, whatever tags the snapshots have."""
    deletable = [each for each in resources if not each.retained]
    ids = {each.id for each in deletable if each.kind == "snapshot"}
    ids |= {id_ for each in deletable for id_ in each.snapshots}
    if not ids:
        return resources
    images = list_items(
        client,
        "describe_images",
        "Images[]",
        Owners=["self"],
        IncludeDisabled=True,
        Filters=[{"Name": "block-device-mapping.snapshot-id", "Values": sorted(ids)}],
    )
    deletable_ids = {each.id for each in deletable}
    users = {
        id_: image["ImageId"]
        for image in images
        if image["ImageId"] not in deletable_ids
        for id_ in list_snapshot_ids(image)
    }
    retained = [
        FoundResource("snapshot", id_, region, f"the image {users[id_]} uses it")
        for id_ in sorted(ids & users.keys())
    ]
    return retained + [
        replace(each, snapshots=tuple(id_ for id_ in each.snapshots if id_ not in users))
        for each in resources
        if each.retained or each.id not in users
    ]


def _is_deleted(kind: str, item: dict[str, Any]) -> bool:
    state = item["State"]["Name"] if kind == "instance" else item.get("State")
    return state in _DELETED.get(kind, ())


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
