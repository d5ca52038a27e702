"""Check HCL, shell scripts and YAML with `packer validate`, ShellCheck and yamllint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from packer_toolkit.checks.tools import (
    Finding,
    RunTool,
    list_files,
    list_missing_content,
    list_scripts,
    make_relative,
    read_places,
    read_unplaced,
    require_some,
    run_tool,
)
from packer_toolkit.process import Completed
from packer_toolkit.repository.answers_file import names_template
from packer_toolkit.text.lines import join_lines


def check_template(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find mistakes in HCL."""
    # Only for a build it matters whether this machine has session-manager-plugin.
    completed = run(root, "packer", "validate", ".", env={"PKR_VAR_program_folders": ""})
    # Packer reports an error of a provisioner once for each source.
    return list(dict.fromkeys(read_diagnostics(root, completed))) or read_unplaced(completed)


def read_diagnostics(root: Path, completed: Completed) -> Iterator[Finding]:
    """Yield the errors and warnings of Packer: a title, perhaps a place, an explanation."""
    text = f"{completed.stdout}\n{completed.stderr}"
    for block in re.split(r"^(?=(?:Error|Warning): )", text, flags=re.M)[1:]:
        title, _, rest = block.partition("\n")
        place = re.search(r"^ +on (.+) line (\d+)(?:, in .*)?:\n(?:.*\n)?", rest, re.M)
        explanation = (rest[place.end() :] if place else rest).strip()
        explanation = re.sub(r"^\d+ error\(s\) occurred:\s+(?:\* )?", "", explanation)
        detail = join_lines(explanation.split("\n\n")[0])
        message = title if not detail or detail in title else f"{title}: {detail}"
        if place:
            yield Finding(place[1], int(place[2]), message)
        elif unread := re.search(r"(\S+):(\d+),\d+(?:-\d+(?:,\d+)?)?: (.+)", message):  # of fmt
            yield Finding(make_relative(root, unread[1]), int(unread[2]), unread[3])
        elif unknown := re.search(r'variable "(\w+)" was set but was not declared', message):
            yield Finding(*_find_assignment(root, unknown[1]), message)
        else:
            yield Finding(None, None, message)


def _find_assignment(root: Path, variable: str) -> tuple[str | None, int | None]:
    """Return the place that sets a variable: Packer does not name it for an undeclared one."""
    from packer_toolkit.hcl.folder import find_assignment

    places = (
        (name, find_assignment(root / name, variable))
        for name in list_files(root)
        if name.endswith(".pkrvars.hcl")
    )
    return next((place for place in places if place[1]), (None, None))


def check_scripts(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find what ShellCheck reports.

    Raises:
        SkippedError: There are no scripts.
    """
    if missing := list_missing_content(root, "provisioners/shell"):
        return missing
    names = require_some(list_scripts(root), "shell script")
    completed = run(root, "shellcheck", "--format=json1", "--", *names)
    try:
        comments = json.loads(completed.stdout)["comments"]
    except (ValueError, KeyError):
        return read_unplaced(completed)
    return [
        Finding(each["file"], each["line"], f"{each['message']} [SC{each['code']}]")
        for each in comments
    ] or read_unplaced(completed)


def check_yaml(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find what yamllint reports.

    Raises:
        SkippedError: There is no YAML.
    """
    # Copier writes the answers files, those of other templates too.
    names = [
        name
        for name in list_files(root)
        if name.endswith((".yml", ".yaml")) and not names_template((root / name).read_bytes())
    ]
    require_some(names, "YAML")
    completed = run(root, "yamllint", "--strict", "--format=parsable", "--", *names)
    pattern = r"^(.+?):(\d+):\d+: \[\w+\] (.+)$"
    return read_places(root, pattern, completed.stdout) or read_unplaced(completed)
