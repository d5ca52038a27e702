"""Check the InSpec profile: mistakes that fail a build, and controls that it would not run.

The auditor checks a profile in two ways. `check` parses the control files and evaluates nothing, so
it accepts one that cannot be loaded. `check --legacy-check` evaluates them without a machine: no
file exists there, and a `describe` below `if os.debian?` does not run. A warning counts when both
ways report it.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from packer_toolkit.checks.tools import (
    Finding,
    RunTool,
    SkippedError,
    list_files,
    list_missing_content,
    make_relative,
    read_places,
    read_unplaced,
    run_tool,
)
from packer_toolkit.process import Completed

_PROFILE = "inspec"
_METADATA = "inspec/inspec.yml"
# The keys of `supports`; with underscores too.
_SUPPORTS = (
    "platform",
    "platform-name",
    "platform-family",
    "os",
    "os-name",
    "os-family",
    "release",
)
# Families and names of Linux, to find misspelled ones.
_PLATFORMS = (
    *("unix", "linux", "debian", "redhat", "fedora", "suse", "amazon", "ubuntu", "centos"),
    *("rocky", "almalinux", "oracle", "arch", "alpine", "opensuse", "windows", "darwin", "bsd"),
)
# Only a published profile needs these. A build writes no lock file, so a profile is never vendored.
_IGNORED = re.compile(
    r"Missing profile (?:title|summary|maintainer|copyright|license)|in SPDX format|inspec vendor"
)
_LONGEST = 300
_NO_CONTROLS = "No controls or tests were defined."


def check_inspec(root: Path) -> list[Finding]:
    """Find folders without controls, otherwise mistakes in the profile."""
    return list_missing_content(root, _PROFILE) or check_profile(root)


def check_profile(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Check the profile in inspec/.

    Args:
        root: The repository.
        run: Runs a tool.

    Returns:
        The mistakes, with their places where those are known.

    Raises:
        SkippedError: There is no profile, or no tool to check it with.
    """
    if not (root / _METADATA).is_file():
        raise SkippedError(f"the repository has no {_METADATA}")
    auditor = shutil.which("cinc-auditor") or shutil.which("inspec")
    # Cinc Auditor brings its own Ruby, which reports the line of a syntax error.
    ruby = shutil.which("/opt/cinc-auditor/embedded/bin/ruby") or shutil.which("ruby")
    if not auditor and not ruby:
        raise SkippedError(
            "neither cinc-auditor nor inspec nor ruby is on PATH; use the toolkit image: task check"
        )
    controls = [
        name
        for name in list_files(root)
        if name.startswith(f"{_PROFILE}/controls/") and name.endswith(".rb")
    ]
    broken = list(_check_syntax(root, ruby, run)) if ruby else []
    text = (root / _METADATA).read_text(encoding="utf-8", errors="replace")
    try:
        metadata = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        return [
            *broken,
            Finding(
                _METADATA, mark and mark.line + 1, f"YAML: {problem or error}; correct the line"
            ),
        ]
    if not isinstance(metadata, dict):
        return [
            *broken,
            Finding(_METADATA, 1, "must be a mapping; start it with name: and version:"),
        ]
    findings = [*broken, *_check_supports(text, metadata), *_check_ids(root, controls)]
    if auditor and not broken:
        # Evaluating the profile would download those that it depends on.
        downloads = any("path" not in each for each in metadata.get("depends") or [])
        findings += _check_with_auditor(root, auditor, run, evaluate=not downloads)
    elif not controls and not _is_untested_on_purpose(root):
        findings.append(Finding(f"{_PROFILE}/controls", None, _NO_CONTROLS))
    return list(dict.fromkeys(findings))


def _is_untested_on_purpose(root: Path) -> bool:
    """Report whether the committed values let images be created without a test."""
    from packer_toolkit.hcl.folder import read_value

    return any(
        read_value(root / name, "skip_inspec") is True
        for name in list_files(root)
        if name.endswith(".auto.pkrvars.hcl")
    )


# ------------------------------------------------------------------------------- without auditor


def _check_syntax(root: Path, ruby: str, run: RunTool) -> Iterator[Finding]:
    for name in list_files(root):
        if name.startswith(f"{_PROFILE}/") and name.endswith(".rb"):
            errors = run(root, ruby, "-wc", name)
            pattern = rf"^(?:ruby: )?({re.escape(name)}):(\d+): (.+)$"
            yield from read_places(root, pattern, errors.stderr) or read_unplaced(errors)


def _check_supports(text: str, metadata: dict[str, Any]) -> Iterator[Finding]:
    """Yield unknown entries in `supports`: InSpec would run such a profile on no machine."""
    supports = metadata.get("supports") or []
    for entry in supports if isinstance(supports, list) else [supports]:
        if not isinstance(entry, dict):
            hint = "supports: must be a list of entries such as platform-family: linux"
            yield Finding(_METADATA, _find_line(text, r"^supports\s*:"), hint)
        for key, value in entry.items() if isinstance(entry, dict) else ():
            name = str(key).replace("_", "-")
            close = difflib.get_close_matches(str(value), _PLATFORMS, 1, 0.75)
            if name not in _SUPPORTS:
                hint = f"InSpec does not know {key}; use one of {', '.join(_SUPPORTS)}"
            elif name != "release" and str(value) not in _PLATFORMS and close:
                hint = f"InSpec does not know {value}; use {close[0]}"
            else:
                continue
            yield Finding(
                _METADATA,
                _find_line(text, rf"\b{re.escape(str(key))}[\"']?\s*:"),
                f"supports: {hint}. Otherwise InSpec skips the profile on every machine",
            )


