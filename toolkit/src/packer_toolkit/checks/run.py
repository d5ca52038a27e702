"""What a pull request is checked for, and what can be formatted.

Each check is one tool; all of them run, beside each other, and what they found is told afterwards:
where, as far as the tool says it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from packer_toolkit.checks.inspec import check_profile
from packer_toolkit.checks.tools import (
    Finding,
    MissingToolError,
    SkippedError,
    files,
    without_links,
)
from packer_toolkit.checks.tools import make_relative as _relative
from packer_toolkit.checks.tools import read_unplaced as _without_place
from packer_toolkit.checks.tools import run as _run
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.repository.answers_file import names_template
from packer_toolkit.repository.galaxy_install import Options, hold_requirements
from packer_toolkit.repository.missing_content import find_applied_roles, find_missing_content
from packer_toolkit.repository.requirements_file import ANSIBLE, RequirementsError

Status = Literal["passed", "failed", "skipped", "missing", "unreachable"]

_SHELL = "provisioners/shell"


@dataclass
class Result:
    """What came of one check.

    Attributes:
        name: of the check.
        status: failed: it found something; skipped: there was nothing to look at, or `reason`
            says why it may be left out; missing: its tool is not here; unreachable: a server that
            it needs cannot be reached.
        reason: why it did not run, or "".
        seconds: how long it took.
        findings: what it found.
    """

    name: str
    status: Status = "passed"
    reason: str = ""
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


# ------------------------------------------------------------------------------------- running


def _some(names: Sequence[str], what: str) -> Sequence[str]:
    if not names:
        raise SkippedError(f"no {what} here")
    return names


def _hunks(diff: str) -> Iterator[Finding]:
    """Read a unified diff: one finding for each hunk, at its first line that would change."""
    name, line, waiting = "", 0, False
    for text in diff.splitlines():
        if text.startswith("--- "):
            name = re.sub(r"^--- (?:old/)?(.+?)(?:\.orig)?(?:\t.*)?$", r"\1", text)
        elif match := re.match(r"@@ -(\d+)", text):
            line, waiting = int(match[1]), True
        elif waiting and text.startswith((" ", "-", "+")) and not text.startswith("+++"):
            if text.startswith(" "):
                line += 1
            else:
                waiting = False
                yield Finding(name, line, "is not formatted; task format mends it")


# -------------------------------------------------------------------------------------- Packer


@contextlib.contextmanager
def _copy_hcl(root: Path) -> Iterator[Path]:
    """Return a copy of the HCL files: `packer fmt` would follow links, and enter submodules."""
    with tempfile.TemporaryDirectory() as folder:
        for name in without_links(root, files(root)):
            if name.endswith((".pkr.hcl", ".pkrvars.hcl")):
                copy = Path(folder, name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((root / name).read_bytes())
        yield Path(folder)


def _packer_fmt(root: Path) -> list[Finding]:
    with _copy_hcl(root) as copy:
        result = _run(copy, "packer", "fmt", "-check", "-diff", "-recursive", ".")
    return [*_hunks(result.stdout), *_diagnostics(root, result)] or _without_place(result)


def _packer_validate(root: Path) -> list[Finding]:
    # Whether session-manager-plugin is on this machine matters to a build only.
    result = _run(root, "packer", "validate", ".", env={"PKR_VAR_program_folders": ""})
    # An error of a provisioner comes once for each source.
    return list(dict.fromkeys(_diagnostics(root, result))) or _without_place(result)


def _diagnostics(root: Path, result: subprocess.CompletedProcess[str]) -> list[Finding]:
    """Read the errors and warnings of Packer: a title, perhaps a place, an explanation."""
    found: list[Finding] = []
    text = f"{result.stdout}\n{result.stderr}"
    for block in re.split(r"^(?=(?:Error|Warning): )", text, flags=re.M)[1:]:
        title, _, rest = block.partition("\n")
        place = re.search(r"^ +on (.+) line (\d+)(?:, in .*)?:\n(?:.*\n)?", rest, re.M)
        explanation = (rest[place.end() :] if place else rest).strip()
        explanation = re.sub(r"^\d+ error\(s\) occurred:\s+(?:\* )?", "", explanation)
        paragraph = explanation.split("\n\n")[0]
        detail = " ".join(paragraph.split())
        message = title if not detail or detail in title else f"{title}: {detail}"
        if place:
            found.append(Finding(place[1], int(place[2]), message))
        elif unread := re.search(r"(\S+):(\d+),\d+(?:-\d+(?:,\d+)?)?: (.+)", message):  # of fmt
            found.append(Finding(_relative(root, unread[1]), int(unread[2]), unread[3]))
        elif unknown := re.search(r'variable "(\w+)" was set but was not declared', message):
            found.append(Finding(*_assigned(root, unknown[1]), message))
        else:
            found.append(Finding(None, None, message))
    return found


def _assigned(root: Path, variable: str) -> tuple[str | None, int | None]:
    """Find where a file of values sets a variable: of an undeclared one Packer does not say."""
    for name in files(root):
        if name.endswith(".pkrvars.hcl"):
            for number, line in enumerate((root / name).read_text().splitlines(), 1):
                if re.match(rf"\s*{re.escape(variable)}\s*=", line):
                    return name, number
    return None, None


# ------------------------------------------------------------------- roles, scripts, controls


def _missing_content(root: Path, *folders: str) -> list[Finding]:
    """Return what is missing below folders; without folders, everywhere."""
    return [
        Finding(each.path.as_posix(), None, each.reason)
        for each in find_missing_content(root)
        if not folders or each.path.as_posix().startswith(folders)
    ]


# ------------------------------------------------------------------------------------- Ansible


def _ansible_env(root: Path) -> dict[str, str]:
    config = root / ANSIBLE / "ansible.cfg"
    return {"ANSIBLE_CONFIG": str(config)} if config.is_file() else {}


def _ansible_syntax(root: Path) -> list[Finding]:
    missing = [
        finding
        for finding in _missing_content(root)
        if not str(finding.file).startswith(("inspec", _SHELL))
    ]
    playbook = root / ANSIBLE / "playbook.yml"
    if missing:
        return missing
    if not playbook.is_file():
        raise SkippedError(f"no {ANSIBLE}/playbook.yml here")
    with tempfile.TemporaryDirectory() as folder:
        # The playbook finds its roles only when it runs: these name them, one each, because
        # Ansible stops at the first error.
        plays = [playbook]
        for role in find_applied_roles(root):
            plays.append(Path(folder) / f"{role}.yml")
            plays[-1].write_text(json.dumps([{"hosts": "all", "name": role, "roles": [role]}]))
        found = []
        for play in plays:
            arguments = ("--syntax-check", "--inventory=machine,", play)
            result = _run(root, "ansible-playbook", *arguments, env=_ansible_env(root))
            if result.returncode:
                found += _ansible_errors(root, result) or _without_place(result)
    return list(dict.fromkeys(found))


def _ansible_errors(root: Path, result: subprocess.CompletedProcess[str]) -> list[Finding]:
    found = []
    place: tuple[str | None, int | None]
    for block in re.split(r"^(?=\[?ERROR\]?[:!] )", result.stderr, flags=re.M)[1:]:
        lines = block.splitlines()
        message = re.sub(r"^\[?ERROR\]?[:!] ", "", lines[0]).strip()
        origin = re.search(r"^Origin: (.+?):(\d+)(?::\d+)?$", block, re.M) or re.search(
            r"appears to be in '(.+?)': line (\d+)", block
        )
        if origin:
            place = (_relative(root, origin[1]), int(origin[2]))
        else:
            message = " ".join(line.strip() for line in lines[:2]).removeprefix("[ERROR]: ")
            place = _mentioned(root, block)
        found.append(Finding(*place, message))
    return found


def _mentioned(root: Path, text: str) -> tuple[str | None, int | None]:
    """Find the line that names a file which Ansible misses: of that one it does not say where."""
    missed = re.search(r"'([^']+\.(?:ya?ml|j2|json|ini))'", text)
    if missed:
        name = Path(missed[1]).name
        for path in files(root):
            if path.startswith(str(ANSIBLE)) and path.endswith((".yml", ".yaml")):
                for number, line in enumerate((root / path).read_text().splitlines(), 1):
                    if name in line and not line.lstrip().startswith("#"):
                        return path, number
    return None, None


def _ansible_lint(root: Path) -> list[Finding]:
    arguments = ("--offline", "--strict", "--nocolor", "-q", "--format=json")
    result = _run(root, "ansible-lint", *arguments, env=_ansible_env(root))
    try:
        issues = json.loads(result.stdout)
    except ValueError:
        return _without_place(result)
    found = []
    for issue in issues:
        place = issue["location"]
        begin = place.get("lines", place.get("positions", {})).get("begin")
        line = begin.get("line") if isinstance(begin, dict) else begin
        path: str | None = _relative(root, place["path"])
        message = f"{issue['description']} [{issue['check_name']}]"
        if not (root / str(path)).is_file() and issue["check_name"].startswith("load-failure"):
            path, line = _mentioned(root, f"'{path}'")
        # A role that Ansible cannot load; ansible-syntax says it better.
        elif issue["check_name"] == "internal-error":
            body = issue.get("content", {}).get("body", "")
            errors = [text for text in body.splitlines() if text.startswith(("[ERROR]", "ERROR"))]
            message = f"{' '.join(errors) or issue['description']} [{issue['check_name']}]"
        found.append(Finding(path, line, " ".join(message.split())))
    return found or _without_place(result)


# ----------------------------------------------------------------------- linters of single files


def _yamllint(root: Path) -> list[Finding]:
    # Copier writes the answers files, of this template and of others.
    names = [
        name
        for name in files(root)
        if name.endswith((".yml", ".yaml")) and not names_template((root / name).read_bytes())
    ]
    result = _run(root, "yamllint", "--strict", "--format=parsable", "--", *_some(names, "YAML"))
    found = re.findall(r"^(.+?):(\d+):\d+: \[\w+\] (.+)$", result.stdout, re.M)
    places = [Finding(_relative(root, path), int(line), said) for path, line, said in found]
    return places or _without_place(result)


def scripts(root: Path) -> list[str]:
    """Return the shell scripts, known by their name or their first line."""
    found = []
    for name in files(root):
        path = root / name
        first = path.read_bytes()[:80].split(b"\n")[0]
        interpreted = "." not in path.name and re.match(rb"#!.*\b(?:ba|da|k)?sh\b", first)
        if interpreted or name.endswith((".sh", ".bash")):
            found.append(name)
    return found


def _shellcheck(root: Path) -> list[Finding]:
    if missing := _missing_content(root, _SHELL):
        return missing
    result = _run(root, "shellcheck", "--format=json1", "--", *_some(scripts(root), "shell script"))
    try:
        comments = json.loads(result.stdout)["comments"]
    except (ValueError, KeyError):
        return _without_place(result)
    return [
        Finding(each["file"], each["line"], f"{each['message']} [SC{each['code']}]")
        for each in comments
    ] or _without_place(result)


def _shfmt(root: Path) -> list[Finding]:
    names = _some(without_links(root, scripts(root)), "shell script")
    result = _run(root, "shfmt", "--diff", "--", *names)
    return [*_hunks(result.stdout), *_syntax(root, result)] or _without_place(result)


def _syntax(root: Path, result: subprocess.CompletedProcess[str]) -> list[Finding]:
    wrong = re.findall(r"^(.+?):(\d+):\d+: (.+)$", result.stderr, re.M)
    return [Finding(_relative(root, path), int(line), said) for path, line, said in wrong]


# -------------------------------------------------------------------------------------- InSpec


def _inspec(root: Path) -> list[Finding]:
    return _missing_content(root, "inspec") or check_profile(root)


# --------------------------------------------------------------------------------------- all

# In the order of the table.  A group is the first word of the names.
CHECKS: dict[str, Callable[[Path], list[Finding]]] = {
    "packer-fmt": _packer_fmt,
    "packer-validate": _packer_validate,
    "ansible-syntax": _ansible_syntax,
    "ansible-lint": _ansible_lint,
    "yamllint": _yamllint,
    "shellcheck": _shellcheck,
    "shfmt": _shfmt,
    "inspec": _inspec,
}
GROUPS = {
    "ansible": ("ansible-syntax", "ansible-lint"),
    "packer": ("packer-fmt", "packer-validate"),
    "shell": ("shellcheck", "shfmt"),
    "yaml": ("yamllint",),
}


def chosen(names: Sequence[str]) -> list[str]:
    """Return the checks that names of checks and groups stand for; without names, all."""
    wanted = {check for name in names for check in GROUPS.get(name, (name,))}
    return [name for name in CHECKS if not wanted or name in wanted]


def run(
    root: Path, names: Sequence[str], report: Callable[[str], None] = lambda _: None
) -> list[Result]:
    """Run checks beside each other; return their results in the order of the names.

    Args:
        root: the repository.
        names: of the checks.
        report: called with a line about what the checks need first.
    """
    with contextlib.ExitStack() as held, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        blocked = _install_requirements(root, names, report, held)
        return list(pool.map(lambda name: blocked.get(name) or _one(root, name), names))


def _install_requirements(
    root: Path, names: Sequence[str], report: Callable[[str], None], held: contextlib.ExitStack
) -> dict[str, Result]:
    """Install what the playbook and the roles need; return the checks that cannot run without it.

    The first one of them has the reason.
    """
    first, *others = [name for name in names if name in GROUPS["ansible"]] or [""]
    if not first:
        return {}
    try:
        held.enter_context(hold_requirements(root, Options(report=report)))
        return {}
    except RequirementsError as error:
        finding = Finding(error.file.as_posix(), error.line, error.reason)
        result = Result(first, "failed", findings=[finding])
    except SetupError as error:
        result = Result(first, "missing", str(error))
    except RemoteError as error:
        result = Result(first, "unreachable", str(error))
    return {first: result, **{name: Result(name, "skipped", f"see {first}") for name in others}}


def _one(root: Path, name: str) -> Result:
    began = time.monotonic()
    result = Result(name)
    try:
        result.findings = CHECKS[name](root)
        result.status = "failed" if result.findings else "passed"
    except SkippedError as error:
        result.status, result.reason = "skipped", str(error)
    except MissingToolError as error:
        result.status, result.reason = "missing", f"{error} is not on PATH"
    result.seconds = round(time.monotonic() - began, 1)
    return result


# ---------------------------------------------------------------------------------- formatting


def format_files(root: Path) -> list[str]:
    """Format HCL and shell; return the files that changed.

    Symbolic links are left out, with all that they lead to.

    Raises:
        SetupError: when a tool is missing, or a file cannot be read or written; what could be
            formatted is formatted.
    """
    try:
        changed, broken = _format_hcl(root)
        shell = _format_shell(root)
    except MissingToolError as error:
        raise SetupError(f"{error} is not on PATH: use task format, or install it") from None
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}; check its permissions"
        raise SetupError(f"could not format everything: {reason}") from None
    changed, broken = [*changed, *shell[0]], [*broken, *shell[1]]
    if broken:
        place = f"{broken[0].place}: " if broken[0].place else ""
        raise SetupError(f"could not format everything: {place}{broken[0].message}")
    return sorted(changed)


def _format_hcl(root: Path) -> tuple[list[str], list[Finding]]:
    with _copy_hcl(root) as copy:
        before = {path: path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()}
        result = _run(copy, "packer", "fmt", "-recursive", ".")
        changed = []
        for path, content in before.items():
            name = path.relative_to(copy).as_posix()
            # One that was saved meanwhile stays as it is.
            if path.read_bytes() != content == (root / name).read_bytes():
                (root / name).write_bytes(path.read_bytes())
                changed.append(name)
    return changed, _read_failure(root, result)


def _format_shell(root: Path) -> tuple[list[str], list[Finding]]:
    before = {name: (root / name).read_bytes() for name in without_links(root, scripts(root))}
    if not before:
        return [], []
    result = _run(root, "shfmt", "--write", "--", *before)
    changed = [name for name, content in before.items() if (root / name).read_bytes() != content]
    return changed, _read_failure(root, result)


def _read_failure(root: Path, result: subprocess.CompletedProcess[str]) -> list[Finding]:
    if not result.returncode:
        return []
    return _syntax(root, result) or _diagnostics(root, result) or _without_place(result)
