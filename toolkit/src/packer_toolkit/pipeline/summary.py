"""The page that a person reads after a build: what was made, how long it took, what changed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from packer_toolkit.build.inspec import write_results
from packer_toolkit.build.masking import Mask
from packer_toolkit.pipeline.artifacts import Records
from packer_toolkit.pipeline.instance_types import larger
from packer_toolkit.pipeline.outcome import published_lines
from packer_toolkit.text.markdown import block, code, table

# Chained roles, and roles that nobody has given more, end after this.
HOUR = 3600.0
# Above this share of the credentials' time a larger instance is named.
_TOO_LONG = 0.7
_MOST_PACKAGES = 50

_STATES = {"success": "is good", "failure": "has failed", "cancelled": "was cancelled"}
_WHAT = {"test": "A test build: no image was created.", "local": "A local build, without AWS."}


@dataclass(frozen=True)
class Change:
    """A package that differs from the last image; one side is empty where it was not installed."""

    name: str
    old: str
    new: str


def changes(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    """Compare two package lists, of lines NAME VERSION."""

    def versions(lines: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in lines:
            name, _, version = line.strip().partition(" ")
            found.setdefault(name, []).append(version)  # several kernels, for one
        return found

    before, after = versions(old), versions(new)
    return [
        Change(name, ", ".join(before.get(name, [])), ", ".join(after.get(name, [])))
        for name in sorted({*before, *after})
        if sorted(before.get(name, [])) != sorted(after.get(name, []))
    ]


def limit_of(
    report: Mapping[str, Any], seconds: float | None = None, expires: datetime | None = None
) -> float:
    """Return how long the credentials of a build lived, in seconds.

    Args:
        report: the build report, which may know when they ended.
        seconds: what the workflow asked for; it is surer.
        expires: when the credentials expire, as the workflow noted it; of it, only the time since
            the start of the build counts.
    """
    if seconds and not expires:
        return seconds
    try:
        at = report["account"]["expires_at"] if expires is None else expires.isoformat()
        ends = datetime.fromisoformat(at.replace("Z", "+00:00"))
        began = datetime.fromisoformat(report["started_at"].replace("Z", "+00:00"))
        return max(60.0, (ends - began).total_seconds())
    except (KeyError, TypeError, ValueError, AttributeError):
        return seconds or HOUR


def page(
    records: Records,
    *,
    outcome: str,
    note: str = "",
    limit: float | None = None,
    expires: datetime | None = None,
    last: Mapping[str, Sequence[str]] | None = None,
    last_name: str = "",
) -> str:
    """Write the summary in Markdown.

    Args:
        records: of the build, as far as there are any.
        outcome: success, failure, cancelled or skipped.
        note: why nothing was built, for a skipped one.
        limit: seconds that the credentials live.
        expires: when they expire, where that is known.
        last: package lists of the last image, by architecture; None when there is none.
        last_name: of the last image.
    """
    report = records.report
    if outcome == "skipped" or (not report and note):
        return f"## Nothing was built\n\n{note or 'An earlier step ended the run.'}\n"
    name = code(str(report.get("image_name") or "image"))
    version = code(str(report["version"])) + " " if report.get("version") else ""
    parts = [f"## {name} {version}{_STATES.get(outcome, outcome)}"]
    if note:
        parts.append(note)
    if not report:
        parts.append("The build left no report: it never began, or it was killed. See the log.")
        return "\n\n".join(parts) + "\n"
    parts += [_WHAT[kind] for kind in [str(report.get("kind"))] if kind in _WHAT]
    builds = [build for build in report.get("builds") or [] if isinstance(build, dict)]
    parts += _failures(report, builds)
    parts += _images(builds)
    parts += _time(report, builds, limit_of(report, limit, expires))
    parts += _inspec(report)
    if records.packages:
        parts += _packages(records, last, last_name)
    parts += _left(report)
    made_by = (
        f"Commit {code(str(report.get('commit') or '?')[:12])}, "
        f"template {code(str(report.get('template_version') or '?'))}, "
        f"toolkit {code(str(report.get('toolkit_version') or '?'))}, "
        f"run {code(str(report.get('run_id') or '?'))}."
    )
    return "\n\n".join([*parts, made_by]) + "\n"


def _failures(report: Mapping[str, Any], builds: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (code(str(build.get("name"))), code(str(build.get("failed_step") or "not known")))
        for build in builds
        if not build.get("ok")
    ]
    parts = [table(("build", "failed in"), rows)] if rows else []
    lines = published_lines(report, Mask(os.environ))
    if lines and report.get("exit_code"):
        parts.append(block(lines[-20:]))
    return parts


def _images(builds: Sequence[Mapping[str, Any]]) -> list[str]:
    parts = []
    images = [
        (
            code(str(build.get("name")).rpartition(".")[2]),
            code(str(image.get("region"))),
            code(str(image.get("id"))),
            f"{image['size_gib']} GiB" if image.get("size_gib") else "—",
        )
        for build in builds
        for image in build.get("images") or []
    ]
    if images:
        parts += ["### Images", table(("architecture", "region", "image", "size"), images)]
    parents = [
        (
            code(str(build.get("name")).rpartition(".")[2]),
            code(str(build["parent"].get("id"))),
            code(str(build["parent"].get("name") or "")),
        )
        for build in builds
        if build.get("parent")
    ]
    if parents:
        parts += ["### Built on", table(("architecture", "parent image", "name"), parents)]
    return parts


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


def _time(
    report: Mapping[str, Any], builds: Sequence[Mapping[str, Any]], limit: float
) -> list[str]:
    rows: list[tuple[str, ...]] = [
        (
            code(str(build.get("name"))),
            str(phase.get("name")),
            _minutes(float(phase.get("seconds") or 0)),
        )
        for build in builds
        for phase in build.get("phases") or []
    ]
    parts = ["### Time", table(("build", "phase", "minutes"), rows)] if rows else []
    seconds = float(report.get("seconds") or 0)
    if report.get("kind") == "local":
        return [*parts, f"{_minutes(seconds)} minutes in all."]
    used = seconds / limit
    said = (
        f"**{_minutes(seconds)} minutes** in all, {used:.0%} of the {_minutes(limit)} minutes for "
        "which the credentials are good."
    )
    if used > _TOO_LONG:
        said += " " + _advice(builds)
    return [*parts, said]


def _advice(builds: Sequence[Mapping[str, Any]]) -> str:
    """Name the types to try for the builds, the slowest first."""

    def seconds(build: Mapping[str, Any]) -> float:
        return sum(float(phase.get("seconds") or 0) for phase in build.get("phases") or [])

    found = []
    for build in sorted(builds, key=seconds, reverse=True):
        present = str(build.get("instance_type") or "")
        architecture = str(build.get("name")).rpartition(".")[2]
        if bigger := larger(present):
            setting = f'{architecture} = "{bigger}"'
            found.append(f"{code(setting)} instead of {code(present)}")
    if not found:
        return "That is close: name larger types in `instance_types` of `image.auto.pkrvars.hcl`."
    return (
        "That is close: try a larger instance in `instance_types` of `image.auto.pkrvars.hcl`, "
        + ", ".join(found)
        + "."
    )


def _inspec(report: Mapping[str, Any]) -> list[str]:
    results = [result for result in report.get("inspec") or [] if isinstance(result, dict)]
    return ["### InSpec", *write_results(results)]


def _packages(
    records: Records, last: Mapping[str, Sequence[str]] | None, last_name: str
) -> list[str]:
    parts = ["### Packages"]
    for architecture, lines in sorted(records.packages.items()):
        old = (last or {}).get(architecture)
        if old is None:
            known = "no earlier list is on record"
            parts.append(f"{code(architecture)}: {len(lines)} packages; {known}.")
            continue
        found = changes(old, lines)
        against = f" against {code(last_name)}" if last_name else ""
        parts.append(f"{code(architecture)}: {len(lines)} packages, {len(found)} changed{against}.")
        rows = [(code(one.name), code(one.old), code(one.new)) for one in found[:_MOST_PACKAGES]]
        if rows:
            more = len(found) - len(rows)
            shown = table(("package", "before", "now"), rows)
            parts.append(shown + (f"\n\nAnd {more} more." if more else ""))
    return parts


def _left(report: Mapping[str, Any]) -> list[str]:
    left = [thing for thing in report.get("left") or [] if isinstance(thing, dict)]
    if not left:
        swept = len(report.get("swept") or [])
        return [f"The clean-up removed {swept} things that Packer had left."] if swept else []
    lines = [
        f"- {code(str(thing.get('kind')))} {code(str(thing.get('id')))} in "
        f"{code(str(thing.get('region')))}: {code(str(thing.get('reason') or 'no reason given'))}"
        for thing in left
    ]
    return ["### Left behind", "\n".join(lines) + "\n\n`packer-toolkit sweep` removes it."]
