"""The check `inspec` finds what a build would fail for, and what would test nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from packer_toolkit.checks.inspec import check_profile
from packer_toolkit.checks.tools import Finding
from rig.host.tools import require
from rig.repositories.repository import PROGRAMS

pytestmark = pytest.mark.integration

CONTROL = """\
control 'web-1' do
  impact 0.7
  title 'The accounts exist'
  desc 'Without accounts nothing can log in.'

  describe file('/etc/passwd') do
    it { should be_file }
  end
end
"""
ABOUT = "name: web\nversion: 1.0.0\n"
FILE, METADATA = "inspec/controls/a.rb", "inspec/inspec.yml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with a profile in which nothing is wrong."""
    folder = tmp_path / "a team's répo"
    (folder / "inspec/controls").mkdir(parents=True)
    (folder / METADATA).write_text(ABOUT)
    (folder / FILE).write_text(CONTROL)
    return folder


Tools = Callable[..., None]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Return what makes PATH a folder with the named programs only."""
    ruby = require("ruby")

    def use(*names: str, auditor: str = f'exec {ruby} {PROGRAMS / "cinc-auditor"} "$@"') -> None:
        folder = tmp_path / "tools"
        folder.mkdir()
        for name in ("sh", "cat", "git", *names):
            if name != "cinc-auditor":
                (folder / name).symlink_to(str(require(name)))
                continue
            (folder / name).write_text(f"#!/bin/sh\n{auditor}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return use


def control(text: str) -> Callable[[Path], object]:
    """Return what writes the control file."""
    return lambda root: (root / FILE).write_text(text)


def about(text: str) -> Callable[[Path], object]:
    """Return what adds to inspec.yml."""
    return lambda root: (root / METADATA).write_text(ABOUT + text)


def without(line: str) -> Callable[[Path], object]:
    """Return what removes a line of the control."""
    lines = CONTROL.splitlines(keepends=True)
    return control("".join(each for each in lines if line not in each))


NO_TESTS = CONTROL[: CONTROL.index("  describe")] + "end\n"

# What is done to a profile: the file, the line and a part of the finding's message.
FAULTS: dict[str, tuple[Callable[[Path], object], str, int | None, str]] = {
    "undefined name": (control(CONTROL + "nonsense\n"), FILE, 10, "undefined local variable"),
    "undefined method": (control("nonsense(1)\n" + CONTROL), FILE, 1, "undefined method"),
    "undefined constant": (control("\nNonsense.call\n" + CONTROL), FILE, 2, "uninitialized const"),
    "raise": (control("raise 'not today'\n" + CONTROL), FILE, 1, "not today"),
    "syntax error": (control("control 'web-1' do\n"), FILE, 1, "syntax error"),
    "no control": (control("# nothing\n"), "inspec/controls", None, "No controls"),
    "empty file": (control(""), "inspec/controls", None, "No controls"),
    "no file": (lambda root: (root / FILE).unlink(), "inspec/controls", None, "No controls"),
    "no folder": (
        lambda root: shutil.rmtree(root / "inspec/controls"), "inspec/controls", None, "No control",
    ),
    "no describe": (control(NO_TESTS), FILE, 1, "Control web-1 has no tests defined"),
    "no title": (without("title"), FILE, 1, "Control web-1 has no title"),
    "no description": (without("desc '"), FILE, 1, "Control web-1 has no descriptions"),
    "impact 2.0": (control(CONTROL.replace("0.7", "2.0")), FILE, 1, "impact > 1.0"),
    "impact -1": (control(CONTROL.replace(" 0.7", "(-1.0)")), FILE, 1, "impact < 0.0"),
    "id twice": (control(CONTROL + CONTROL), FILE, 10, "Control web-1 replaces the one in"),
    "id in two files": (
        lambda root: (root / "inspec/controls/b.rb").write_text(
            CONTROL.replace("'web-1'", '("web-1")')
        ),
        "inspec/controls/b.rb", 1, f"Control web-1 replaces the one in {FILE}:1",
    ),
    "supports, a typo in a name": (
        about("supports:\n  - platform-famly: linux\n"), METADATA, 4, "not know platform-famly",
    ),
    "supports, a typo in one of two": (
        about("supports: [{platform-family: linux, relase: 12}]\n"), METADATA, 3, "know relase",
    ),
    "supports, a typo in a value": (
        about("supports: {platform-family: linx}\n"), METADATA, 3, "not know linx; use linux",
    ),
    "supports, a text": (about("supports: linux\n"), METADATA, 3, "must be a list of entries"),
    "broken YAML": (about("supports: [\n"), METADATA, 4, "YAML: "),
    "a list": (lambda root: (root / METADATA).write_text("- x\n"), METADATA, 1, "a mapping"),
    "no name": (
        lambda root: (root / METADATA).write_text("version: 1.0.0\n"), METADATA, None,
        "Missing profile name",
    ),
}  # fmt: skip
WITHOUT_AUDITOR = ["syntax error", "no file", "no folder", "broken YAML", "a list",
                   *(name for name in FAULTS if name.startswith(("id ", "supports")))]  # fmt: skip


@pytest.mark.parametrize("programs", ["cinc-auditor", "cinc-auditor ruby", "ruby"])
def test_a_profile_in_which_nothing_is_wrong_passes(
    programs: str, root: Path, tools: Tools
) -> None:
    """What only a published profile needs, such as a copyright, is not reported (inspec 8)."""
    tools(*programs.split())
    assert check_profile(root) == []


@pytest.mark.parametrize("programs", ["cinc-auditor", "cinc-auditor ruby"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_profile_that_fails_or_tests_nothing_is_found(
    name: str, programs: str, root: Path, tools: Tools
) -> None:
    """The mistake is found, also if the auditor's Ruby is the only one (inspec 8)."""
    change, file, line, message = FAULTS[name]
    change(root)
    tools(*programs.split())
    found = check_profile(root)
    assert [(each.file, each.line) for each in found] == [(file, line)], found
    assert message in found[0].message
    assert len(found[0].message) <= 300
    assert "\n" not in found[0].message


