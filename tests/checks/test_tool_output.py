"""The output of each tool becomes findings with file and line; the tools are fakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from packer_toolkit.checks import ansible, inspec, linters
from packer_toolkit.checks.format import check_hcl_format, check_script_format, format_files
from packer_toolkit.checks.run import choose_checks, run_checks
from packer_toolkit.checks.tools import (
    Finding,
    MissingToolError,
    SkippedError,
    list_scripts,
)
from packer_toolkit.errors import SetupError
from packer_toolkit.process import Completed
from rig.repositories.template import git

Run = Callable[..., Completed]
ROLE = "provisioners/ansible/roles/web/tasks/main.yml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with a file of each kind."""
    for name, text in {
        "a.pkr.hcl": 'x="1"\n',
        "b.pkrvars.hcl": 'y = 1\nunknown = "z"\n',
        "run.sh": "#!/bin/sh\n",
        "bin/tool": "#!/bin/bash\n",
        "provisioners/ansible/playbook.yml": "- hosts: all\n",
        "provisioners/ansible/ansible.cfg": "[defaults]\n",
        ROLE: "- import_tasks: nowhere.yml\n",
        "inspec/inspec.yml": "name: web\nsupports: [{platform-famly: linux}]\n",
        "inspec/controls/a.rb": "control 'one' do\nend\ncontrol 'one' do\nend\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    return tmp_path


def make_run(code: int = 0, stdout: str = "", stderr: str = "") -> Run:
    """Return a runner that starts nothing and returns an output."""
    return lambda *_, **__: Completed(code, stdout, stderr)


DIFF = """\
--- old/a.pkr.hcl
+++ new/a.pkr.hcl
@@ -1 +1 @@
-x="1"
+x = "1"
"""
ERROR = """\
Error: Unsupported argument

  on a.pkr.hcl line 3, in build:
   3:   nonsense = 1

An argument named "nonsense" is not expected here.

"""
UNDECLARED = 'Warning: Undefined variable\n\nThe variable "unknown" was set but was not declared.\n'


def test_output_of_packer_is_read(root: Path) -> None:
    """Hunks, errors and warnings have their places; an unknown failure is one finding."""
    assert check_hcl_format(root, make_run(3, DIFF)) == [
        Finding("a.pkr.hcl", 1, "is not formatted; fix it with: task format")
    ]
    (error,) = linters.check_template(root, make_run(1, ERROR))
    assert error.place == "a.pkr.hcl:3"
    assert "nonsense" in error.message
    (warning,) = linters.check_template(root, make_run(0, UNDECLARED))
    assert warning.place == "b.pkrvars.hcl:2"
    (fmt,) = check_hcl_format(root, make_run(2, "", "Error: a.pkr.hcl:2,1-3: Missing x\n"))
    assert (fmt.place, fmt.message) == ("a.pkr.hcl:2", "Missing x")
    assert linters.check_template(root, make_run(9)) == [Finding(None, None, "exit code 9")]
    assert linters.check_template(root, make_run(1, "Error: Odd\n"))[0].message == "Error: Odd"


SYNTAX = """\
[ERROR]: conflicting action statements
Origin: PATH:2:3

"""


def test_output_of_ansible_is_read(root: Path) -> None:
    """A missing file is found at the line that names it."""
    (finding, *_) = ansible.check_syntax(
        root, make_run(4, stderr=SYNTAX.replace("PATH", str(root / ROLE)))
    )
    assert (finding.place, finding.message) == (f"{ROLE}:2", "conflicting action statements")
    missing = "ERROR! Could not find or access 'nowhere.yml'\non the controller\n"
    assert ansible.check_syntax(root, make_run(4, stderr=missing))[0].place == f"{ROLE}:1"
    issue = {
        "check_name": "name[casing]",
        "description": "Start with a capital",
        "location": {"path": ROLE, "lines": {"begin": 3}},
    }
    failure = {
        "check_name": "load-failure[x]",
        "description": "Failed",
        "location": {"path": "nowhere.yml", "positions": {"begin": {"line": 1}}},
    }
    internal = {
        "check_name": "internal-error",
        "description": "Unexpected",
        "location": {"path": ROLE, "lines": {"begin": 1}},
        "content": {"body": "x\n[ERROR]: the reason\n"},
    }
    findings = ansible.run_lint(root, make_run(2, json.dumps([issue, failure, internal])))
    assert [each.place for each in findings] == [f"{ROLE}:3", f"{ROLE}:1", f"{ROLE}:1"]
    assert "the reason" in findings[2].message
    assert ansible.run_lint(root, make_run(1, "no JSON")) == [Finding(None, None, "no JSON")]


def test_output_of_linters_is_read(root: Path) -> None:
    """ShellCheck, shfmt and yamllint each name file and line."""
    assert list_scripts(root) == ["bin/tool", "run.sh"]
    comments = {"comments": [{"file": "run.sh", "line": 2, "message": "Quote", "code": 2086}]}
    (root / "provisioners/shell").mkdir()
    assert linters.check_scripts(root, make_run(1, json.dumps(comments))) == [
        Finding("run.sh", 2, "Quote [SC2086]")
    ]
    assert linters.check_scripts(root, make_run(1, "{}"))[0].message == "{}"
    (syntax,) = check_script_format(root, make_run(1, stderr="run.sh:2:1: if must end\n"))
    assert (syntax.place, syntax.message) == ("run.sh:2", "if must end")
    text = f"{ROLE}:1:1: [warning] too long (line-length)\n"
    assert linters.check_yaml(root, make_run(1, text))[0].place == f"{ROLE}:1"


def test_a_check_without_files_is_skipped(tmp_path: Path) -> None:
    """Nothing is started, and the reason is in the result."""
    git(tmp_path, "init", "--quiet")
    names = choose_checks(["shell", "yaml", "inspec", "ansible-syntax"])
    results = run_checks(tmp_path, names)
    assert {result.status for result in results} == {"skipped"}
    assert [result.name for result in results] == names
    assert len(choose_checks([])) == 8
    with pytest.raises(SkippedError):
        check_script_format(tmp_path, make_run())


def test_formatting_reports_changes_and_errors(root: Path) -> None:
    """A changed file is copied back; an error comes after everything is formatted."""

    def run(folder: Path, *command: str, **_: object) -> Completed:
        if command[0] == "packer":
            (folder / "a.pkr.hcl").write_text('x = "1"\n')
        else:
            (root / "run.sh").write_text("#!/bin/sh\n\n")
        return Completed(0)

    assert format_files(root, run) == ["a.pkr.hcl", "run.sh"]
    assert (root / "a.pkr.hcl").read_text() == 'x = "1"\n'

    def fail(_: Path, program: str, *__: object, **___: object) -> Completed:
        return Completed(1, stderr="run.sh:1:1: odd\n") if program == "shfmt" else Completed(0)

    with pytest.raises(SetupError, match=r"could not format everything: run\.sh:1: odd"):
        format_files(root, fail)

    def miss(*_: object, **__: object) -> Completed:
        raise MissingToolError("packer")

    with pytest.raises(SetupError, match="packer is not on PATH; use the toolkit image: task"):
        format_files(root, miss)


def write_tools(folder: Path, *names: str) -> None:
    """Write programs that no test starts, so that they are found on PATH."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("")
        (folder / name).chmod(0o755)


def test_output_of_the_auditor_is_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning counts when both ways of the auditor report it; IDs and platforms are checked."""
    write_tools(tmp_path / "tools", "cinc-auditor", "ruby")
    monkeypatch.setenv("PATH", str(tmp_path / "tools"), prepend=":")
    report = {
        "errors": [],
        "warnings": [
            {"msg": "Control one has no tests", "file": "inspec/controls/a.rb", "line": 1}
        ],
    }
    outputs: dict[str, Completed] = {
        "ruby": Completed(0),
        "check": Completed(0, json.dumps(report)),
        "--legacy-check": Completed(0, json.dumps(report)),
    }

    def run(_: Path, program: str, *arguments: str, **__: object) -> Completed:
        if Path(program).name == "ruby":
            return outputs["ruby"]
        return outputs["--legacy-check" if "--legacy-check" in arguments else "check"]

    findings = inspec.check_profile(root, run)
    assert [each.place for each in findings] == [
        "inspec/inspec.yml:2",
        "inspec/controls/a.rb:3",
        "inspec/controls/a.rb:1",
    ]
    outputs["--legacy-check"] = Completed(
        1, "", "Failed to load source for controls/a.rb: undefined method `x' for an instance of Y"
    )
    outputs["check"] = Completed(0, json.dumps({"errors": [{"msg": "bad"}]}))
    messages = [each.message for each in inspec.check_profile(root, run)]
    assert "bad" in messages
    assert "undefined method `x'" in messages
    outputs["ruby"] = Completed(1, "", "inspec/controls/a.rb:2: syntax error\n")
    assert inspec.check_profile(root, run)[0].place == "inspec/controls/a.rb:2"
    (root / "inspec/inspec.yml").write_text("name: [\n")
    assert "YAML" in inspec.check_profile(root, run)[-1].message
    (root / "inspec/inspec.yml").write_text("- x\n")
    assert inspec.check_profile(root, run)[-1].message.startswith("must be a mapping")
