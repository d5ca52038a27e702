"""Check the playbook and the roles with `ansible-playbook --syntax-check` and ansible-lint."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
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
from packer_toolkit.repository.galaxy_command import make_environment
from packer_toolkit.repository.missing_content import find_applied_roles
from packer_toolkit.repository.requirements_file import ANSIBLE

_PLAYBOOK = ANSIBLE / "playbook.yml"
_OTHER_CHECKS = ("inspec", "provisioners/shell")  # have findings of missing content of their own


def check_syntax(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find mistakes that stop Ansible when it loads the playbook and the roles.

    Raises:
        SkippedError: There is no playbook.
    """
    missing = list_missing_content(root)
    if own := [each for each in missing if not str(each.file).startswith(_OTHER_CHECKS)]:
        return own
    if not (root / _PLAYBOOK).is_file():
        raise SkippedError(f"the repository has no {_PLAYBOOK}")
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        # The playbook finds its roles only when it runs: these name them, one each, because
        # Ansible stops at the first error.
        plays = [root / _PLAYBOOK]
        for role in find_applied_roles(root):
            plays.append(Path(folder) / f"{role}.yml")
            plays[-1].write_text(json.dumps([{"hosts": "all", "name": role, "roles": [role]}]))
        for play in plays:
            command = ("ansible-playbook", "--syntax-check", "--inventory=machine,", play)
            completed = run(root, *command, env=make_environment(root))
            if completed.code:
                findings += list(_read_errors(root, completed)) or read_unplaced(completed)
    return list(dict.fromkeys(findings))


def run_lint(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find what ansible-lint reports."""
    command = ("ansible-lint", "--offline", "--strict", "--nocolor", "-q", "--format=json")
    completed = run(root, *command, env=make_environment(root))
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


def _read_errors(root: Path, completed: Completed) -> Iterator[Finding]:
    for block in re.split(r"^(?=\[?ERROR\]?[:!] )", completed.stderr, flags=re.M)[1:]:
        lines = block.splitlines()
        message = re.sub(r"^\[?ERROR\]?[:!] ", "", lines[0]).strip()
        origin = re.search(r"^Origin: (.+?):(\d+)(?::\d+)?$", block, re.M) or re.search(
            r"appears to be in '(.+?)': line (\d+)", block
        )
        if origin:
            yield Finding(make_relative(root, origin[1]), int(origin[2]), message)
        else:
            message = " ".join(line.strip() for line in lines[:2]).removeprefix("[ERROR]: ")
            yield Finding(*_find_mention(root, block), message)


def _find_mention(root: Path, text: str) -> tuple[str | None, int | None]:
    """Return the line that names a file that Ansible cannot find: Ansible does not report it."""
    missing = re.search(r"'([^']+\.(?:ya?ml|j2|json|ini))'", text)
    places = (
        (path, number)
        for path in list_files(root)
        if path.startswith(str(ANSIBLE)) and path.endswith((".yml", ".yaml"))
        for number, line in enumerate((root / path).read_text().splitlines(), 1)
        if missing and Path(missing[1]).name in line and not line.lstrip().startswith("#")
    )
    return next(places, (None, None)) if missing else (None, None)
