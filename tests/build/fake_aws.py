"""An account of AWS in memory, for tests of what a build decides.

It lists, tags and deletes; tests/rig/aws is the EC2 for everything else.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, WaiterError

HOME, COPY = "eu-west-1", "us-east-1"
REPOSITORY = "packer-ami-web"
ACCOUNT = "111122223333"
PAST, FUTURE = "2026-11-25T03:00:00Z", "2026-11-25T09:00:00Z"
NOW = datetime(2026, 11, 25, 6, tzinfo=timezone.utc)
# Kind -> key of the ID, key of the list, call that lists, call that deletes.
_KINDS = {
    "instance": ("InstanceId", "Instances", "describe_instances", "terminate_instances"),
    "key-pair": ("KeyName", "KeyPairs", "describe_key_pairs", "delete_key_pair"),
    "image": ("ImageId", "Images", "describe_images", "deregister_image"),
    "snapshot": ("SnapshotId", "Snapshots", "describe_snapshots", "delete_snapshot"),
    "volume": ("VolumeId", "Volumes", "describe_volumes", "delete_volume"),
    "security-group": (
        *("GroupId", "SecurityGroups"),
        *("describe_security_groups", "delete_security_group"),
    ),
}


def make_error(code: str, call: str = "Call") -> ClientError:
    """Return an error of AWS."""
    return ClientError({"Error": {"Code": code, "Message": f"{code} of\na test"}}, call)


def make_tags(**changes: str) -> dict[str, str]:
    """Return the tags of a resource whose build has expired, with changes."""
    tags = {"Repository": REPOSITORY, "ManagedBy": "packer", "RunId": "run-1", "ExpiresAt": PAST}
    return {**tags, **changes}


class FakeClock:
    """A clock that only advances when something waits."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.now

    def time(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float, /) -> None:
        """Advance."""
        self.now += seconds


class FakeAws:
    """An account.

    Attributes:
        resources: Resources by region, kind and ID.
        calls: Names of the calls and their arguments.
        errors: Codes of the errors that the next calls of a name return; the last one repeats.
    """

    def __init__(self) -> None:
        self.resources: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, list[str]] = {}
        self.connections: list[str] = []
        self._numbers: Counter[str] = Counter()

    def add(self, kind: str, tags: Mapping[str, str], region: str = HOME, **properties: Any) -> str:
        """Add a resource; return its ID."""
        key = _KINDS[kind][0]
        self._numbers[kind] += 1
        id_ = str(properties.pop("id", f"{kind}-{self._numbers[kind]}"))
        self.resources[region, kind, id_] = {
            key: id_,
            "Tags": [{"Key": name, "Value": value} for name, value in tags.items()],
            "CreationDate": "2026-11-25T02:00:00.000Z",
            "StartTime": NOW,
            "State": {"Name": "running"} if kind == "instance" else "available",
            **properties,
        }
        return id_

    def list_ids(self) -> list[str]:
        """Return the IDs of all resources."""
        return sorted(id_ for _, _, id_ in self.resources)

    def client(self, region: str) -> _Client:
        """Return the EC2 client of a region."""
        return _Client(self, region)

    def connect(self, role: str, name: str, region: str) -> Any:
        """Open a session, as `open_role_session` does."""
        del role, region
        self.connections.append(name)
        caller = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/tess"}
        sts = SimpleNamespace(get_caller_identity=lambda: self.check("get_caller_identity", caller))
        return SimpleNamespace(
            region_name=HOME,
            client=lambda service, region_name: (
                sts if service == "sts" else self.client(region_name)
            ),
            get_credentials=lambda: SimpleNamespace(method="env"),
        )

    def check(self, name: str, response: Any) -> Any:
        """Return the response of a call.

        Raises:
            ClientError: If the call has to fail.
        """
        codes = self.errors.get(name, [])
        code = codes.pop(0) if len(codes) > 1 else (codes or [""])[0]
        if code:
            raise make_error(code, name)
        return response


class _Client:
    """The client of a region."""

    def __init__(self, aws: FakeAws, region: str) -> None:
        self.aws = aws
        self.region = region

    def can_paginate(self, call: str) -> bool:
        """Return whether responses have pages."""
        del call
        return False

    def get_waiter(self, name: str) -> Any:
        """Return a waiter whose instances terminate immediately."""

        def wait(**options: Any) -> None:
            try:
                self.aws.check(name, options)
            except ClientError as error:
                raise WaiterError(name, "", error.response) from None

        return SimpleNamespace(wait=wait)

    def create_tags(self, Resources: list[str], Tags: list[dict[str, str]]) -> None:  # noqa: N803
        """Set tags."""
        self._call("create_tags", {"Resources": Resources, "Tags": Tags})
        for (_, _, id_), item in self.aws.resources.items():
            if id_ in Resources:
                tags = {each["Key"]: each["Value"] for each in [*item["Tags"], *Tags]}
                item["Tags"] = [{"Key": name, "Value": value} for name, value in tags.items()]

    def get_ebs_default_kms_key_id(self) -> dict[str, str]:
        """Return the default key."""
        return dict(self._call("get_ebs_default_kms_key_id", {"KmsKeyId": "alias/aws/ebs"}))

    def __getattr__(self, name: str) -> Any:
        for kind, (_, items, describe, delete) in _KINDS.items():
            if name == describe:
                return lambda **query: self._describe(kind, items, name, query)
            if name == delete:
                return lambda **query: self._delete(kind, name, query)
        raise AttributeError(name)

    def _call(self, name: str, query: dict[str, Any]) -> dict[str, Any]:
        self.aws.calls.append((name, query))
        self.aws.check(name, None)
        return query

    def _describe(self, kind: str, items: str, name: str, query: dict[str, Any]) -> dict[str, Any]:
        self._call(name, query)
        found = [
            item
            for (region, kind_, id_), item in self.aws.resources.items()
            if (region, kind_) == (self.region, kind)
            and id_ in query.get("ImageIds", [id_])
            and all(_matches(item, each) for each in query.get("Filters", []))
        ]
        return {"Reservations": [{items: found}]} if kind == "instance" else {items: found}

    def _delete(self, kind: str, name: str, query: dict[str, Any]) -> None:
        self._call(name, query)
        (value,) = query.values()
        for id_ in value if isinstance(value, list) else [value]:
            if self.aws.resources.pop((self.region, kind, id_), None) is None:
                raise make_error(f"Invalid{kind}.NotFound", name)


def _matches(item: dict[str, Any], condition: dict[str, Any]) -> bool:
    name, patterns = condition["Name"], condition["Values"]
    tags = {each["Key"]: each["Value"] for each in item["Tags"]}
    mappings = item.get("BlockDeviceMappings", [])
    snapshots = [each["Ebs"]["SnapshotId"] for each in mappings if "Ebs" in each]
    values = {
        "block-device-mapping.snapshot-id": snapshots,
        "description": [item.get("Description", "")],
        "image-id": [item.get("ImageId")],
        "name": [item.get("Name", "")],
        "snapshot-id": [item.get("SnapshotId")],
    }.get(name, [tags.get(name.removeprefix("tag:"), "")])
    if name in ("architecture", "root-device-type", "state", "virtualization-type"):
        return True
    return any(fnmatch.fnmatchcase(str(value), each) for value in values for each in patterns)


def make_mappings(*snapshots: str, size: int = 8) -> list[dict[str, Any]]:
    """Return the block devices of an image."""
    return [{"Ebs": {"SnapshotId": each, "VolumeSize": size}} for each in snapshots]
