"""The shape of build-report.json, which `packer-toolkit build` writes and others read."""

from __future__ import annotations

import json
import math
import types
from datetime import timezone
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from packer_toolkit.aws.identity import Identity
from packer_toolkit.errors import SetupError

FILE = "build-report.json"
SCHEMA = 1

Kind = Literal["test", "image", "local"]


class Account(TypedDict):
    """Who built.

    Attributes:
        id: The account's number.
        arn: User, or session of a role.
        expires_at: When the credentials end, such as 2026-11-25T03:00:00Z; None when they do not
            tell, or are renewed.
    """

    id: str
    arn: str
    expires_at: str | None


def describe_account(identity: Identity) -> Account:
    """Return the account of a build; renewed credentials have no expiry."""
    expires_at = None if identity.renewed else identity.expires_at
    text = (
        expires_at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if expires_at else None
    )
    return {"id": identity.account, "arn": identity.arn, "expires_at": text}


class Parent(TypedDict):
    """The image that was built on; name is empty when it could not be asked for any more."""

    id: str
    name: str


class Phase(TypedDict):
    """A part of a build and how long it took; the names are those of `packer_output.PHASES`."""

    name: str
    seconds: float


class Image(TypedDict):
    """A finished image; size_gib is the sum of its volumes, None when unknown."""

    region: str
    id: str
    size_gib: int | None


class Build(TypedDict):
    """One of Packer's builds, such as amazon-ebs.x86_64.

    Attributes:
        failed_step: What failed, such as `shell: 10-fail.sh`; None when nothing did.
    """

    name: str
    ok: bool
    failed_step: str | None
    parent: Parent | None
    instance_type: str | None
    phases: list[Phase]
    images: list[Image]


class Unloaded(TypedDict):
    """A profile of InSpec that did not run.

    Attributes:
        profile: Name; empty when it is not known.
        status: skipped or failed, as InSpec reports it.
        reason: First line of InSpec's message, shortened and masked.
    """

    profile: str
    status: str
    reason: str


class Inspec(TypedDict):
    """How many controls of a build passed, failed and were skipped, and which failed.

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
    unloaded: list[Unloaded]


class Thing(TypedDict):
    """Something in the account.

    Attributes:
        kind: instance, key-pair, security-group, volume, snapshot, image; or region, when nothing
            can be told about a whole one.
    """

    kind: str
    id: str
    region: str


class Left(Thing):
    """Something that could not be deleted, and why."""

    reason: str


class BuildReport(TypedDict):
    """What is known about a build once it has ended, however it ended.

    Attributes:
        schema: SCHEMA; a reader refuses others.
        version: Empty when it is not known: the build never got so far.
        started_at: Such as 2026-11-25T03:00:00Z.
        exit_code: 0, or as in packer_toolkit.errors; 128 + N when signal N ended it.
        run_id: Value of the tag RunId of all that the build made.
        account: None for a local build, and when the credentials did not work.
        last_lines: What matters of the output, without secrets and account numbers.
        swept: What was left behind and has been deleted.
        left: What could not be deleted.
    """

    schema: int
    image_name: str
    version: str
    commit: str
    template_version: str
    toolkit_version: str
    kind: Kind
    started_at: str
    seconds: float
    exit_code: int
    run_id: str
    account: Account | None
    builds: list[Build]
    inspec: list[Inspec]
    last_lines: list[str]
    swept: list[Thing]
    left: list[Left]


def write(report: BuildReport, folder: Path) -> None:
    """Write the report into the repository's folder."""
    (folder / FILE).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def read(folder: Path) -> BuildReport:
    """Read the report of the last build.

    Raises:
        SetupError: When there is none, or none that this version understands.
    """
    file = folder / FILE
    try:
        report: BuildReport = json.loads(file.read_text())
        schema = report["schema"]
    except FileNotFoundError:
        raise SetupError(f"{file} does not exist: no build has run here, start one") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SetupError(f"{file} is not a build report: delete it and build again") from None
    if schema != SCHEMA:
        raise SetupError(f"{file} has the schema {schema}, not {SCHEMA}: build again")
    return report


def fits(value: object, shape: Any = BuildReport) -> bool:
    """Tell whether what was read has the shape of a report; keys may be missing.

    Args:
        value: as JSON was read.
        shape: a type of this module, or of one of its fields.
    """
    if is_typeddict(shape):
        return isinstance(value, dict) and all(
            fits(value[name], inner)
            for name, inner in get_type_hints(shape).items()
            if name in value
        )
    if get_origin(shape) is list:
        (inner,) = get_args(shape)
        return isinstance(value, list) and all(fits(each, inner) for each in value)
    if get_origin(shape) is types.UnionType:
        return any(fits(value, each) for each in get_args(shape))
    if get_origin(shape) is Literal:
        return value in get_args(shape)
    if shape is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    return type(value) is shape  # True is no number
