"""Write the build summary of a workflow run: images, time, controls, packages and leftovers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from packer_toolkit.build.inspec import write_results
from packer_toolkit.build.masking import Mask
from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.outcome import mask_last_lines
from packer_toolkit.pipeline.releases import ReleasedPackages
from packer_toolkit.text.lines import format_count
from packer_toolkit.text.markdown import format_code, format_code_block, format_table

# Sessions of chained roles, and of roles with the default maximum, end after this time.
_HOUR = 3600.0
# Above this share of the credential lifetime, the summary names a larger instance type.
_CLOSE = 0.7
_MOST_LINES = 20
_MOST_PACKAGES = 50
# The next size of each size, as far as all families have it.
_LARGER_SIZES = {
    "nano": "micro",
    "micro": "small",
    "small": "medium",
    "medium": "large",
    "large": "xlarge",
    "xlarge": "2xlarge",
    "2xlarge": "4xlarge",
    "4xlarge": "8xlarge",
}

_RESULTS = {"success": "succeeded", "failure": "failed", "cancelled": "was cancelled"}
_KINDS = {"test": "A test build: no image was created.", "local": "A local build, without AWS."}


def compare_packages(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str, str]]:
    """Compare the package lists of two images, in lines of NAME VERSION.

    Returns:
        Name, old and new versions of each package that differs; an empty text for the versions of
        a package that is not installed.
    """

    def group_versions(lines: Sequence[str]) -> dict[str, list[str]]:
        versions: dict[str, list[str]] = {}
        for line in lines:
            name, _, version = line.strip().partition(" ")
            versions.setdefault(name, []).append(version)  # such as several kernels
        return versions

    before, after = group_versions(old), group_versions(new)
    return [
        (name, ", ".join(before.get(name, [])), ", ".join(after.get(name, [])))
        for name in sorted({*before, *after})
        if sorted(before.get(name, [])) != sorted(after.get(name, []))
    ]


def get_credential_lifetime(
    report: Mapping[str, Any], seconds: float | None = None, expires: datetime | None = None
) -> float:
    """Return how long the credentials of a build were valid, in seconds.

    Args:
        report: The build report, which may have their expiry.
        seconds: The duration that the workflow requested; it takes precedence over the report.
        expires: Their expiry, if the workflow recorded it; the time from the start of the build
            until then takes precedence over both.
    """
    if seconds and not expires:
        return seconds
    try:
        expiry = report["account"]["expires_at"] if expires is None else expires.isoformat()
        end = datetime.fromisoformat(expiry.replace("Z", "+00:00"))
        start = datetime.fromisoformat(report["started_at"].replace("Z", "+00:00"))
        return max(60.0, (end - start).total_seconds())
    except (KeyError, TypeError, ValueError, AttributeError):
        return seconds or _HOUR


def write_summary(
    artifacts: BuildArtifacts,
    *,
    result: str,
    note: str = "",
    seconds: float | None = None,
    expires: datetime | None = None,
    last: ReleasedPackages | None = None,
) -> str:
    """Return the summary, in Markdown.

    Args:
        artifacts: The artifacts of the build, which may have no report.
        result: success, failure, cancelled or skipped.
        note: A note to show, such as why nothing was built.
        seconds: See `get_credential_lifetime`.
        expires: See `get_credential_lifetime`.
        last: Packages of the last release, to compare with.
    """
    report = artifacts.report
    if result == "skipped" or (not report and note):
        return f"## Nothing was built\n\n{note or 'An earlier step failed.'}\n"
    name = format_code(str(report.get("image_name") or "image"))
    version = f"{format_code(report['version'])} " if report.get("version") else ""
    parts = [f"## {name} {version}{_RESULTS.get(result, result)}", *([note] if note else [])]
    if not report:
        parts.append(
            "The build wrote no report: it did not start, or it was killed. "
            "The log of the run shows why."
        )
        return "\n\n".join(parts) + "\n"
    if report.get("kind") in _KINDS:
        parts.append(_KINDS[report["kind"]])
    builds = report.get("builds", [])
    origin = [
        f"{label} {format_code(str(report.get(key) or 'unknown')[:length])}"
        for label, key, length in (
            ("Commit", "commit", 12),
            ("template", "template_version", 99),
            ("toolkit", "toolkit_version", 99),
            ("run", "run_id", 99),
        )
    ]
    parts += [
        *_describe_failures(report, builds),
        *_list_images(builds),
        *_show_time(report, builds, get_credential_lifetime(report, seconds, expires)),
        "### InSpec",
        *write_results(report.get("inspec", [])),
        *_show_packages(artifacts, last),
        *_list_leftovers(report),
        f"{', '.join(origin)}.",
    ]
    return "\n\n".join(parts) + "\n"


def _get_architecture(build: Mapping[str, Any]) -> str:
    return str(build.get("name")).rpartition(".")[2]


def _describe_failures(report: Mapping[str, Any], builds: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (format_code(str(build.get("name"))), format_code(build.get("failed_step") or "unknown"))
        for build in builds
        if not build.get("ok")
    ]
    lines = mask_last_lines(report, Mask(os.environ)) if report.get("exit_code") else []
    return [
        *([format_table(("Build", "Failed step"), rows)] if rows else []),
        *([format_code_block(lines[-_MOST_LINES:])] if lines else []),
    ]


def _list_images(builds: Sequence[Mapping[str, Any]]) -> list[str]:
    images = [
        (
            format_code(_get_architecture(build)),
            format_code(str(image.get("region"))),
            format_code(str(image.get("id"))),
            f"{image['size_gib']} GiB" if image.get("size_gib") else "—",
        )
        for build in builds
        for image in build.get("images", [])
    ]
    base_images = [
        (
            format_code(_get_architecture(build)),
            format_code(str(build["parent"].get("id"))),
            format_code(build["parent"].get("name", "")),
        )
        for build in builds
        if build.get("parent")
    ]
    return [
        *_write_section("Images", ("Architecture", "Region", "Image", "Size"), images),
        *_write_section("Base images", ("Architecture", "Base image", "Name"), base_images),
    ]


def _write_section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"### {title}", format_table(head, rows)] if rows else []


def _show_time(
    report: Mapping[str, Any], builds: Sequence[Mapping[str, Any]], lifetime: float
) -> list[str]:
    rows = [
        (
            format_code(str(build.get("name"))),
            str(phase.get("name")),
            f"{phase.get('seconds', 0) / 60:.1f}",
        )
        for build in builds
        for phase in build.get("phases", [])
    ]
    parts = _write_section("Time", ("Build", "Phase", "Minutes"), rows)
    seconds = report.get("seconds", 0)
    total = f"Total: **{seconds / 60:.1f} minutes**"
    if report.get("kind") == "local":
        return [*parts, f"{total}."]
    share = seconds / lifetime
    total += f" ({share:.0%} of the {lifetime / 60:.1f}-minute credential lifetime)."
    if share > _CLOSE:
        total += f" {_suggest_instance_types(builds)}"
    return [*parts, total]


def _suggest_instance_types(builds: Sequence[Mapping[str, Any]]) -> str:
    """Name a larger instance type for each build, for the slowest build first."""

    def sum_phases(build: Mapping[str, Any]) -> float:
        return float(sum(phase.get("seconds", 0) for phase in build.get("phases", [])))

    types = []
    for build in sorted(builds, key=sum_phases, reverse=True):
        current = str(build.get("instance_type") or "")
        if larger := find_larger_type(current):
            setting = f'{_get_architecture(build)} = "{larger}"'
            types.append(f"{format_code(setting)} instead of {format_code(current)}")
    more = f": {', '.join(types)}" if types else ""
    return (
        "That is close to the limit: set a larger type in `instance_types` of "
        f"`image.auto.pkrvars.hcl`{more}."
    )


def find_larger_type(instance_type: str) -> str | None:
    """Return the next larger type of the family; None when not all families have one."""
    family, _, size = instance_type.partition(".")
    larger = _LARGER_SIZES.get(size)
    return f"{family}.{larger}" if family and larger else None


def _show_packages(artifacts: BuildArtifacts, last: ReleasedPackages | None) -> list[str]:
    parts = []
    for architecture, lines in sorted(artifacts.packages.items()):
        heading = f"{format_code(architecture)}: {format_count(len(lines), 'package')}"
        if last is None or architecture not in last.packages:
            parts.append(f"{heading}; there is no earlier list to compare with.")
            continue
        changes = compare_packages(last.packages[architecture], lines)
        parts.append(f"{heading}, {len(changes)} changed since {format_code(last.tag)}.")
        rows = [tuple(map(format_code, change)) for change in changes[:_MOST_PACKAGES]]
        if rows:
            parts.append(format_table(("Package", "Before", "Now"), rows))
        if len(changes) > len(rows):
            parts.append(f"And {len(changes) - len(rows)} more.")
    return ["### Packages", *parts] if parts else []


def _list_leftovers(report: Mapping[str, Any]) -> list[str]:
    keys = ("kind", "id", "region", "reason")
    leftovers = [
        "- {} {} in {}: {}".format(*(format_code(resource.get(key) or "unknown") for key in keys))
        for resource in report.get("left", [])
    ]
    if leftovers:
        return [
            "### Leftover resources",
            "\n".join(leftovers),
            "Delete them: `packer-toolkit cleanup`.",
        ]
    deleted = format_count(len(report.get("swept", [])), "resource")
    return (
        [f"The clean-up deleted {deleted} that Packer left behind."] if report.get("swept") else []
    )
