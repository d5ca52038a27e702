"""Results of InSpec: read from the auditor's reports, and written in Markdown."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packer_toolkit.build.report import InspecResults, UnloadedProfile
from packer_toolkit.text.markdown import format_code as code, format_table as table

_LONGEST_REASON = 200
_MOST_REASONS = 50


def read_reports(folder: Path, mask: Callable[[str], str]) -> list[InspecResults]:
    """Read the auditor's reports, and count their controls.

    Args:
        folder: Folder in which provisioners/inspec.sh stored one JSON file for each build.
        mask: Masks the secrets of a text.

    Returns:
        One entry for each build, in the order of their names.
    """
    return [_read_report(file, mask) for file in sorted(folder.glob("*.json"))]


def _read_report(file: Path, mask: Callable[[str], str]) -> InspecResults:
    summary: InspecResults = {
        "build": file.stem,
        "passed": 0,
        "failed": 0,
        "skipped": 0,
        "failures": [],
        "checks": 0,
        "skips": [],
        "unloaded": [],
    }
    try:
        profiles = _select_mappings(json.loads(file.read_text(encoding="utf-8"))["profiles"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = _shorten(f"the auditor's report cannot be read: {error}", mask)
        summary["unloaded"].append({"profile": "", "status": "failed", "reason": reason})
        return summary
    for profile in profiles:
        # Only the profile that needs it lists a dependency that does not support the machine.
        for each in (
            profile,
            *(one for one in _select_mappings(profile.get("depends")) if "status" in one),
        ):
            unloaded = UnloadedProfile(
                profile=_shorten(str(each.get("name") or ""), mask),
                status=str(each.get("status")),
                reason=_shorten(str(each.get("status_message") or ""), mask),
            )
            if unloaded["status"] != "loaded" and unloaded not in summary["unloaded"]:
                summary["unloaded"].append(unloaded)
    controls = [
        control for profile in profiles for control in _select_mappings(profile.get("controls"))
    ]
    # A profile also lists the controls of a dependency, without their results.
    executed = {str(each.get("id")) for each in controls if _select_mappings(each.get("results"))}
    for control in controls:
        results = _select_mappings(control.get("results"))
        name = str(control.get("id", ""))
        if not results and name in executed:
            continue
        title = f"{name}: {control['title']}" if control.get("title") else name
        statuses = {str(result.get("status")) for result in results}
        summary["checks"] += sum(result.get("status") != "skipped" for result in results)
        if statuses - {"passed", "skipped"}:
            summary["failed"] += 1
            summary["failures"].append(_shorten(title, mask))
        elif "skipped" in statuses or not results:
            summary["skipped"] += 1
            reasons = [str(each["skip_message"]) for each in results if each.get("skip_message")]
            if reasons:
                summary["skips"].append(_shorten(f"{name}: {reasons[0]}", mask))
        else:
            summary["passed"] += 1
    return summary


def _select_mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list; the auditor may write null for an empty list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _shorten(text: str, mask: Callable[[str], str]) -> str:
    """Return the first line, cut between words so that no part of a secret remains."""
    lines = mask(text).strip().splitlines()
    return textwrap.shorten(lines[0], _LONGEST_REASON, placeholder=" …") if lines else ""


def write_results(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write the results in Markdown.

    Args:
        results: Field `inspec` of a build report; keys that an older toolkit did not write may be
            missing.

    Returns:
        Paragraphs: a table with one row for each build, then the names and reasons.
    """
    if not results:
        return ["No controls were run."]
    columns = ("passed", "failed", "skipped")
    rows = [
        (code(str(result.get("build"))), *(str(result.get(column, 0)) for column in columns))
        for result in results
    ]
    parts = [table(("build", *columns), rows)]
    if not any(result.get("checks", 1) for result in results):
        parts.append("**No control was checked.**")
    failed = (f"- {code(str(name))}" for result in results for name in result.get("failures") or [])
    skipped = (
        f"- Skipped: {code(str(name))}" for result in results for name in result.get("skips") or []
    )
    for reasons in (_describe_unloaded(results), failed, skipped):
        lines = list(dict.fromkeys(reasons))  # most reasons apply to both architectures
        more = len(lines) - _MOST_REASONS
        lines = lines[:_MOST_REASONS] + ([f"- And {more} more."] if more > 0 else [])
        parts += ["\n".join(lines)] if lines else []
    return parts


def _describe_unloaded(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for result in results:
        for each in result.get("unloaded") or []:
            state = "was skipped" if each.get("status") == "skipped" else "could not be loaded"
            reason = code(str(each.get("reason") or "no reason given"))
            name = code(str(each["profile"])) if each.get("profile") else "The profile"
            yield f"- {name} {state}: {reason}"
