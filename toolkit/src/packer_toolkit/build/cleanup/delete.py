"""Deletes the resources that builds left in an account."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from packer_toolkit.aws.errors import INVALID_CREDENTIALS, get_error_code
from packer_toolkit.build.cleanup.calls import CredentialsExpiredError, attempt_call
from packer_toolkit.build.cleanup.find import LeftoverFinder
from packer_toolkit.build.cleanup.scope import DeletionResult, FoundResource, make_region_leftover
from packer_toolkit.build.host import format_time, wait
from packer_toolkit.build.report import Resource

# Kind -> call and argument, in the order of deletion: a resource comes before those that it holds.
_CALLS = {
    "instance": ("terminate_instances", "InstanceIds"),
    "key-pair": ("delete_key_pair", "KeyName"),
    "image": ("deregister_image", "ImageId"),
    "snapshot": ("delete_snapshot", "SnapshotId"),
    "volume": ("delete_volume", "VolumeId"),
    "security-group": ("delete_security_group", "GroupId"),
}
# Parts of the codes with which EC2 refuses to delete what does not exist.
_NOT_FOUND = ("NotFound", "InvalidAMIID.Unavailable", ".Unknown")
# Errors that another attempt may not get: another resource has to be deleted first, or EC2 fails.
_TEMPORARY = (
    "DependencyViolation", "VolumeInUse", "InvalidSnapshot.InUse", "IncorrectState",
    "InternalError", "InternalFailure", "RequestLimitExceeded", "ServiceUnavailable", "Unavailable",
)  # fmt: skip


class LeftoverDeleter:
    """Deletes the resources of a scope.

    Args:
        finder: Finds the resources.
        timeout: Seconds to wait at most, such as until instances are terminated.
        is_forced: Returns whether nothing is waited for any more.
        echo: Prints a line for the user.
        poll_seconds: Seconds between two calls that ask whether a resource is deleted.
    """

    def __init__(
        self,
        finder: LeftoverFinder,
        *,
        timeout: float = 600,
        is_forced: Callable[[], bool] = lambda: False,
        echo: Callable[[str], None] = lambda _: None,
        poll_seconds: float = 2,
    ) -> None:
        self.finder = finder
        self.clock = finder.clock
        self.deadline = self.clock.monotonic() + timeout
        self.is_forced = is_forced
        self.echo = echo
        self.poll_seconds = poll_seconds
        self.result = DeletionResult()
        # Reason why a resource could not be deleted, by region and ID.
        self._problems: dict[tuple[str, str], str] = {}

    def run(self, *, settle_seconds: float = 0) -> DeletionResult:
        """Delete, and search again until no resource of the scope exists or the time is over.

        Args:
            settle_seconds: Seconds in which the search is repeated even if it found nothing: a
                call that was pending when a build was killed may be carried out later.
        """
        result = self.result
        # If the clean-up is interrupted, no part of such an image may count as finished.
        with contextlib.suppress(CredentialsExpiredError):  # the search below reports it
            for region, id_ in self.finder.abandoned:
                # A time beside a Version would look like a released image that a developer marked.
                self._tag(region, [id_], Version="")
        settled = self.clock.monotonic() + settle_seconds
        while True:
            resources = self._delete_in_regions()
            if result.has_expired_credentials:
                return result
            result.retained = [each for each in resources if each.retained]
            existing = [each for each in resources if not each.retained]
            has_unknown_region = any(each["kind"] == "region" for each in result.leftovers)
            is_settled = self.is_forced() or self.clock.monotonic() >= settled
            if not (existing or has_unknown_region) and is_settled:
                break
            is_over = has_unknown_region or self.is_forced() or self._is_late()
            problems = [
                (each.kind, self._problems.get((each.region, each.id))) for each in existing
            ]
            if is_over or (existing and _is_hopeless(problems)):
                # EC2 may still list what it deletes.
                deleted = {(each["region"], each["id"]) for each in result.deleted if is_over}
                result.leftovers += [
                    each.explain(
                        self._problems.get(
                            (each.region, each.id), "the time limit of the clean-up is over"
                        )
                    )
                    for each in existing
                    if (each.region, each.id) not in deleted
                ]
                break
            self._wait()
        return result

    def _delete_in_regions(self) -> list[FoundResource]:
        """Search and delete once in each region; return the resources that were found."""
        found: list[FoundResource] = []
        for region in self.finder.scope.regions:
            try:
                resources = self.finder.find_in(region)
                found += resources
                self._delete(region, [each for each in resources if not each.retained])
            except CredentialsExpiredError as error:
                self.result.has_expired_credentials = True
                self.result.leftovers = [
                    each.explain(str(error)) for each in found if not each.retained
                ]
                break
            except Exception as error:
                self.result.leftovers.append(make_region_leftover(region, error))
        return found

    def _delete(self, region: str, resources: Sequence[FoundResource]) -> None:
        terminating: list[str] = []
        for kind in _CALLS:
            if kind == "volume" and terminating:
                # Most volumes are deleted with their instance.
                self._wait_until_terminated(region, terminating)
            for each in resources:
                if each.kind != kind:
                    continue
                self._tag(region, each.snapshots)
                if not self._attempt(region, kind, each.id):
                    continue
                if kind == "instance":
                    terminating.append(each.id)
                for snapshot in each.snapshots:
                    self._attempt(region, "snapshot", snapshot)

    def _attempt(self, region: str, kind: str, id_: str) -> bool:
        """Delete a resource; return whether EC2 accepted that, or the resource does not exist."""
        name, argument = _CALLS[kind]
        call = getattr(self.finder.clients(region), name)
        ids = [id_] if argument == "InstanceIds" else id_
        if error := attempt_call(call, **{argument: ids}):
            code = get_error_code(error)
            if not any(part in code for part in _NOT_FOUND):
                self._problems[region, id_] = f"{code}: {' '.join(str(error).split())}"
                return False
        self._problems.pop((region, id_), None)
        resource: Resource = {"kind": kind, "id": id_, "region": region}
        if resource not in self.result.deleted:
            self.result.deleted.append(resource)
            self.echo(f"deleted {kind} {id_} in {region}")
        return True

    def _tag(self, region: str, ids: Sequence[str], **tags: str) -> None:
        """Tag what is about to be deleted, so that the next clean-up finds it, too."""
        if ids:
            tags = {"ExpiresAt": format_time(self.clock.time()), **self.finder.scope.tags, **tags}
            pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
            create = self.finder.clients(region).create_tags
            if error := attempt_call(create, Resources=list(ids), Tags=pairs):
                self.echo(f"cannot tag {', '.join(ids)}: {get_error_code(error)}")

    def _wait_until_terminated(self, region: str, instances: list[str]) -> None:
        """Wait in steps, so that a signal can interrupt it."""
        client = self.finder.clients(region)
        while not (self.is_forced() or self._is_late()):
            if _are_terminated(client, instances, self.poll_seconds):
                return
            self._wait()

    def _is_late(self) -> bool:
        return self.clock.monotonic() >= self.deadline

    def _wait(self) -> None:
        seconds = min(self.poll_seconds, self.deadline - self.clock.monotonic())
        wait(self.clock, seconds, self.is_forced)


def _are_terminated(client: Any, instances: list[str], delay: float) -> bool:
    """Return whether instances are terminated, as boto3's waiter finds out.

    Raises:
        CredentialsExpiredError: If the credentials are not valid.
    """
    from botocore.exceptions import WaiterError

    try:
        client.get_waiter("instance_terminated").wait(
            InstanceIds=instances, WaiterConfig={"Delay": delay, "MaxAttempts": 1}
        )
    except WaiterError as error:
        code = (error.last_response or {}).get("Error", {}).get("Code", "")
        if code in INVALID_CREDENTIALS:
            raise CredentialsExpiredError(code) from None
        return "NotFound" in code
    return True


def _is_hopeless(problems: Sequence[tuple[str, str | None]]) -> bool:
    """Return whether another attempt to delete resources cannot succeed.

    Args:
        problems: Kind of each resource, and the reason why it could not be deleted.
    """
    refused = [kind for kind, why in problems if why and not why.startswith(_TEMPORARY)]
    # What an instance or an image holds cannot be deleted as long as that exists.
    is_held = "instance" in refused or "image" in refused
    return all(why for _, why in problems) and (is_held or len(refused) == len(problems))
