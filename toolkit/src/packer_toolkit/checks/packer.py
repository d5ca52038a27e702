"""Check HCL with `packer fmt` and `packer validate`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packer_toolkit.checks.tools import (
    Finding,
    RunTool,
    exclude_links,
    list_files,
    make_relative,
    read_hunks,
    read_unplaced,
    run_tool,
)
from packer_toolkit.process import Completed


def check_format(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find HCL that is not formatted."""
    with copy_hcl(root) as copy:
        completed = run(copy, "packer", "fmt", "-check", "-diff", "-recursive", ".")
    findings = [*read_hunks(completed.stdout), *read_diagnostics(root, completed)]
    return findings or read_unplaced(completed)


def check_template(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find mistakes in HCL."""
    # Only for a build it matters whether this machine has session-manager-plugin.
    completed = run(root, "packer", "validate", ".", env={"PKR_VAR_program_folders": ""})
    # Packer reports an error of a provisioner once for each source.
    return list(dict.fromkeys(read_diagnostics(root, completed))) or read_unplaced(completed)


@contextmanager
def copy_hcl(root: Path) -> Iterator[Path]:
    """Copy the HCL files, because `packer fmt` follows links and enters submodules."""
    with tempfile.TemporaryDirectory() as folder:
        for name in exclude_links(root, list_files(root)):
            if name.endswith((".pkr.hcl", ".pkrvars.hcl")):
                copy = Path(folder, name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((root / name).read_bytes())
        yield Path(folder)


def read_diagnostics(root: Path, completed: Completed) -> list[Finding]:
    """Read the errors and warnings of Packer: a title, perhaps a place, an explanation."""
    findings: list[Finding] = []
    text = f"{completed.stdout}\n{completed.stderr}"
    for block in re.split(r"^(?=(?:Error|Warning): )", text, flags=re.M)[1:]:
        title, _, rest = block.partition("\n")
        place = re.search(r"^ +on (.+) line (\d+)(?:, in .*)?:\n(?:.*\n)?", rest, re.M)
        explanation = (rest[place.end() :] if place else rest).strip()
        explanation = re.sub(r"^\d+ error\(s\) occurred:\s+(?:\* )?", "", explanation)
        paragraph = explanation.split("\n\n")[0]
        detail = " ".join(paragraph.split())
        message = title if not detail or detail in title else f"{title}: {detail}"
        if place:
            findings.append(Finding(place[1], int(place[2]), message))
        elif unread := re.search(r"(\S+):(\d+),\d+(?:-\d+(?:,\d+)?)?: (.+)", message):  # of fmt
            findings.append(Finding(make_relative(root, unread[1]), int(unread[2]), unread[3]))
        elif unknown := re.search(r'variable "(\w+)" was set but was not declared', message):
            findings.append(Finding(*_find_assignment(root, unknown[1]), message))
        else:
            findings.append(Finding(None, None, message))
    return findings


def _find_assignment(root: Path, variable: str) -> tuple[str | None, int | None]:
    """Return the place that sets a variable: Packer does not name it for an undeclared one."""
    from packer_toolkit.hcl.folder import find_assignment

    for name in list_files(root):
        if name.endswith(".pkrvars.hcl") and (line := find_assignment(root / name, variable)):
            return name, line
    return None, None
