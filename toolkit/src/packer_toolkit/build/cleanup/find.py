"""Deletes what builds left in the account, by the tags that every build puts on what it makes.

Exact tags only: Repository, ManagedBy and, for one build, RunId.  What cannot carry them yet, the
snapshot of an unfinished image, is found through the image, and tagged before that goes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from packer_toolkit.aws.identity import CREDENTIALS_ENDED
from packer_toolkit.aws.session import config, error_code
from packer_toolkit.build.report import Left, Thing

MANAGED_BY = "packer"
NEVER = "never"
# Images in these states cannot be launched, and never will be.
DEAD_STATES = ("failed", "invalid", "error")
# Order in which things go: what holds others comes first.
KINDS = ("instance", "key-pair", "image", "snapshot", "volume", "security-group")
# How EC2 begins the description of a snapshot that it makes for an image; the ID follows.
_DESCRIPTIONS = ("Copied for DestinationAmi", "Created by CreateImage(*) for")
# A build makes the snapshots of its image no longer than this before the image itself.
_LONGEST_BUILD = timedelta(days=1)
_GONE = ("NotFound", "InvalidAMIID.Unavailable", ".Unknown")
# They become possible once something else is gone, or EC2 is well again.
_LATER = (
    "DependencyViolation", "VolumeInUse", "InvalidSnapshot.InUse", "IncorrectState",
    "InternalError", "InternalFailure", "RequestLimitExceeded", "ServiceUnavailable", "Unavailable",
)  # fmt: skip


def read_expiry(tags: Mapping[str, str]) -> datetime | None:
    """Return the time of the tag ExpiresAt; None when it is not a time."""
    try:
        end = datetime.fromisoformat(tags.get("ExpiresAt", "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return end if end.tzinfo else end.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Scope:
    """What may be deleted.

    Attributes:
        repository: Value of the tag Repository.
        regions: Where to look.
        run_id: Only what this build made; empty: everything whose time, ExpiresAt, is past.
        finished: Finished images of that build go too.
        never: Ids of what stays whatever its tags say.
    """

    repository: str
    regions: tuple[str, ...]
    run_id: str = ""
    finished: bool = False
    never: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Found:
    """Something of this repository's in the account.

    Attributes:
        kept: Why it stays; empty when it goes.
    """

    kind: str
    id: str
    region: str
    kept: str = ""
    snapshots: tuple[str, ...] = ()

    @property
    def thing(self) -> Thing:
        """As the report names it."""
        return {"kind": self.kind, "id": self.id, "region": self.region}


@dataclass
class Outcome:
    """What a sweep did."""

    swept: list[Thing] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    kept: list[Found] = field(default_factory=list)
    credentials_ended: bool = False


class CredentialsEndedError(Exception):
    """Nothing more can be asked or deleted with these credentials."""


class Sweep:
    """One sweep.

    Args:
        session: A boto3 session.
        scope: What may be deleted.
        seconds: How long to wait at most for what takes its time, such as instances to end.
        hurry: Asked again and again: true, and nothing more is waited for.
        say: Takes a line for the person who watches.
        poll_seconds: Between two questions whether something has ended.
    """

    def __init__(
        self,
        session: Any,
        scope: Scope,
        *,
        seconds: float = 600,
        hurry: Callable[[], bool] = lambda: False,
        say: Callable[[str], None] = lambda _: None,
        poll_seconds: float = 2,
    ) -> None:
        self.session = session
        self.scope = scope
        self.deadline = time.monotonic() + seconds
        self.hurry = hurry
        self.say = say
        self.poll_seconds = poll_seconds
        self._clients: dict[str, Any] = {}
        self._images: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        self._abandoned: set[tuple[str, str]] = set()
        # Snapshots of the team, and the image that uses each.
        self._foreign: dict[str, str] = {}

    # -- Looking

    def find(self) -> list[Found]:
        """List what there is of the scope, and what of it stays.

        Raises:
            CredentialsEndedError: When the credentials are at fault.
            botocore.exceptions.ClientError: When AWS refuses.
        """
        self._images.clear()
        found = [each for region in self.scope.regions for each in self._find(region)]
        abandoned = self._find_abandoned() - self._abandoned
        if abandoned:
            self._abandoned |= abandoned
            found = [each for region in self.scope.regions for each in self._find(region)]
        return found

    def _find_abandoned(self) -> set[tuple[str, str]]:
        """Find images that look finished, and are part of one that is deleted elsewhere.

        A build that was killed while it set the last tags leaves such an image: it looks finished
        in one region and has only the tags of the run, hence no Version, in another one.
        """
        unfinished = {
            (item.get("Name"), _tags(item).get("RunId"), region)
            for (region, _), (item, kept) in self._images.items()
            if not kept and read_expiry(_tags(item)) and not _tags(item).get("Version")
        }
        return {
            (region, id_)
            for (region, id_), (item, _) in self._images.items()
            if _tags(item).get("ExpiresAt") == NEVER
            and id_ not in self.scope.never
            and any(
                (name, run_id) == (item.get("Name"), _tags(item).get("RunId")) and other != region
                for name, run_id, other in unfinished
            )
        }

    def image_ids(self) -> frozenset[str]:
        """List the images of the scope, and their snapshots."""
        found = [
            each
            for region in self.scope.regions
            for each in self._find(region, "image", "snapshot")
        ]
        return frozenset(id_ for each in found for id_ in (each.id, *each.snapshots))

    def _find(self, region: str, *kinds: str) -> list[Found]:
        listings: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
            ("instance", "describe_instances", "Reservations[].Instances[]", "InstanceId", {}),
            ("key-pair", "describe_key_pairs", "KeyPairs[]", "KeyName", {}),
            ("image", "describe_images", "Images[]", "ImageId",
             {"Owners": ["self"], "IncludeDisabled": True}),
            ("snapshot", "describe_snapshots", "Snapshots[]", "SnapshotId", {"OwnerIds": ["self"]}),
            ("volume", "describe_volumes", "Volumes[]", "VolumeId", {}),
            ("security-group", "describe_security_groups", "SecurityGroups[]", "GroupId", {}),
        )  # fmt: skip
        found = []
        seen: set[str] = set()
        for kind, call, items, key, options in listings:
            if kinds and kind not in kinds:
                continue
            for item in self._list(region, call, items, **options):
                if _is_gone(kind, item):
                    continue
                id_ = str(item[key])
                thing = Found(kind, id_, region, self._why_kept(kind, region, id_, item))
                if kind == "image":
                    self._images[region, id_] = (item, thing.kept)
                if kind == "image" and not thing.kept:
                    made, others = self._snapshots(region, item)
                    thing = Found(kind, id_, region, "", tuple(sorted(made)))
                    seen |= made
                    self._foreign |= dict.fromkeys(others, id_)
                if kind == "snapshot" and not thing.kept:
                    thing = replace(thing, kept=self._why_foreign(item))
                # The snapshot of an image that goes is deleted after it, with or without tags.
                if kind != "snapshot" or id_ not in seen:
                    found.append(thing)
        return self._keep_used_snapshots(region, found)

    def _keep_used_snapshots(self, region: str, found: list[Found]) -> list[Found]:
        """Keep the snapshots of images that stay, whatever tags the snapshots have."""
        going = [each for each in found if not each.kept]
        ids = {each.id for each in going if each.kind == "snapshot"}
        ids |= {name for each in going for name in each.snapshots}
        if not ids:
            return found
        images = self._list(
            region,
            "describe_images",
            "Images[]",
            Owners=["self"],
            IncludeDisabled=True,
            Filters=[{"Name": "block-device-mapping.snapshot-id", "Values": sorted(ids)}],
        )
        gone = {each.id for each in going}
        used = {
            name: image["ImageId"]
            for image in images
            if image["ImageId"] not in gone
            for name in _snapshot_ids(image)
        }
        kept = [
            Found("snapshot", name, region, f"the image {used[name]} uses it")
            for name in sorted(ids & used.keys())
        ]
        return kept + [
            replace(each, snapshots=tuple(name for name in each.snapshots if name not in used))
            for each in found
            if each.kept or each.id not in used
        ]

    @property
    def _own_tags(self) -> dict[str, str]:
        """The tags of everything in the scope."""
        tags = {"Repository": self.scope.repository, "ManagedBy": MANAGED_BY}
        return tags | ({"RunId": self.scope.run_id} if self.scope.run_id else {})

    def _list(self, region: str, call: str, items: str, **options: Any) -> list[dict[str, Any]]:
        tags = self._own_tags
        by_tags = "Filters" not in options
        if by_tags:
            options["Filters"] = [{"Name": f"tag:{k}", "Values": [v]} for k, v in tags.items()]
        client = self._client(region)

        def ask() -> list[dict[str, Any]]:
            if client.can_paginate(call):
                return list(client.get_paginator(call).paginate(**options).search(items))
            import jmespath  # type: ignore[import-untyped]

            return list(jmespath.search(items, getattr(client, call)(**options)) or [])

        items_ = [item for item in self._guarded(ask) if item is not None]
        # To EC2 an asterisk in a filter stands for anything.
        return [item for item in items_ if tags.items() <= _tags(item).items() or not by_tags]

    def _snapshots(self, region: str, image: dict[str, Any]) -> tuple[set[str], set[str]]:
        """List the snapshots that a build made for an image, and those that it only uses.

        A pending copy does not name its snapshots yet, but their descriptions, which EC2 writes,
        name the copy.  A snapshot that `ami_block_device_mappings` added belongs to the team, also
        after Packer has put its tags on it.

        Returns:
            IDs of the snapshots of the image, and IDs of the snapshots of the team.
        """
        made = {
            each["SnapshotId"]
            for each in self._find_snapshots(region, "description", *(
                f"{words} {image['ImageId']}*" for words in _DESCRIPTIONS
            ))
        }  # fmt: skip
        used = self._find_snapshots(region, "snapshot-id", *sorted(_snapshot_ids(image) - made))
        made |= {each["SnapshotId"] for each in used if self._is_of_build(each, image)}
        return made, _snapshot_ids(image) - made

    def _find_snapshots(self, region: str, name: str, *values: str) -> list[dict[str, Any]]:
        """List the own snapshots that match one of the values of a filter."""
        if not values:
            return []
        filters = [{"Name": name, "Values": list(values)}]
        return self._list(
            region, "describe_snapshots", "Snapshots[]", OwnerIds=["self"], Filters=filters
        )

    def _is_of_build(self, snapshot: dict[str, Any], image: dict[str, Any]) -> bool:
        """Return whether a build made a snapshot for an image whose ID is not in its description.

        The tags alone do not show it, because Packer tags every snapshot of a finished image.
        """
        if not self._own_tags.items() <= _tags(snapshot).items():
            return False
        created = datetime.fromisoformat(str(image["CreationDate"]).replace("Z", "+00:00"))
        started: datetime = snapshot["StartTime"]
        return started > created - _LONGEST_BUILD

    def _why_foreign(self, snapshot: dict[str, Any]) -> str:
        """Return why a snapshot with the tags of the scope is not of a build; empty when it is."""
        if image := self._foreign.get(snapshot["SnapshotId"]):
            return f"the image {image} uses it, but its build did not create it"
        # When its image is gone, EC2's description is all that shows the origin.
        by_ec2 = snapshot.get("Description", "").startswith(("Copied for ", "Created by "))
        is_finished = _tags(snapshot).get("ExpiresAt") == NEVER
        return "EC2 did not create it for an image" if is_finished and not by_ec2 else ""

    def _why_kept(self, kind: str, region: str, id_: str, item: dict[str, Any]) -> str:
        if id_ in self.scope.never:
            return "it was there before"
        until = _tags(item).get("ExpiresAt", "")
        if until == NEVER and (region, id_) not in self._abandoned:
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
                return f"it is {state}, and its tag ExpiresAt is {NEVER}: sweep it by its run ID"
        if self.scope.run_id or (region, id_) in self._abandoned:
            return ""
        end = read_expiry(_tags(item))
        if end is None:
            return f"its tag ExpiresAt is no time: {until!r}"
        if end > datetime.now(timezone.utc):
            return f"its build may be running, until {until}"
        return ""

    # -- Deleting

    def run(self, *, settle_seconds: float = 0) -> Outcome:
        """Delete, and look again until nothing of the scope is there or the time is up.

        Args:
            settle_seconds: Look again after so long even when nothing was found: a call that was
                on its way when a build was ended may be carried out later.
        """
        outcome = Outcome()
        problems: dict[tuple[str, str], str] = {}
        # If the sweep is interrupted, no part of such an image may count as finished.
        with contextlib.suppress(CredentialsEndedError):  # the first question below reports it
            for region, id_ in self._abandoned:
                # As after a build that was killed: a time beside a Version is not of a build.
                self._tag(self._client(region), [id_], Version="")
        settled = time.monotonic() + settle_seconds
        while True:
            found: list[Found] = []
            for region in self.scope.regions:
                try:
                    in_region = self._find(region)
                    found += in_region
                    self._delete(region, in_region, outcome, problems)
                except CredentialsEndedError as error:
                    outcome.credentials_ended = True
                    outcome.left = [
                        {**each.thing, "reason": str(error)} for each in found if not each.kept
                    ]
                    return outcome
                except Exception as error:
                    reason = " ".join(str(error).split())
                    outcome.left.append(
                        {"kind": "region", "id": region, "region": region, "reason": reason}
                    )
            outcome.kept = [each for each in found if each.kept]
            here = [each for each in found if not each.kept]
            unknown = [each for each in outcome.left if each["kind"] == "region"]
            if not here and not unknown and (self.hurry() or time.monotonic() >= settled):
                break
            if unknown or self.hurry() or time.monotonic() >= self.deadline:
                gone = {(thing["region"], thing["id"]) for thing in outcome.swept}
                outcome.left += [
                    {**each.thing, "reason": problems.get((each.region, each.id), "no time left")}
                    for each in here
                    if (each.region, each.id) not in gone
                ]
                break
            if here and _is_hopeless(
                [(each, problems.get((each.region, each.id))) for each in here]
            ):
                outcome.left += [
                    {**each.thing, "reason": problems[each.region, each.id]} for each in here
                ]
                break
            self._pause()
        return outcome

    def _delete(
        self,
        region: str,
        found: Sequence[Found],
        outcome: Outcome,
        problems: dict[tuple[str, str], str],
    ) -> None:
        client = self._client(region)
        by_kind: dict[str, list[Found]] = {kind: [] for kind in KINDS}
        for each in found:
            if not each.kept:
                by_kind[each.kind].append(each)

        def attempt(kind: str, id_: str, call: Callable[[], Any]) -> bool:
            try:
                self._guarded(call)
            except CredentialsEndedError:
                raise
            except Exception as error:
                code = error_code(error)
                if not any(sign in code for sign in _GONE):
                    problems[region, id_] = f"{code}: {' '.join(str(error).split())}"
                    return False
            problems.pop((region, id_), None)
            thing: Thing = {"kind": kind, "id": id_, "region": region}
            if thing not in outcome.swept:
                outcome.swept.append(thing)
                self.say(f"deleted {kind} {id_} in {region}")
            return True

        ending = [
            each.id
            for each in by_kind["instance"]
            if attempt("instance", each.id, lambda each=each: client.terminate_instances(  # type: ignore[misc]
                InstanceIds=[each.id]))
        ]  # fmt: skip
        for each in by_kind["key-pair"]:
            attempt("key-pair", each.id, lambda each=each: client.delete_key_pair(KeyName=each.id))  # type: ignore[misc]
        for each in by_kind["image"]:
            self._tag(client, each.snapshots)
            if attempt("image", each.id, lambda each=each: client.deregister_image(  # type: ignore[misc]
                ImageId=each.id)):  # fmt: skip
                for name in each.snapshots:
                    attempt("snapshot", name, lambda name=name: client.delete_snapshot(  # type: ignore[misc]
                        SnapshotId=name))  # fmt: skip
        for each in by_kind["snapshot"]:
            attempt("snapshot", each.id, lambda each=each: client.delete_snapshot(  # type: ignore[misc]
                SnapshotId=each.id))  # fmt: skip
        if ending:
            self._wait_until_terminated(client, ending)
        for each in by_kind["volume"]:
            # Most have gone with their instance, which counts as deleted.
            attempt("volume", each.id, lambda each=each: client.delete_volume(VolumeId=each.id))  # type: ignore[misc]
        for each in by_kind["security-group"]:
            attempt("security-group", each.id, lambda each=each: client.delete_security_group(  # type: ignore[misc]
                GroupId=each.id))  # fmt: skip

    def _tag(self, client: Any, resources: Iterable[str], **more: str) -> None:
        """Mark what is about to be deleted, so that it is found if the sweep is interrupted."""
        ids = list(resources)
        if not ids:
            return
        tags = {
            "ExpiresAt": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ManagedBy": MANAGED_BY,
            "Repository": self.scope.repository,
            **more,
        }
        if self.scope.run_id:
            tags["RunId"] = self.scope.run_id
        try:
            self._guarded(
                lambda: client.create_tags(
                    Resources=ids, Tags=[{"Key": k, "Value": v} for k, v in tags.items()]
                )
            )
        except CredentialsEndedError:
            raise
        except Exception as error:
            self.say(f"cannot tag {', '.join(ids)}: {error_code(error)}")

    def _wait_until_terminated(self, client: Any, instances: list[str]) -> None:
        """Wait as boto3's own waiter does, in pieces, so that a signal need not wait for it."""
        from botocore.exceptions import WaiterError

        waiter = client.get_waiter("instance_terminated")
        delay = self.poll_seconds
        while not self.hurry() and time.monotonic() < self.deadline:
            try:
                waiter.wait(InstanceIds=instances, WaiterConfig={"Delay": delay, "MaxAttempts": 1})
                return
            except WaiterError as error:
                response = error.last_response or {}
                if (code := response.get("Error", {}).get("Code")) and "NotFound" in code:
                    return
                if code in CREDENTIALS_ENDED:
                    raise CredentialsEndedError(code) from None
            self._pause()

    # -- Talking

    def _client(self, region: str) -> Any:
        if region not in self._clients:
            self._clients[region] = self.session.client("ec2", region_name=region, config=config())
        return self._clients[region]

    def _guarded(self, call: Callable[[], Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except (BotoCoreError, ClientError) as error:
            if error_code(error) in CREDENTIALS_ENDED or "expired" in str(error).lower():
                raise CredentialsEndedError(
                    f"the credentials do not count any more ({error_code(error)})"
                ) from None
            raise

    def _pause(self) -> None:
        """Wait a little, but not when somebody is in a hurry."""
        until = time.monotonic() + self.poll_seconds
        while not self.hurry() and time.monotonic() < min(until, self.deadline):
            time.sleep(0.05)


def _tags(item: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}


def _snapshot_ids(image: dict[str, Any]) -> set[str]:
    """Return the snapshots that an image uses."""
    return {
        mapping["Ebs"]["SnapshotId"]
        for mapping in image.get("BlockDeviceMappings", [])
        if mapping.get("Ebs", {}).get("SnapshotId")
    }


def _is_gone(kind: str, item: dict[str, Any]) -> bool:
    if kind == "instance":
        return bool(item["State"]["Name"] == "terminated")
    if kind == "volume":
        return bool(item.get("State") in ("deleting", "deleted"))
    return bool(kind == "image" and item.get("State") == "deregistered")


def _is_hopeless(things: Sequence[tuple[Found, str | None]]) -> bool:
    """Tell whether another attempt is of no use.

    Args:
        things: What is there, each with the reason for which it could not be deleted.
    """
    refused = [each.kind for each, why in things if why and not why.startswith(_LATER)]
    # What waits for an instance or an image that may not be deleted waits in vain.
    waits_in_vain = "instance" in refused or "image" in refused
    return all(why for _, why in things) and (waits_in_vain or len(refused) == len(things))


def advice(scope: Scope, role_arn: str = "") -> str:
    """Write the command that does the rest, once there are credentials."""
    words = ["packer-toolkit sweep", f"--run-id {scope.run_id}"]
    words += [f"--repository {scope.repository}", *(f"--region {each}" for each in scope.regions)]
    if role_arn:
        words.append(f"--assume-role {role_arn}")
    if scope.finished:
        words.append("--finished-images")
    return " ".join(words)