def _check_ids(root: Path, controls: list[str]) -> Iterator[Finding]:
    """Yield IDs that two controls have: the later one silently replaces the other.

    Indented controls are left out: an `if` may choose one of them, and a control in the block of
    `include_controls` changes another one on purpose.
    """
    first: dict[str, str] = {}
    for name in controls:
        text = (root / name).read_text(encoding="utf-8", errors="replace")
        text = re.sub(r"^=begin\b.*?^=end\b", lambda match: "\n" * match[0].count("\n"), text,
                      flags=re.M | re.S)  # fmt: skip
        for number, line in enumerate(text.split("\n__END__")[0].splitlines(), 1):
            if match := re.match(r"control[ (]+(?:\"([^\"#]+)\"|'([^']+)')", line):
                id_ = match[1] or match[2]
                if id_ in first:
                    message = f"Control {id_} replaces the one in {first[id_]}; give it another ID"
                    yield Finding(name, number, message)
                first.setdefault(id_, f"{name}:{number}")


def _find_line(text: str, pattern: str) -> int | None:
    match = re.search(pattern, text, re.M)
    return text.count("\n", 0, match.start()) + 1 if match else None


# --------------------------------------------------------------------------------- with auditor


def _check_with_auditor(root: Path, auditor: str, run: RunTool, *, evaluate: bool) -> list[Finding]:
    env = {
        "CHEF_LICENSE": "accept-no-persist",
        "RUBYOPT": f"{os.environ.get('RUBYOPT', '')} -EUTF-8",  # also in the C locale
    }
    command = (auditor, "check", _PROFILE, "--format=json")
    ways: list[tuple[str, ...]] = [(), ("--legacy-check",)] if evaluate else [()]
    results = [run(root, *command, *way, env=env) for way in ways]
    reports = [report for report in map(_read_report, results) if report is not None]
    findings = [each for report in reports for each in _list_messages(root, report, "errors")]
    if not reports or (_read_report(results[-1]) is None and _is_error_of_profile(results[-1])):
        findings.append(_explain(results[-1]))
    if findings or not reports:
        return findings
    warnings = [list(_list_messages(root, report, "warnings")) for report in reports]
    messages = [{finding.message for finding in each} for each in warnings]
    return [each for each in warnings[0] if all(each.message in other for other in messages)]


def _is_error_of_profile(completed: Completed) -> bool:
    """Report whether the error is one of the profile: older auditors always evaluate it.

    Without a machine the content of a file is nil, which is not an error of the profile.
    """
    output = completed.stdout + completed.stderr
    return "legacy-check" not in output and not re.search(r"undefined method .* for nil\b", output)


def _read_report(completed: Completed) -> dict[str, Any] | None:
    """Return the report; lines of a log may come before it."""
    match = re.search(r"^\{.*\}\s*$", completed.stdout, re.M | re.S)
    try:
        report = json.loads(match[0]) if match else None
    except ValueError:
        return None
    return report if isinstance(report, dict) else None


def _list_messages(root: Path, report: dict[str, Any], kind: str) -> Iterator[Finding]:
    for each in report.get(kind) or []:
        message = " ".join(str(each.get("msg")).split())
        if _IGNORED.search(message) or (message == _NO_CONTROLS and _is_untested_on_purpose(root)):
            continue
        where = f"{_PROFILE}/controls" if message == _NO_CONTROLS else _METADATA
        path = make_relative(root, each["file"]) if each.get("file") else where
        yield Finding(path, each.get("line") or None, message[:_LONGEST])


def _explain(completed: Completed) -> Finding:
    """Read the reason from a traceback, in which Ruby prints 20 KB of objects."""
    output = completed.stderr + completed.stdout
    if failed := re.search(r"Failed to load source for (\S.*?\.rb): (.+)", output):
        file = f"{_PROFILE}/{failed[1]}"
        line = re.search(rf"{re.escape(file)}:(\d+):in ", output[failed.end() :])
        reason = re.split(r" for (?:an instance of |#<)| \(Inspec::Exceptions", failed[2])[0]
        return Finding(file, int(line[1]) if line else None, reason[:_LONGEST])
    if syntax := re.search(rf"({_PROFILE}/\S.*?\.rb):(\d+): (.*syntax error.*)", output):
        return Finding(syntax[1], int(syntax[2]), syntax[3][:_LONGEST])
    lines = [line.strip() for line in output.splitlines() if not re.match(r"\[|WARN", line)]
    reason = next(filter(None, lines), f"exit code {completed.code}")
    return Finding(None, None, reason[:_LONGEST])
