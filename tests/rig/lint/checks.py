"""The checks that every rendered repository passes, with the real tools.

No rule is switched off here.  What a rendered repository's own configuration switches off has its
reason beside it there, because that is what a team runs.
"""

from __future__ import annotations

import functools
import io
import json
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import hcl2
import pytest
import yaml

from rig import CHECKOUT
from rig.host import tools
from rig.host.cache import fingerprint
from rig.lint.runner import Check, File, Tree, matches, tools_path

_LOCK = CHECKOUT / "uv.lock"

# Nothing of the machine reaches a tool, and none of them reaches the network.
_ENV = {
    "LANG": "C.UTF-8",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}

# One subject for each file; a longer one has two.
_MOST_LINES = 300
# Of our HCL.  Values of an image, *.pkrvars.hcl, are as long as the answers.
_MOST_COLUMNS = 120

_PLACEHOLDER = re.compile(r"\b(?:TODO|FIXME|XXX|CHANGEME)\b|example\.invalid|lorem ipsum", re.I)


# --- Running a tool ---------------------------------------------------------------------------


def _tool(work: Path, *command: str | Path, ok: str = "", **env: str) -> str:
    """Run a tool; return its output when it failed, or when it said something else than OK.

    Args:
        work: the folder with the files; a HOME lies beside it.
        command: the tool, a name or a path, and its arguments.
        ok: pattern that the whole output of a success matches; empty: any output will do.
        env: further variables.
    """
    program = command[0] if isinstance(command[0], Path) else tools.require(command[0])
    result = subprocess.run(
        [program, *command[1:]],
        cwd=work,
        env={**_ENV, "PATH": tools_path(), "HOME": str(work.parent / "home"), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    if result.returncode or (ok and not re.fullmatch(ok, result.stdout.strip(), re.S)):
        return f"exit {result.returncode}\n{result.stdout}"
    return ""


@functools.cache
def _version(*names: str) -> str:
    """Return what identifies the tools: uv.lock for those of this environment, else their word."""
    parts = [sys.version]
    for name in names:
        program = tools.require(name)
        if program.parent == Path(sys.executable).parent or name == "checkov":
            parts.append(fingerprint(_LOCK))
        else:
            said = subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=True
            )
            parts.append(said.stdout)
    return fingerprint(*parts)


def _own() -> str:
    """Return the version of the checks that are Python code here."""
    return fingerprint(sys.version, _LOCK)


# --- Packer -----------------------------------------------------------------------------------


@functools.cache
def _packer() -> tools.Packer:
    return tools.packer()


def _packer_version() -> str:
    # Its folder is named after go.mod and go.sum.
    return fingerprint(_packer().path.parents[1].name, _version("ansible-playbook"))


def _packer_fmt(work: Path, paths: Sequence[str]) -> str:
    del paths
    return _tool(work, _packer().path, "fmt", "-check", "-diff", "-recursive", ".", **_packer().env)


@functools.cache
def _ansible_version_answer() -> str:
    program = tools.require("ansible-playbook")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return said.stdout


def _packer_validate(work: Path, paths: Sequence[str]) -> str:
    del paths
    # For each source the ansible plugin asks `ansible-playbook --version`, 0.8 s a time and more
    # than all the rest; it gets the real one's answer, which was asked for once.
    stand_in = work.parent / "bin" / "ansible-playbook"
    stand_in.parent.mkdir()
    (stand_in.parent / "version").write_text(_ansible_version_answer())
    stand_in.write_text('#!/bin/sh\n[ "$*" = --version ] && exec cat "${0%/*}/version"\nexit 64\n')
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{tools_path()}"
    valid = r"The configuration is valid\."  # a warning is more than that
    return _tool(work, _packer().path, "validate", ".", ok=valid, **{**_packer().env, "PATH": path})


# --- Ansible ----------------------------------------------------------------------------------


def _read_by_ansible_lint(tree: Tree) -> Collection[str]:
    """Return all YAML files but those that .ansible-lint excludes, and all of the roles."""
    config = yaml.safe_load(tree[".ansible-lint"].content)
    excluded = tuple(config.get("exclude_paths", []))
    return [
        path
        for path in tree
        if matches(
            path, ["*.yml", "*.yaml", "provisioners/ansible/*", ".ansible-lint", ".yamllint"]
        )
        and not path.startswith(excluded)
    ]


def _ansible_lint(work: Path, paths: Sequence[str]) -> str:
    del paths
    return _tool(
        work,
        "ansible-lint",
        "--profile=production",
        "--strict",
        "--offline",
        "--nocolor",
        ok=r".*Passed: 0 failure\(s\), 0 warning\(s\) in [1-9].*",
    )


def _ansible_syntax(work: Path, paths: Sequence[str]) -> str:
    ansible = work / "provisioners/ansible"
    # The playbook finds its roles only when it runs: this one names them.
    roles = sorted({path.split("/")[3] for path in paths if "/roles/" in path})
    play = [{"name": "Every role", "hosts": "all", "roles": roles}]
    (ansible / "every-role.yml").write_text(json.dumps(play))
    return _tool(
        work,
        "ansible-playbook",
        "--syntax-check",
        "--inventory=machine,",
        "provisioners/ansible/playbook.yml",
        "provisioners/ansible/every-role.yml",
        ok=r"(?!.*(WARNING|DEPRECATION)).*",
        ANSIBLE_CONFIG=str(ansible / "ansible.cfg"),
        ANSIBLE_NOCOLOR="1",
    )


# --- Linters of single files ------------------------------------------------------------------


def _yamllint(work: Path, paths: Sequence[str]) -> str:
    # With the files named, those that the configuration ignores are passed over as ever.
    return _tool(work, "yamllint", "--strict", "--config-file=.yamllint", *paths)


def _shellcheck(work: Path, paths: Sequence[str]) -> str:
    return _tool(work, "shellcheck", "--norc", "--enable=all", "--severity=style", *paths)


def _shfmt(work: Path, paths: Sequence[str]) -> str:
    # Without flags it takes them from .editorconfig, as an editor does.
    return _tool(work, "shfmt", "--diff", *paths)


def _ruby(work: Path, paths: Sequence[str]) -> str:
    reports = [_tool(work, "ruby", "-wc", path, ok="Syntax OK") for path in paths]
    return "".join(reports)


def _rubocop(work: Path, paths: Sequence[str]) -> str:
    return _tool(work, "rubocop", "--cache=false", "--format=emacs", *paths)


def _renovate(work: Path, paths: Sequence[str]) -> str:
    # The schema is the one that check-jsonschema carries: no network.
    return _tool(work, "check-jsonschema", "--builtin-schema=vendor.renovate", *paths)


def _taskfile(work: Path, paths: Sequence[str]) -> str:
    # The schema is the one that check-jsonschema carries: no network.
    return _tool(work, "check-jsonschema", "--builtin-schema=vendor.taskfile", *paths)


# --- Workflows of GitHub ------------------------------------------------------------------------


def _workflow_schema(work: Path, paths: Sequence[str]) -> str:
    # The schemas that check-jsonschema carries, as above.
    reports = []
    for kind, part in (("workflows", "/workflows/"), ("actions", "/actions/")):
        if chosen := [path for path in paths if part in path]:
            schema = f"--builtin-schema=vendor.github-{kind}"
            reports.append(_tool(work, "check-jsonschema", schema, *chosen))
    return "".join(reports)


def _actionlint(work: Path, paths: Sequence[str]) -> str:
    (work / ".git").mkdir()  # by which it knows the root, and so the actions that lie here
    return _tool(
        work,
        "actionlint",
        "-no-color",
        f"-shellcheck={tools.require('shellcheck')}",
        "-pyflakes=",
        *(path for path in paths if "/workflows/" in path),
    )


def _zizmor(work: Path, paths: Sequence[str]) -> str:
    del paths
    return _tool(
        work,
        "zizmor",
        "--offline",
        "--persona=pedantic",
        "--no-progress",
        "--color=never",
        "--strict-collection",
        ".",
        ok=r".*No findings to report\. Good job!.*",
    )


def _checkov(work: Path, paths: Sequence[str]) -> str:
    del paths
    return _tool(
        work,
        "checkov",
        "--directory=.",
        "--quiet",
        "--compact",
        "--skip-download",
        "--enable-secret-scan-all-files",  # scripts and HCL are none of its usual ones
        ok=r"(?!.*Parsing errors: [1-9]).*",
        LOG_LEVEL="ERROR",
    )


# --- Checks of our own ------------------------------------------------------------------------


def _parses(work: Path, paths: Sequence[str]) -> str:
    findings = []
    for path in paths:
        text = (work / path).read_text()
        try:
            if path.endswith(".json"):
                json.loads(text)
            elif path.endswith(".hcl"):
                hcl2.load(io.StringIO(text))
            else:
                list(yaml.safe_load_all(text))
        except Exception as error:  # each parser has its own; which one it was is in the text
            findings.append(f"{path}: {error!r}")
    return "\n".join(findings)


def _text_findings(path: str, file: File, questions: Collection[str]) -> list[str]:
    try:
        text = file.content.decode()
    except UnicodeDecodeError as error:
        return [f"not UTF-8: {error}"]
    lines = text.split("\n")
    left = "|".join(sorted(questions)) + r"|_copier_\w+|_folder_name|_external_data"
    findings = []
    # Templates of roles are Jinja by trade; Copier never renders them.
    if not path.endswith(".j2"):
        # ${#list[@]} is the length of a list in bash.
        if match := re.search(r"\{%|%\}|(?<!\$)\{#|#\}", text):
            findings.append(f"Jinja is left: {match.group()}")
        if match := re.search(rf"\{{\{{-?\s*(?:{left})\b", text):
            findings.append(f"Jinja is left: {match.group()}")
    if path.endswith((".jinja", ".rej", ".orig")):
        findings.append("a name that should not be in a repository")
    if re.search(r"[{}]|\s", path):
        findings.append("an odd name")
    if match := _PLACEHOLDER.search(text):
        findings.append(f"a placeholder is left: {match.group()}")
    if "\r" in text:
        findings.append("carriage return")
    if "\t" in text:
        findings.append("tab")
    findings += [
        f"line {n}: blank at the end" for n, line in enumerate(lines, 1) if line[-1:] == " "
    ]
    if text and not text.endswith("\n"):
        findings.append("no line break at the end")
    if text.endswith("\n\n") or text.startswith("\n"):
        findings.append("empty line at the beginning or the end")
    if "\n\n\n" in text:
        findings.append("two empty lines in a row")
    if not text:
        findings.append("empty file")
    if path.endswith(".pkr.hcl"):
        findings += [
            f"line {n}: {len(line)} columns"
            for n, line in enumerate(lines, 1)
            if len(line) > _MOST_COLUMNS
        ]
    if len(lines) > _MOST_LINES:
        findings.append(f"{len(lines)} lines")
    script = text.startswith("#!")
    if script != file.executable or script != path.endswith(".sh"):
        findings.append("scripts are *.sh, executable and begin with #!, and nothing else does")
    return findings


@functools.cache
def _questions() -> frozenset[str]:
    loaded = yaml.safe_load((_LOCK.parent / "copier.yml").read_text())
    return frozenset(name for name in loaded if not name.startswith("_"))


def _text(work: Path, paths: Sequence[str]) -> str:
    findings = []
    for path in paths:
        file = File((work / path).read_bytes(), bool((work / path).stat().st_mode & 0o100))
        name = path.split("/", 1)[1]
        findings += [f"{name}: {said}" for said in _text_findings(name, file, _questions())]
    return "\n".join(findings)


# The cheap ones first.
CHECKS = (
    Check(
        "text",
        ["*"],
        _text,
        lambda: fingerprint(_own(), *sorted(_questions())),
    ),
    Check(
        "parse",
        ["*.yml", "*.yaml", "*.yml.example", "*.json", "*.hcl", ".ansible-lint", ".yamllint"],
        _parses,
        _own,
    ),
    Check("packer-fmt", ["*.pkr.hcl", "*.pkrvars.hcl"], _packer_fmt, _packer_version),
    Check("shfmt", ["*.sh"], _shfmt, lambda: _version("shfmt"), config=[".editorconfig"]),
    Check("shellcheck", ["*.sh"], _shellcheck, lambda: _version("shellcheck")),
    Check(
        "yamllint",
        ["*.yml", "*.yaml", "*.yml.example", ".yamllint", ".ansible-lint"],
        _yamllint,
        lambda: _version("yamllint"),
        config=[".yamllint"],
    ),
    Check("ruby", ["*.rb"], _ruby, lambda: _version("ruby")),
    Check("rubocop", ["*.rb"], _rubocop, lambda: _version("rubocop"), config=[".rubocop.yml"]),
    Check("taskfile", ["Taskfile.yml"], _taskfile, lambda: _version("check-jsonschema")),
    Check("renovate", ["renovate.json"], _renovate, lambda: _version("check-jsonschema")),
    Check(
        "workflow-schema",
        [".github/workflows/*.yml", ".github/actions/*/action.yml"],
        _workflow_schema,
        lambda: _version("check-jsonschema"),
    ),
    Check(
        "actionlint",
        [".github/*"],
        _actionlint,
        lambda: _version("actionlint", "shellcheck"),
        together=True,
    ),
    Check("zizmor", [".github/*"], _zizmor, lambda: _version("zizmor"), together=True),
    Check(
        "ansible-syntax",
        ["provisioners/ansible/*"],
        _ansible_syntax,
        lambda: _version("ansible-playbook"),
        together=True,
    ),
    Check(
        "packer-validate",
        # The answers file because image_tags reads the template's version from it.
        ["*.pkr.hcl", "*.pkrvars.hcl", "provisioners/*", ".copier-answers.yml"],
        _packer_validate,
        _packer_version,
        together=True,
    ),
    Check(
        "ansible-lint",
        _read_by_ansible_lint,
        _ansible_lint,
        lambda: _version("ansible-lint"),
        together=True,
    ),
    Check("checkov", ["*"], _checkov, lambda: _version("checkov")),
)


BY_NAME = {check.name: check for check in CHECKS}


def available() -> list[Check]:
    """Return the checks whose tool is here; in CI a missing one is a failure.

    tests/rendered/test_checks_bite.py skips the others one by one, with the reason.
    """
    found = []
    for check in CHECKS:
        with suppress(pytest.skip.Exception):
            check.version()
            found.append(check)
    return found
