"""Check the playbook and the roles with `ansible-playbook --syntax-check` and ansible-lint."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from packer_toolkit.checks.tools import (
    Finding,
    RunTool,
    SkippedError,
    list_files,
    list_missing_content,
    make_relative,
    read_unplaced,
    run_tool,
)
from packer_toolkit.process import Completed
from packer_toolkit.repository.missing_content import find_applied_roles
from packer_toolkit.repository.requirements_file import ANSIBLE

_PLAYBOOK = ANSIBLE / "playbook.yml"
_OTHER_CHECKS = ("inspec", "provisioners/shell")  # have findings of missing content of their own


def check_syntax(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find mistakes that stop Ansible when it loads the playbook and the roles.

    Raises:
        SkippedError: There is no playbook.
    """
    missing = [
        finding
        for finding in list_missing_content(root)
        if not str(finding.file).startswith(_OTHER_CHECKS)
    ]
    if missing:
        return missing
    if not (root / _PLAYBOOK).is_file():
        raise SkippedError(f"no {_PLAYBOOK} here")
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        # The playbook finds its roles only when it runs: these name them, one each, because
        # Ansible stops at the first error.
        plays = [root / _PLAYBOOK]
        for role in find_applied_roles(root):
            plays.append(Path(folder) / f"{role}.yml")
            plays[-1].write_text(json.dumps([{"hosts": "all", "name": role, "roles": [role]}]))
        for play in plays:
            arguments = ("--syntax-check", "--inventory=machine,", play)
            completed = run(root, "ansible-playbook", *arguments, env=_make_environment(root))
            if completed.code:
                findings += _read_errors(root, completed) or read_unplaced(completed)
    return list(dict.fromkeys(findings))


def run_lint(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find what ansible-lint reports."""
    arguments = ("--offline", "--strict", "--nocolor", "-q", "--format=json")
    completed = run(root, "ansible-lint", *arguments, env=_make_environment(root))
    try:
        issues = json.loads(completed.stdout)
    except ValueError:
        return read_unplaced(completed)
    findings = []
    for issue in issues:
        place = issue["location"]
        begin = place.get("lines", place.get("positions", {})).get("begin")
        line = begin.get("line") if isinstance(begin, dict) else begin
        path: str | None = make_relative(root, place["path"])
        message = f"{issue['description']} [{issue['check_name']}]"
        if not (root / str(path)).is_file() and issue["check_name"].startswith("load-failure"):
            path, line = _find_mention(root, f"'{path}'")
        # Ansible cannot load a role; ansible-syntax explains it better.
        elif issue["check_name"] == "internal-error":
            body = issue.get("content", {}).get("body", "")
            errors = [text for text in body.splitlines() if text.startswith(("[ERROR]", "ERROR"))]
            message = f"{' '.join(errors) or issue['description']} [{issue['check_name']}]"
        findings.append(Finding(path, line, " ".join(message.split())))
    return findings or read_unplaced(completed)


def _make_environment(root: Path) -> dict[str, str]:
    config = root / ANSIBLE / "ansible.cfg"
    return {"ANSIBLE_CONFIG": str(config)} if config.is_file() else {}


def _read_errors(root: Path, completed: Completed) -> list[Finding]:
    findings = []
    place: tuple[str | None, int | None]
    for block in re.split(r"^(?=\[?ERROR\]?[:!] )", completed.stderr, flags=re.M)[1:]:
        lines = block.splitlines()
        message = re.sub(r"^\[?ERROR\]?[:!] ", "", lines[0]).strip()
        origin = re.search(r"^Origin: (.+?):(\d+)(?::\d+)?$", block, re.M) or re.search(
            r"appears to be in '(.+?)': line (\d+)", block
        )
        if origin:
            place = (make_relative(root, origin[1]), int(origin[2]))
        else:
            message = " ".join(line.strip() for line in lines[:2]).removeprefix("[ERROR]: ")
            place = _find_mention(root, block)
        findings.append(Finding(*place, message))
    return findings


def _find_mention(root: Path, text: str) -> tuple[str | None, int | None]:
    """Return the line that names a file that Ansible cannot find: Ansible does not report it."""
    if missing := re.search(r"'([^']+\.(?:ya?ml|j2|json|ini))'", text):
        name = Path(missing[1]).name
        for path in list_files(root):
            if path.startswith(str(ANSIBLE)) and path.endswith((".yml", ".yaml")):
                for number, line in enumerate((root / path).read_text().splitlines(), 1):
                    if name in line and not line.lstrip().startswith("#"):
                        return path, number
    return None, None
