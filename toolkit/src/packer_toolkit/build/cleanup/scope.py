"""The resources that a clean-up may delete, by the tags that every build sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from packer_toolkit.build.report import Leftover, Resource
from packer_toolkit.text.lines import join_lines

MANAGED_BY = "packer"
# Value of the tag ExpiresAt of a finished image.
NEVER = "never"
# An image in one of these states cannot be launched, and never will be.
DEAD_STATES = ("failed", "invalid", "error")


def read_tags(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a resource by name."""
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags") or []}


def read_expiry(tags: Mapping[str, str]) -> datetime | None:
    """Return the time of the tag ExpiresAt; None if it is not a time."""
    try:
        end = datetime.fromisoformat(tags.get("ExpiresAt", "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return end if end.tzinfo else end.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Scope:
    """The resources that a clean-up may delete.

    Attributes:
        repository: Value of the tag Repository.
        regions: Regions to search.
        run_id: Value of the tag RunId; empty for all resources whose tag ExpiresAt is in the past.
        finished: Whether finished images of that run are deleted, too.
        never: IDs of images that are retained, whatever their tags are.
    """

    repository: str
    regions: tuple[str, ...]
    run_id: str = ""
    finished: bool = False
    never: frozenset[str] = frozenset()

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags that every resource of the scope has."""
        tags = {"Repository": self.repository, "ManagedBy": MANAGED_BY}
        return tags | ({"RunId": self.run_id} if self.run_id else {})

    @property
    def filters(self) -> list[dict[str, Any]]:
        """Return the filters of EC2 for the resources of the scope."""
        return [{"Name": f"tag:{name}", "Values": [value]} for name, value in self.tags.items()]

    def format_command(self, role_arn: str = "") -> str:
        """Return the command that deletes the resources later.

        Args:
            role_arn: Role to assume; by default none.
        """
        words = ["packer-toolkit cleanup", f"--run-id {self.run_id}"]
        words += [f"--repository {self.repository}", *(f"--region {each}" for each in self.regions)]
        if role_arn:
            words.append(f"--assume-role {role_arn}")
        if self.finished:
            words.append("--finished-images")
        return " ".join(words)


@dataclass(frozen=True)
class FoundResource:
    """A resource with the tags of a scope.

    Attributes:
        retained: Reason why it is not deleted; empty if it is.
        snapshots: IDs of the snapshots that are deleted after this image.
    """

    kind: str
    id: str
    region: str
    retained: str = ""
    snapshots: tuple[str, ...] = ()

    @property
    def resource(self) -> Resource:
        """Return the resource as the build report names it."""
        return {"kind": self.kind, "id": self.id, "region": self.region}

    def explain(self, reason: str) -> Leftover:
        """Return the resource with the reason why it was not deleted."""
        return {**self.resource, "reason": reason}


@dataclass
class DeletionResult:
    """The resources that a clean-up deleted, could not delete, and retained."""

    deleted: list[Resource] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    retained: list[FoundResource] = field(default_factory=list)
    has_expired_credentials: bool = False


def make_region_leftover(region: str, error: Exception) -> Leftover:
    """Return a region whose resources could not be listed or deleted."""
    return {"kind": "region", "id": region, "region": region, "reason": join_lines(str(error))}


def describe_leftover(leftover: Leftover) -> str:
    """Describe a resource that could not be deleted, in a line for the user."""
    return "Not deleted: {kind} {id} in {region}: {reason}".format(**leftover)
