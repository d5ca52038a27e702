"""The schema of build-report.json, which `packer-toolkit build` writes and other commands read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from typing_extensions import TypedDict

from packer_toolkit.aws.identity import Identity
from packer_toolkit.build.host import format_time

FILE = "build-report.json"
SCHEMA = 1

BuildType = Literal["test", "image", "local"]


class Account(TypedDict, total=False):
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


class BaseImage(TypedDict, total=False):
    """The base image of a build; its name is empty if AWS did not return it."""

    id: str
    name: str


class Phase(TypedDict, total=False):
    """A phase of a build and its duration; the names are those of `output.PHASES`."""

    name: str
    seconds: float


class Image(TypedDict, total=False):
    """A finished image; size_gib is the size of all its volumes, None if it is not known."""

    region: str
    id: str
    size_gib: int | None


class Build(TypedDict, total=False):
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


class UnloadedProfile(TypedDict, total=False):
    """A profile of InSpec that did not run.

    Attributes:
        profile: Name; empty if it is not known.
        status: skipped or failed, as InSpec reports it.
        reason: First line of InSpec's message, shortened and masked.
    """

    profile: str
    status: str
    reason: str


class InspecResults(TypedDict, total=False):
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


class Resource(TypedDict, total=False):
    """A resource in an account.

    Attributes:
        kind: instance, key-pair, security-group, volume, snapshot, image; or region, if the
            resources of a region could not be listed.
    """

    kind: str
    id: str
    region: str


class Leftover(Resource, total=False):
    """A resource that could not be deleted, and the reason."""

    reason: str


class BuildReport(TypedDict, total=False):
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


# No conversion, such as from "1" to 1, and no NaN.
BuildReport.__pydantic_config__ = {"strict": True, "allow_inf_nan": False}  # type: ignore[attr-defined]


def write_report(report: BuildReport, folder: Path) -> None:
    """Write the report into the folder of the repository."""
    (folder / FILE).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def has_report_shape(report: object) -> bool:
    """Return whether a value that was read from JSON has the types of a report.

    Keys may be missing, as in reports of an earlier toolkit.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(BuildReport).validate_python(report)
    except ValidationError:
        return False
    return True