@pytest.mark.parametrize("name", WITHOUT_AUDITOR)
def test_without_an_auditor_the_text_alone_is_checked(name: str, root: Path, tools: Tools) -> None:
    """A laptop with Ruby finds what needs no evaluation (inspec 8)."""
    change, file, line, message = FAULTS[name]
    change(root)
    tools("ruby")
    (found,) = check_profile(root)
    assert (found.file, found.line) == (file, line)
    assert message in found.message


VALID = {
    "a describe without a control": (
        "describe file('/etc/passwd') do\n  it { should be_file }\nend\n"
    ),
    "tests that depend on the machine": CONTROL.replace("  describe", "  if os.debian?\n  describe")
    .replace("  end\nend", "  end\n  end\nend"),
    "a control of each system": "if os.debian?\n  " + CONTROL + "else\n  " + CONTROL + "end\n",
    "only_if": CONTROL.replace("  describe", "  only_if { false }\n  describe"),
    "only_if of the file": "only_if { false }\n" + CONTROL,
    "content of a file of the machine": "file('/etc/passwd').content.lines.each { |line| line }\n"
    + CONTROL,
    "the same id in a comment": CONTROL + "=begin\n" + CONTROL + "=end\n",
    "ids of a loop": "%w[a b].each do |name|\n"
    + CONTROL.replace("'web-1'", '"web-#{name}"') + "end\n",
    "impact as a word": CONTROL.replace("0.7", "'high'"),
    "characters beyond ASCII": CONTROL.replace("The accounts", "Die Größe"),
}  # fmt: skip


@pytest.mark.parametrize("programs", ["cinc-auditor", "cinc-auditor ruby", "ruby"])
@pytest.mark.parametrize("name", VALID)
def test_a_profile_that_works_on_a_machine_passes(
    name: str, programs: str, root: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is unknown without a machine is left to the build (inspec 8)."""
    monkeypatch.setenv("LC_ALL", "C")
    (root / FILE).write_text(VALID[name], encoding="utf-8")
    tools(*programs.split())
    assert check_profile(root) == []


@pytest.mark.parametrize(
    "text",
    [
        "supports: []\n",
        "supports: [{platform-family: linux}, {platform_name: debian, release: 12.*}]\n",
        "supports: {os-family: redhat}\n",
        "supports: [{platform: some-linux-of-ours}]\n",
        "depends: [{name: child, path: ../child}]\n",
        "depends: [{name: child, url: 'https://example.com/child.tar.gz'}]\n",
    ],
)
def test_metadata_that_works_passes(text: str, root: Path, tools: Tools) -> None:
    """A dependency needs no lock file, because builds write none (inspec 8)."""
    shutil.copytree(root / "inspec", root / "child")
    (root / "child/inspec.yml").write_text(ABOUT.replace("web", "child"))
    (root / METADATA).write_text(ABOUT + text)
    tools("cinc-auditor")
    assert check_profile(root) == []


def test_no_controls_pass_where_images_are_untested_on_purpose(root: Path, tools: Tools) -> None:
    """A team that sets skip_inspec needs no control (inspec 8)."""
    (root / FILE).unlink()
    tools("cinc-auditor")
    values = root / "image.auto.pkrvars.hcl"
    values.write_text("# skip_inspec = true\n")
    assert [each.message for each in check_profile(root)] == ["No controls or tests were defined."]
    values.write_text('image_name  = "x"\nskip_inspec = true\n')
    assert check_profile(root) == []


BOOM = "/x/inspec/libraries/l.rb:1:in <top>: boom"

# Auditors that the stand-in does not stand for: (what it prints and returns, findings).
OTHERS = {
    "log lines before the JSON": ('echo "[1] WARN: x"; echo \'{"errors": []}\'', []),
    "an older version, whose check evaluates": (
        'case "$*" in *legacy*) echo \'ERROR: "inspec check" was called with arguments'
        ' ["inspec", "--legacy-check"]\' >&2; exit 1 ;; esac; echo \'{"errors": []}\'', [],
    ),
    "ids that are not texts": (
        'case "$*" in *legacy*) echo \'{"errors": []}\'; exit ;; esac;'
        ' echo "undefined method \'value\' for an instance of N" >&2; exit 1', [],
    ),
    "a library that cannot be loaded": (
        f'case "$*" in *legacy*) echo "{BOOM}" >&2; exit 1 ;; esac; echo \'{{"errors": []}}\'',
        [Finding(None, None, BOOM)],
    ),
    "nothing but an exit code": ("exit 174", [Finding(None, None, "exit code 174")]),
    "no JSON and exit code 0": ("echo no", [Finding(None, None, "no")]),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_auditors_print_is_understood(name: str, root: Path, tools: Tools) -> None:
    """A check that cannot be read is never a pass (inspec 8)."""
    script, expected = OTHERS[name]
    tools("cinc-auditor", auditor=script)
    assert check_profile(root) == expected


def test_check_reports_them(root: Path, tools: Tools) -> None:
    """`packer-toolkit check` prints file and line, with exit code 1 (inspec 8)."""
    (root / FILE).write_text(CONTROL + CONTROL)
    (root / "toolkit.env").touch()
    tools("cinc-auditor", "ruby")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "packer_toolkit", "check", "--only=inspec"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"{FILE}:10: Control web-1 replaces the one in {FILE}:1" in done.stdout
