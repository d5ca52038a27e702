"""Check shell scripts with ShellCheck and shfmt."""

from __future__ import annotations

import json
import re
from pathlib import Path

from packer_toolkit.checks.tools import (
    Finding,
    RunTool,
    exclude_links,
    list_files,
    list_missing_content,
    read_hunks,
    read_syntax_errors,
    read_unplaced,
    require_some,
    run_tool,
)

_KIND = "shell script"


def list_scripts(root: Path) -> list[str]:
    """Return the shell scripts, known by their name or their first line."""
    scripts = []
    for name in list_files(root):
        path = root / name
        first = path.read_bytes()[:80].split(b"\n")[0]
        is_interpreted = "." not in path.name and re.match(rb"#!.*\b(?:ba|da|k)?sh\b", first)
        if is_interpreted or name.endswith((".sh", ".bash")):
            scripts.append(name)
    return scripts


def check_scripts(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find what ShellCheck reports.

    Raises:
        SkippedError: There are no scripts.
    """
    if missing := list_missing_content(root, "provisioners/shell"):
        return missing
    names = require_some(list_scripts(root), _KIND)
    completed = run(root, "shellcheck", "--format=json1", "--", *names)
    try:
        comments = json.loads(completed.stdout)["comments"]
    except (ValueError, KeyError):
        return read_unplaced(completed)
    return [
        Finding(each["file"], each["line"], f"{each['message']} [SC{each['code']}]")
        for each in comments
    ] or read_unplaced(completed)


def check_format(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find scripts that are not formatted.

    Raises:
        SkippedError: There are no scripts.
    """
    names = require_some(exclude_links(root, list_scripts(root)), _KIND)
    completed = run(root, "shfmt", "--diff", "--", *names)
    findings = [*read_hunks(completed.stdout), *read_syntax_errors(root, completed)]
    return findings or read_unplaced(completed)
