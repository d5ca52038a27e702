"""Check YAML with yamllint."""

from __future__ import annotations

import re
from pathlib import Path

from packer_toolkit.checks.tools import (
    Finding,
    RunTool,
    list_files,
    make_relative,
    read_unplaced,
    require_some,
    run_tool,
)
from packer_toolkit.repository.answers_file import names_template


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
    arguments = ("--strict", "--format=parsable", "--", *require_some(names, "YAML"))
    completed = run(root, "yamllint", *arguments)
    lines = re.findall(r"^(.+?):(\d+):\d+: \[\w+\] (.+)$", completed.stdout, re.M)
    findings = [Finding(make_relative(root, path), int(line), text) for path, line, text in lines]
    return findings or read_unplaced(completed)
