"""provisioners/inspec.sh decides by the auditor's JSON report whether an image may be created."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.repository import STANDINS
from rig.template import ROOT
from rig.tools import require

SCRIPT = ROOT / "template/provisioners/inspec.sh"

PASSES = """\
control 'web-1' do
  describe file('/etc/passwd') do
    it { should be_file }
  end
end
"""
FAILS = PASSES.replace("/etc/passwd", "/nowhere")
ABOUT = "name: web\ntitle: Web\nversion: 1.0.0\n"


def inspec_sh(
    folder: Path, *words: str, required: bool = True, auditor: Path | None = STANDINS, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run inspec.sh as build.pkr.hcl does.

    Args:
        folder: Folder with the profile `inspec`; results and temporary files go there too.
        words: Arguments.
        required: Whether an image follows.
        auditor: Folder with a program called cinc-auditor.
        env: Further variables.
    """
    (folder / "tmp").mkdir(exist_ok=True)
    path = [*([str(auditor)] if auditor else []), os.environ["PATH"]]
    return subprocess.run(
        [SCRIPT, *words],
        cwd=folder,
        env={
            **os.environ,
            "INSPEC_PROFILE": "inspec",
            "INSPEC_REQUIRED": str(required).lower(),
            "INSPEC_TARGET": "local://",
            "PATH": os.pathsep.join(path),
            "TMPDIR": str(folder / "tmp"),
            **env,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a profile in which nothing is wrong."""
    require("ruby")
    (tmp_path / "inspec/controls").mkdir(parents=True)
    (tmp_path / "inspec/inspec.yml").write_text(ABOUT)
    (tmp_path / "inspec/controls/a.rb").write_text(PASSES)
    return tmp_path


def about(text: str) -> Callable[[Path], object]:
    """Return what adds to inspec.yml."""
    return lambda folder: (folder / "inspec/inspec.yml").write_text(ABOUT + text)


def control(text: str) -> Callable[[Path], object]:
    """Return what writes the control file."""
    return lambda folder: (folder / "inspec/controls/a.rb").write_text(text)


def depends(child: str, own: str) -> Callable[[Path], object]:
    """Return what gives the profile a dependency, with what is added to both inspec.yml."""

    def make(folder: Path) -> None:
        shutil.copytree(folder / "inspec", folder / "child")
        (folder / "child/inspec.yml").write_text(ABOUT.replace("web", "child") + child)
        about("depends: [{name: child, path: ../child}]\n")(folder)
        control(own)(folder)

    return make


WINDOWS = "supports: [{platform-family: windows}]\n"
INCLUDE = "include_controls 'child'\n"
SKIPPED_CONTROL = PASSES.replace("  describe", "  only_if('no web') { false }\n  describe")

# What is done to a profile: exit code for an image, for a test build, and a text of both.
CASES: dict[str, tuple[Callable[[Path], object], int, int, str]] = {
    "passes": (lambda _: None, 0, 0, "checks passed: 1, skipped: 0"),
    "skipped-too": (
        control(PASSES + SKIPPED_CONTROL.replace("web-1", "web-2")), 0, 0, "passed: 1, skipped: 1",
    ),
    "dependency": (depends("", INCLUDE), 0, 0, "checks passed: 1"),
    "fails": (control(FAILS), 1, 1, "controls failed: web-1"),
    "fails-with-impact-0": (control(FAILS.replace("do\n", "do\n  impact 0.0\n", 1)), 1, 1, "web-1"),
    "fails-in-dependency": (
        depends("", INCLUDE + FAILS.replace("web-1", "web-2")), 1, 1, "controls failed: web-2",
    ),
    "supports": (about(WINDOWS), 1, 0, "was skipped: Skipping profile: 'web' on unsupported"),
    "supports-typo": (
        about("supports: [{platform-famly: linux}]\n"), 1, 0, "was skipped: Skipping profile:",
    ),
    "dependency-supports": (
        depends(WINDOWS, INCLUDE), 1, 0, "the profile child was skipped: Skipping profile: 'child'",
    ),
    "dependency-supports-and-own-control": (
        depends(WINDOWS, INCLUDE + PASSES), 1, 0, "the profile child was skipped",
    ),
    "dependency-not-included": (depends("", "# nothing\n"), 1, 0, "the profile has no checks"),
    "no-name": (
        lambda folder: (folder / "inspec/inspec.yml").write_text("title: x\nversion: 1.0.0\n"),
        1, 0, "the profile has no checks",
    ),
    "no-controls": (
        lambda folder: (folder / "inspec/controls/a.rb").unlink(), 1, 0, "profile has no checks",
    ),
    "no-folder": (
        lambda folder: shutil.rmtree(folder / "inspec/controls"), 1, 0, "the profile has no checks",
    ),
    "empty-file": (control(""), 1, 0, "the profile has no checks"),
    "no-describe": (control("control 'web-1' do\nend\n"), 1, 0, "the profile has no checks"),
    "only-if": (control(SKIPPED_CONTROL), 1, 0, "all checks were skipped"),
    "only-if-for-the-file": (
        control("only_if('no web') { false }\n" + PASSES), 1, 0, "all checks were skipped",
    ),
    "skip": (control(PASSES.replace("it {", "skip 'later' # {")), 1, 0, "all checks were skipped"),
    "undefined-name": (
        control("nonsense\n" + PASSES), 1, 1, "could not be loaded: Failed to load source for",
    ),
    "syntax-error": (control("control 'web-1' do\n"), 1, 1, "no report"),
    "no-profile": (lambda folder: shutil.rmtree(folder / "inspec"), 1, 1, "no report"),
    "broken-yaml": (about("x: [\n"), 1, 1, "no report"),
    "inspec-version": (about("inspec_version: '>= 99'\n"), 1, 1, "no report"),
}  # fmt: skip


@pytest.mark.parametrize("required", [True, False], ids=["image", "test"])
@pytest.mark.parametrize("name", CASES)
def test_only_an_executed_control_lets_an_image_be_created(
    name: str, required: bool, folder: Path
) -> None:
    """An image needs loaded profiles and a check that passed; other builds report it (inspec 1)."""
    change, image, test, text = CASES[name]
    change(folder)
    done = inspec_sh(folder, required=required)
    assert done.returncode == (image if required else test), done.stdout + done.stderr
    (line,) = [
        each for each in (done.stdout + done.stderr).splitlines() if each.startswith("InSpec: ")
    ]
    assert text in line
    if done.returncode:
        assert line.startswith("InSpec: FAILED")
        assert ("-var skip_inspec=true" in line) == (test == 0)
    elif image:
        assert line.startswith(
            ("InSpec: SKIPPED, no control was checked: ", "InSpec: checks passed: 1")
        )
    assert list((folder / "tmp").iterdir()) == []
    assert not list(folder.rglob("inspec.lock"))


# --- Reports that no auditor of today writes --------------------------------------------------


def stub(folder: Path, report: str | None, code: int = 0, more: str = "") -> Path:
    """Make an auditor that writes a given report; return its folder."""
    program = folder / "stub/cinc-auditor"
    program.parent.mkdir(exist_ok=True)
    (folder / "report.json").write_text(report or "")
    copy = f'cp "{folder}/report.json" "${{last#json:}}"' if report is not None else ":"
    lines = ["#!/bin/bash", 'printf "%s\\n" "$@" >"$0.arguments"', 'env >"$0.env"',
             'for last; do [[ ${last} != json:* ]] || break; done', copy, more,
             f"exit {code}", ""]  # fmt: skip
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    return program.parent


def report(*statuses: str, **profile: Any) -> str:
    """Return a report of one control with results of these statuses."""
    results = [{"status": status} for status in statuses]
    controls = [{"id": "web-1", "results": results}]
    return json.dumps(
        {"profiles": [{"name": "web", "status": "loaded", "controls": controls, **profile}]}
    )


REPORTS: dict[str, tuple[str | None, int, int, int]] = {
    "passed": (report("passed"), 0, 0, 0),
    "absent": (None, 0, 1, 0),
    "empty": ("", 0, 1, 0),
    "truncated": (report("passed")[:-9], 0, 1, 0),
    "no-json": ("Traceback", 0, 1, 0),
    "a-list": ("[]", 0, 1, 0),
    "null": ("null", 0, 1, 0),
    "profiles-null": ('{"profiles": null}', 0, 1, 0),
    "no-profiles": ('{"profiles": []}', 0, 1, 0),
    "controls-null": (report(controls=None), 0, 1, 0),
    "results-null": (report(controls=[{"id": "web-1", "results": None}]), 0, 1, 0),
    "control-null": (report(controls=[None]), 0, 1, 0),
    "controls-text": (report(controls="all"), 0, 1, 0),
    "results-number": (report(controls=[{"id": "web-1", "results": 3}]), 0, 1, 0),
    "passed-then-garbage": (
        report(controls=[{"id": "a", "results": [{"status": "passed"}, None]}]), 0, 1, 0,
    ),
    "message-empty": (report(status="skipped", status_message=" \n"), 0, 1, 0),
    "depends-text": (report("passed", depends="child"), 0, 1, 0),
    "message-of-another-type": (report(status="skipped", status_message=[1]), 0, 1, 0),
    "no-results": (report(), 0, 1, 0),
    "no-status": (report("passed", status=None), 0, 1, 0),
    "unknown-status": (report("passed", status="new"), 0, 1, 0),
    "failed-with-exit-code-0": (report("passed", "failed"), 0, 1, 1),
    "unknown-result": (report("passed", "error"), 0, 1, 1),
    "profile-failed-with-exit-code-0": (report(status="failed"), 0, 1, 1),
    "passed-with-exit-code-1": (report("passed"), 1, 1, 1),
    "two-profiles": (
        json.dumps({"profiles": [json.loads(report("passed"))["profiles"][0],
                                 {"name": "other", "status": "skipped"}]}),
        0, 1, 0,
    ),
    "not-utf-8": ("\udcff", 0, 1, 0),
}  # fmt: skip


@pytest.mark.parametrize("required", [True, False], ids=["image", "test"])
@pytest.mark.parametrize("name", REPORTS)
def test_the_report_decides_not_the_exit_code(name: str, required: bool, folder: Path) -> None:
    """A report that is absent, incomplete or shows no passed check creates no image (inspec 1)."""
    text, code, image, test = REPORTS[name]
    program = stub(folder, "" if name == "not-utf-8" else text, code)
    if name == "not-utf-8":
        (folder / "report.json").write_bytes(b"\xff")
    done = inspec_sh(folder, required=required, auditor=program)
    assert done.returncode == (image if required else test), done.stdout + done.stderr
    assert len([each for each in (done.stdout + done.stderr).splitlines() if each]) == 1
    assert "Traceback (most" not in done.stderr


@pytest.mark.parametrize("required", [True, False], ids=["image", "test"])
def test_an_auditor_that_is_killed_fails_the_build(required: bool, folder: Path) -> None:
    """Also when its report was complete before (inspec 1)."""
    program = stub(folder, report("passed"), more=f"kill -{signal.SIGKILL:d} $$")
    done = inspec_sh(folder, required=required, auditor=program)
    assert done.returncode == 1
    assert "the auditor failed with exit code 137" in done.stderr


def test_an_earlier_report_is_not_taken_for_this_one(folder: Path) -> None:
    """A file of that name from before is removed (inspec 1)."""
    reports = folder / "reports"
    reports.mkdir()
    (reports / "amazon-ebs.x86_64.json").write_text(report("passed"))
    env = {"PACKER_TOOLKIT_INSPEC_REPORTS": str(reports), "INSPEC_BUILD": "amazon-ebs.x86_64"}
    done = inspec_sh(folder, auditor=stub(folder, None), **env)
    assert done.returncode == 1
    assert list(reports.iterdir()) == []
    assert inspec_sh(folder, auditor=stub(folder, report("passed")), **env).returncode == 0
    assert [file.name for file in reports.iterdir()] == ["amazon-ebs.x86_64.json"]


def test_a_long_reason_is_one_short_line(folder: Path) -> None:
    """Of 20 KB of Ruby's inspection the first words are shown (inspec 10)."""
    message = f"Failed to load source: {'#<Object> ' * 2000}\nmore"
    program = stub(folder, report(status="failed", status_message=message), 1)
    done = inspec_sh(folder, auditor=program)
    (line,) = done.stderr.splitlines()
    assert len(line) < 400
    assert "Failed to load source: #<Object>" in line
    assert "more" not in line


def test_the_auditor_is_called_so_that_it_leaves_nothing(folder: Path) -> None:
    """No lock file, no colors, no license file, no empty Docker settings (inspec 2, 6, 12)."""
    program = stub(folder, report("passed"))
    inspec_sh(folder, auditor=program, DOCKER_CERT_PATH="", DOCKER_HOST="")
    arguments = (program / "cinc-auditor.arguments").read_text().split()
    assert {"--no-create-lockfile", "--no-distinct-exit", "--no-color"} <= set(arguments)
    env = (program / "cinc-auditor.env").read_text().splitlines()
    assert "CHEF_LICENSE=accept-no-persist" in env
    assert not [line for line in env if line.startswith("DOCKER_")]


@pytest.mark.parametrize("word", [(), ("--available",)])
@pytest.mark.parametrize("required", [True, False], ids=["image", "test"])
@pytest.mark.parametrize("missing", ["auditor", "python3"])
def test_what_is_missing_is_reported_before_the_build(
    missing: str, required: bool, word: tuple[str, ...], folder: Path
) -> None:
    """An image needs an auditor and python3; other builds go on and report it (inspec 1)."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("bash", "env", "mktemp", "rm", "python3"):
        if name != missing:
            (tools / name).symlink_to(shutil.which(name) or name)
    if missing != "auditor":
        (tools / "cinc-auditor").symlink_to("/bin/true")
    done = inspec_sh(folder, *word, required=required, auditor=None, PATH=str(tools))
    assert done.returncode == int(required)
    output = (done.stdout + done.stderr).splitlines()
    if required:
        (line,) = output
        assert missing in line
        assert "no image is created" in line
    else:
        assert len(output) == (0 if word else 1)


@pytest.mark.parametrize("program", ["python3", sys.executable])
def test_the_result_needs_no_packages(program: str, folder: Path) -> None:
    """Any Python 3 without packages runs it, in the C locale too."""
    file = folder / "report.json"
    file.write_text(report(status="skipped", status_message="«ä»"))
    done = subprocess.run(
        [program, "-I", "-X", "utf8", SCRIPT.with_name("inspec_result.py"), file, "0"],
        env={"INSPEC_REQUIRED": "false", "LC_ALL": "C", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "«ä»" in done.stdout
