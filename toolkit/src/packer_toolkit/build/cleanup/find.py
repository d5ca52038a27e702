"""Finds the resources that builds left in an account.

Only exact tags count: Repository, ManagedBy and, for one build, RunId.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from packer_toolkit.build.cleanup.calls import list_items, make_filters, read_tags
from packer_toolkit.build.cleanup.scope import (
    DEAD_STATES,
    NEVER,
    FoundResource,
    Scope,
    read_expiry,
)
from packer_toolkit.build.cleanup.snapshots import ImageSnapshots, list_snapshot_ids
from packer_toolkit.build.clock import Clock

if TYPE_CHECKING:
    from packer_toolkit.aws.session import Clients

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
        resources = [each for region in self.scope.regions for each in self.find_in(region)]
        abandoned = self._find_abandoned() - self.abandoned
        if abandoned:
            self.abandoned |= abandoned
            resources = [each for region in self.scope.regions for each in self.find_in(region)]
        return resources

    def find_image_ids(self) -> frozenset[str]:
        """Find the IDs of the images of the scope and of their snapshots."""
        resources = [
            each
            for region in self.scope.regions
            for each in self.find_in(region, "image", "snapshot")
        ]
        return frozenset(id_ for each in resources for id_ in (each.id, *each.snapshots))

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
            filters = make_filters(self.scope.tags)
            for item in list_items(client, call, items, Filters=filters, **options):
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
    """Return whether EC2 still lists a resource that is already deleted."""
    if kind == "instance":
        return bool(item["State"]["Name"] == "terminated")
    if kind == "volume":
        return bool(item.get("State") in ("deleting", "deleted"))
    return bool(kind == "image" and item.get("State") == "deregistered")
