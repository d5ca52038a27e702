"""The schema of build-report.json, which `packer-toolkit build` writes and other commands read."""

from __future__ import annotations

import json
import math
import types
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from packer_toolkit.aws.identity import Identity
from packer_toolkit.build.clock import format_time
from packer_toolkit.errors import SetupError

FILE = "build-report.json"
SCHEMA = 1

BuildType = Literal["test", "image", "local"]


class Account(TypedDict):
    """The account of a build.

    Attributes:
        id: ID of the account.
        arn: ARN of the user, or of the session of a role.
        expires_at: When the credentials expire, such as 2026-11-25T03:00:00Z; None if that is not
            known, or if they are renewed.
    """

    id: str
    arn: str
    expires_at: str | None


def describe_account(identity: Identity) -> Account:
    """Return the account of a build; renewed credentials do not expire."""
    expires_at = None if identity.renewed else identity.expires_at
    text = format_time(expires_at.timestamp()) if expires_at else None
    return {"id": identity.account, "arn": identity.arn, "expires_at": text}


class BaseImage(TypedDict):
    """The base image of a build; its name is empty if AWS did not return it."""

    id: str
    name: str


class Phase(TypedDict):
    """A phase of a build and its duration; the names are those of `output.PHASES`."""

    name: str
    seconds: float


class Image(TypedDict):
    """A finished image; size_gib is the size of all its volumes, None if it is not known."""

    region: str
    id: str
    size_gib: int | None


class Build(TypedDict):
    """One of Packer's builds, such as amazon-ebs.x86_64.

    Attributes:
        failed_step: Step that failed, such as `shell: 10-fail.sh`; None if none did.
    """

    name: str
    ok: bool
    failed_step: str | None
    parent: BaseImage | None
    instance_type: str | None
    phases: list[Phase]
    images: list[Image]


class UnloadedProfile(TypedDict):
    """A profile of InSpec that did not run.

    Attributes:
        profile: Name; empty if it is not known.
        status: skipped or failed, as InSpec reports it.
        reason: First line of InSpec's message, shortened and masked.
    """

    profile: str
    status: str
    reason: str


class InspecResults(TypedDict):
    """The numbers of the controls of a build that passed, failed and were skipped.

    Attributes:
        failures: ID and title of each control that failed.
        checks: Number of checks of the controls that passed or failed. Reports of toolkit 1.0
            lack this key and those that follow.
        skips: ID and reason of each control that was skipped for a reason.
        unloaded: Profiles that were skipped or could not be loaded.
    """

    build: str
    passed: int
    failed: int
    skipped: int
    failures: list[str]
    checks: int
    skips: list[str]
    unloaded: list[UnloadedProfile]


class Resource(TypedDict):
    """A resource in an account.

    Attributes:
        kind: instance, key-pair, security-group, volume, snapshot, image; or region, if the
            resources of a region could not be listed.
    """

    kind: str
    id: str
    region: str


class Leftover(Resource):
    """A resource that could not be deleted, and the reason."""

    reason: str


class BuildReport(TypedDict):
    """The report of a build, whether it succeeded or not.

    Attributes:
        schema: SCHEMA; readers refuse other values.
        version: Version of the image; empty if the build failed before it was known.
        started_at: Such as 2026-11-25T03:00:00Z.
        exit_code: 0, or as in packer_toolkit.errors; 128 + N if signal N terminated the build.
        run_id: Value of the tag RunId of all resources of the build.
        account: None for a local build, or if the credentials were not valid.
        last_lines: The relevant lines of the output, without secrets and account IDs.
        swept: Leftovers that were deleted.
        left: Leftovers that could not be deleted.
    """

    schema: int
    image_name: str
    version: str
    commit: str
    template_version: str
    toolkit_version: str
    kind: BuildType
    started_at: str
    seconds: float
    exit_code: int
    run_id: str
    account: Account | None
    builds: list[Build]
    inspec: list[InspecResults]
    last_lines: list[str]
    swept: list[Resource]
    left: list[Leftover]


def write_report(report: BuildReport, folder: Path) -> None:
    """Write the report into the folder of the repository."""
    (folder / FILE).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def read_report(folder: Path) -> BuildReport:
    """Read the report of the last build.

    Raises:
        SetupError: If it does not exist, or this version cannot read it.
    """
    file = folder / FILE
    try:
        report: BuildReport = json.loads(file.read_text())
        schema = report["schema"]
    except FileNotFoundError:
        raise SetupError(f"{file} does not exist: no build has run here; start one") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SetupError(f"{file} is not a build report; delete it and build again") from None
    if schema != SCHEMA:
        raise SetupError(f"{file} has the schema {schema}, not {SCHEMA}; build again")
    return report


def has_report_shape(value: object, shape: Any = BuildReport) -> bool:
    """Return whether a value has the types of a report; keys may be missing.

    Args:
        value: Value that was read from JSON.
        shape: Type of this module, or of one of its fields.
    """
    if is_typeddict(shape):
        return isinstance(value, dict) and all(
            has_report_shape(value[name], inner)
            for name, inner in get_type_hints(shape).items()
            if name in value
        )
    if get_origin(shape) is list:
        (inner,) = get_args(shape)
        return isinstance(value, list) and all(has_report_shape(each, inner) for each in value)
    if get_origin(shape) is types.UnionType:
        return any(has_report_shape(value, each) for each in get_args(shape))
    if get_origin(shape) is Literal:
        return value in get_args(shape)
    if shape is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    return type(value) is shape  # isinstance() accepts True as a number
