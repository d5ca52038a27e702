"""The stand-in of Cinc Auditor behaves as the real one, see standins/auditor/README.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rig import STANDINS
from rig.aws import Ec2
from rig.host.machine import HOST_ENV
from rig.host.tools import require

STAND_IN = STANDINS / "bin/cinc-auditor"
MEASURED = (STANDINS / "auditor/README.md").read_text()

PASSES = """\
control 'web-1' do
  impact 0.7
  title 'The accounts are there'
  desc 'Nobody can log in otherwise.'
  describe file('/etc/passwd') do
    it { should be_file }
  end
end
"""
FAILS = PASSES.replace("/etc/passwd", "/nowhere")
ABOUT = """\
name: web
title: Web
summary: Tests
maintainer: acme
copyright: acme
license: Proprietary
version: 1.0.0
"""


def _real() -> list[str]:
    path = HOST_ENV.get("PATH", os.defpath)
    found = shutil.which("cinc-auditor", path=path) or shutil.which("inspec", path=path)
    return [found] if found else []


PROGRAMS = [str(STAND_IN), *_real()]


def auditor(
    *arguments: str | Path,
    program: str = str(STAND_IN),
    **env: str,
) -> subprocess.CompletedProcess[str]:
    """Run an auditor, by default the stand-in."""
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CHEF_LICENSE": "accept-no-persist", **env},
    )


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """Return a profile in which nothing is wrong."""
    require("ruby")
    folder = tmp_path / "inspec"
    (folder / "controls").mkdir(parents=True)
    (folder / "inspec.yml").write_text(ABOUT)
    (folder / "controls/a.rb").write_text(PASSES)
    return folder


# --- The tables -------------------------------------------------------------------------------


def rows(heading: str) -> list[tuple[str, ...]]:
    """Return the rows of the table below a heading."""
    section = MEASURED.partition(f"## {heading}")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[1:]]


def controls(text: str) -> Callable[[Path], object]:
    """Return what writes the control file of a profile."""
    return lambda folder: (folder / "controls/a.rb").write_text(text)


def about(text: str) -> Callable[[Path], object]:
    """Return what adds to inspec.yml of a profile."""
    return lambda folder: (folder / "inspec.yml").write_text(ABOUT + text)


ONLY_IF = "only_if('this is web') { false }\n"
SKIPPED = PASSES.replace("  describe", f"  {ONLY_IF}  describe").replace("web-1", "web-2")

PROFILES: dict[str, Callable[[Path], object]] = {
    "passes": lambda _: None,
    "a control fails": controls(FAILS),
    "a control of impact 0 fails": controls(FAILS.replace("0.7", "0.0")),
    "an unknown property in a control": controls(
        PASSES.replace("it { should be_file }", "its('nonsense') { should eq 1 }")
    ),
    "an unknown resource in a control": controls(PASSES.replace("file(", "nonsense(")),
    "`only_if` is false for a control": controls(SKIPPED),
    "`only_if` is false for a file": controls(ONLY_IF + PASSES),
    "`skip` in a describe": controls(PASSES.replace("it { should be_file }", "skip 'later'")),
    "passed and skipped controls": controls(PASSES + SKIPPED),
    "`supports` does not fit the machine": about("supports: [{platform-family: windows}]\n"),
    "a typo in `supports`": about("supports: [{platform-famly: linux}]\n"),
    "no controls": lambda folder: (folder / "controls/a.rb").unlink(),
    "an empty control file": controls(""),
    "no folder `controls`": lambda folder: shutil.rmtree(folder / "controls"),
    "a control without `describe`": controls(
        re.sub(r"  describe.*?  end\n", "", PASSES, flags=re.S)
    ),
    "`name` is missing in inspec.yml": lambda folder: (folder / "inspec.yml").write_text(
        ABOUT.replace("name: web\n", "")
    ),
    "an undefined name at the top level of a control file": controls("nonsense\n" + PASSES),
    "an exception at the top level of a control file": controls("raise 'not today'\n" + PASSES),
    "a syntax error in a control file": controls("control 'web-1' do\n"),
    "a required input without a value": about("inputs: [{name: port, required: true}]\n"),
    "`inspec_version` is not satisfied": about("inspec_version: '>= 99'\n"),
    "broken YAML in inspec.yml": about("supports: [\n"),
    "the profile does not exist": shutil.rmtree,
}


def test_the_tables_are_read() -> None:
    """Each row of the first table has a profile, and no profile is left over (inspec 1)."""
    assert [row[0] for row in rows("Exit codes")] == list(PROFILES)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("name", "plain", "distinct", "check"),
    rows("Exit codes"),
    ids=lambda cell: cell.replace(" ", "-"),
)
def test_exit_codes_are_those_of_the_table(
    name: str, plain: str, distinct: str, check: str, program: str, profile: Path
) -> None:
    """The exit codes of `exec` in both modes and of `check` are the measured ones (inspec 4)."""
    PROFILES[name](profile)
    if name == "a required input without a value":
        text = PASSES.replace("  describe", "  input('port')\n  describe")
        (profile / "controls/a.rb").write_text(text)
    runs = [
        (plain, auditor("exec", profile, "--no-distinct-exit", program=program)),
        (distinct, auditor("exec", profile, program=program)),
        (check, auditor("check", profile, program=program)),
    ]
    assert [str(done.returncode) for _, done in runs] == [code for code, _ in runs], [
        done.stdout + done.stderr for _, done in runs
    ]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("name", "status", "message", "results"),
    rows("The JSON report"),
    ids=lambda cell: cell.replace(" ", "-"),
)
def test_reports_are_those_of_the_table(
    name: str, status: str, message: str, results: str, program: str, profile: Path, tmp_path: Path
) -> None:
    """The JSON report's statuses and messages are the measured ones (inspec 1, inspec 10)."""
    target = "local://"
    if name == "the machine cannot be reached":
        target = "docker://nowhere"
    else:
        PROFILES[name](profile)
    file = tmp_path / "out/report.json"
    done = auditor(
        "exec", profile, "-t", target, "--reporter", "cli", f"json:{file}", program=program
    )  # fmt: skip
    assert file.exists() == (status != "no report"), done.stdout + done.stderr
    if status == "no report":
        return
    (reported,) = json.loads(file.read_text())["profiles"]
    assert f"`{reported['status']}`" == status
    expected = "" if message == "empty" else message.strip('"').rstrip().replace("NAME", "web")
    assert reported["status_message"].startswith(expected)
    assert bool(reported["status_message"]) == bool(expected)
    found = [result for control in reported["controls"] for result in control["results"]]
    if results.startswith("no"):
        assert found == []
        assert bool(reported["controls"]) == (results == "no results") or status == "`failed`"
        return
    (result,) = found
    assert result["status"] == results.partition("`")[2].partition("`")[0]
    assert ("message" in result) == ("`message`" in results)
    if "REASON" in results:
        wanted = "Skipped control due to only_if condition: this is web"
        assert result["skip_message"] == wanted


# --- Habits -----------------------------------------------------------------------------------


def test_it_says_that_it_is_a_stand_in(profile: Path) -> None:
    """Its output names it as a stand-in, and its results come from the machine."""
    done = auditor("exec", profile, "--no-color")
    assert done.returncode == 0, done.stderr
    assert "STAND-IN" in done.stdout
    assert "File /etc/passwd is expected to be file" in done.stdout
    assert "Test Summary: 1 successful, 0 failures, 0 skipped" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        PASSES.replace("file(", "apache_conf("),
        PASSES.replace("it { should be_file }", "its('sha256sum') { should eq 'x' }"),
        PASSES.replace("describe file('/etc/passwd') do", "describe.one do"),
        "require_controls 'other'\n" + PASSES,
    ],
)
def test_what_it_cannot_evaluate_is_an_error_that_names_it(profile: Path, text: str) -> None:
    """A resource or word of InSpec that the stand-in lacks ends the run; no result is invented."""
    (profile / "controls/a.rb").write_text(text)
    done = auditor("exec", profile, "--no-distinct-exit")
    assert done.returncode == 1
    assert "cinc-auditor STAND-IN cannot evaluate" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_only_exec_writes_a_lock_file(profile: Path) -> None:
    """`exec` writes inspec.lock, `check` and `--no-create-lockfile` do not (inspec 2)."""
    auditor("check", profile)
    auditor("exec", profile, "--no-create-lockfile")
    assert not (profile / "inspec.lock").exists()
    auditor("exec", profile)
    assert "lockfile_version" in (profile / "inspec.lock").read_text()


def test_a_profile_that_is_skipped_gets_no_lock_file(profile: Path) -> None:
    """A profile that does not fit the machine is not loaded."""
    PROFILES["a typo in `supports`"](profile)
    auditor("exec", profile)
    assert not (profile / "inspec.lock").exists()


def test_check_reports_errors_and_warnings_as_json(profile: Path) -> None:
    """A missing name is an error, a missing copyright a warning, on stderr too."""
    (profile / "inspec.yml").write_text(ABOUT.replace("copyright: acme\n", ""))
    done = auditor("check", profile, "--format=json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["summary"]["valid"]) == (0, True)
    assert [each["msg"] for each in report["warnings"]] == [
        "Missing profile copyright in inspec.yml"
    ]
    assert "copyright" in done.stderr
    PROFILES["`name` is missing in inspec.yml"](profile)
    done = auditor("check", profile, "--format=json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["summary"]["valid"]) == (1, False)
    assert set(report["errors"][0]) == {"file", "line", "column", "control_id", "msg"}


@pytest.mark.parametrize(
    "name",
    [
        "a syntax error in a control file",
        "an undefined name at the top level of a control file",
    ],
)
def test_only_the_legacy_check_evaluates(profile: Path, name: str) -> None:
    """`check` accepts a control file that cannot be loaded, `check --legacy-check` does not."""
    assert auditor("check", profile, "--legacy-check").returncode == 0
    PROFILES[name](profile)
    assert auditor("check", profile).returncode == 0
    assert auditor("check", profile, "--legacy-check").returncode == 1


@pytest.mark.parametrize("option", [(), ("--legacy-check",)], ids=["check", "legacy-check"])
def test_check_warns_of_what_a_control_lacks(profile: Path, option: tuple[str, ...]) -> None:
    """Title, description, tests and an impact from 0 to 1, with the control's line (inspec 8)."""
    (profile / "controls/a.rb").write_text("\ncontrol 'web-1' do\n  impact 2.0\nend\n")
    report = json.loads(auditor("check", profile, "--format=json", *option).stdout)
    assert [each["msg"] for each in report["warnings"]] == [
        "Control web-1 has no title",
        "Control web-1 has no descriptions",
        "Control web-1 has impact > 1.0",
        "Control web-1 has no tests defined",
    ]
    assert {each["line"] for each in report["warnings"]} == {2}


def test_the_legacy_check_evaluates_without_a_machine(profile: Path) -> None:
    """What a control does only on an OS is unknown to it, and `only_if` is ignored (inspec 8)."""
    text = PASSES.replace("  describe", "  only_if { false }\n  if os.linux?\n  describe")
    (profile / "controls/a.rb").write_text(text.replace("  end\nend", "  end\n  end\nend"))
    for option, expected in {"--color": [], "--legacy-check": ["no tests defined"]}.items():
        report = json.loads(auditor("check", profile, "--format=json", option).stdout)
        assert [each["msg"][-16:] for each in report["warnings"]] == expected


def test_an_error_of_the_legacy_check_is_a_traceback(profile: Path) -> None:
    """It prints no JSON then; the line of the error comes after 20 KB (inspec 8)."""
    (profile / "controls/a.rb").write_text("\nnonsense\n" + PASSES)
    done = auditor("check", profile, "--format=json", "--legacy-check")
    assert (done.returncode, done.stdout) == (1, "")
    message = (
        "Failed to load source for controls/a.rb: undefined local variable or method `nonsense'"
    )
    assert message in done.stderr
    assert f"{profile}/controls/a.rb:2:in " in done.stderr
    assert len(done.stderr) > 10_000


def test_a_dependency_must_be_vendored_for_check(profile: Path) -> None:
    """Without a lock file `check` refuses it, `exec` does not (inspec 8)."""
    about("depends: [{name: child, path: ../child}]\n")(profile)
    done = auditor("check", profile)
    assert done.returncode == 1
    assert "needs to be vendored" in done.stderr


def test_a_file_without_controls_is_a_warning(profile: Path) -> None:
    """A syntax error is valid for `check`, with a warning."""
    PROFILES["a syntax error in a control file"](profile)
    report = json.loads(auditor("check", profile, "--format=json").stdout)
    assert report["summary"]["valid"] is True
    assert "No controls or tests were defined." in [each["msg"] for each in report["warnings"]]


def test_a_duplicate_id_replaces_the_first_control(profile: Path, tmp_path: Path) -> None:
    """Of two controls with one id the later one counts."""
    (profile / "controls/a.rb").write_text(FAILS + PASSES)
    assert auditor("exec", profile).returncode == 0


def test_output_has_colors_unless_it_is_told(profile: Path) -> None:
    """NO_COLOR changes nothing, `--no-color` does."""
    assert "\033[" in auditor("exec", profile, NO_COLOR="1").stdout
    assert "\033[" not in auditor("exec", profile, "--no-color").stdout


def test_an_unknown_option_is_taken_for_a_profile(profile: Path) -> None:
    """The message names it, as for any profile that does not exist."""
    done = auditor("exec", profile, "--nonsense")
    assert done.returncode == 1
    assert 'Could not fetch inspec profile in "--nonsense"' in done.stderr


def test_the_license_is_written_unless_it_must_not_persist(profile: Path, tmp_path: Path) -> None:
    """`accept-silent` leaves a file, `accept-no-persist` none (inspec 12)."""
    home = {"STAND_IN_ETC": str(tmp_path / "etc"), "HOME": str(tmp_path / "home")}
    auditor("exec", profile, CHEF_LICENSE="accept-no-persist", **home)
    assert list(tmp_path.rglob("accepted_licenses")) == []
    auditor("exec", profile, CHEF_LICENSE="accept-silent", **home)
    assert len(list(tmp_path.rglob("accepted_licenses"))) == 1


def test_a_program_called_inspec_needs_a_license_key(profile: Path, tmp_path: Path) -> None:
    """From version 6 on; cinc-auditor needs none."""
    inspec = tmp_path / "inspec-program/inspec"
    inspec.parent.mkdir()
    inspec.symlink_to(STAND_IN)
    assert auditor("exec", profile, program=str(inspec)).returncode == 174
    assert auditor("exec", profile, program=str(inspec), CHEF_LICENSE_KEY="free").returncode == 0


def test_inputs_come_from_the_profile_and_the_command_line(profile: Path) -> None:
    """The command line wins over inspec.yml."""
    about("inputs: [{name: path, value: /nowhere}]\n")(profile)
    (profile / "controls/a.rb").write_text(PASSES.replace("'/etc/passwd'", "input('path')"))
    assert auditor("exec", profile).returncode == 100
    assert auditor("exec", profile, "--input", "path=/etc/passwd").returncode == 0


@pytest.mark.parametrize("fits", [True, False])
def test_a_dependency_is_reported_where_the_real_one_reports_it(
    profile: Path, tmp_path: Path, fits: bool
) -> None:
    """One that does not fit appears only in the profile that depends on it (inspec 1)."""
    child = tmp_path / "child"
    shutil.copytree(profile, child)
    family = "linux" if fits else "windows"
    (child / "inspec.yml").write_text(
        ABOUT.replace("web", "child") + f"supports: [{{platform-family: {family}}}]\n"
    )
    about("depends: [{name: child, path: ../child}]\n")(profile)
    (profile / "controls/a.rb").write_text("include_controls 'child'\n")
    file = tmp_path / "report.json"
    assert auditor("exec", profile, "--reporter", f"json:{file}").returncode == 0
    parent, *others = json.loads(file.read_text())["profiles"]
    assert (parent["status"], parent["depends"][0]["status"]) == (
        "loaded", "loaded" if fits else "skipped"
    )  # fmt: skip
    assert [each["parent_profile"] for each in others] == (["web"] if fits else [])


def test_sudo_is_refused_on_this_machine(profile: Path) -> None:
    """`--sudo` needs a remote machine."""
    assert auditor("exec", profile, "-t", "local://", "--sudo").returncode == 1


def test_docker_contexts_are_unknown(profile: Path, tmp_path: Path) -> None:
    """Only the environment leads to an engine; an empty DOCKER_CERT_PATH counts (inspec 6)."""
    nowhere = f"unix://{tmp_path}/docker.sock"
    done = auditor("exec", profile, "-t", "docker://web", DOCKER_HOST=nowhere)
    assert done.returncode == 1
    assert "No such file or directory - connect(2)" in done.stderr
    done = auditor("exec", profile, "-t", "docker://web", DOCKER_HOST=nowhere, DOCKER_CERT_PATH="")
    assert "undefined method '+' for nil:NilClass" in done.stderr


def test_certificates_mean_tls(profile: Path, tmp_path: Path) -> None:
    """Whatever DOCKER_TLS_VERIFY is, and also for a socket, where it crashes (inspec 7)."""
    socket = {"DOCKER_HOST": "unix:///nowhere", "DOCKER_CERT_PATH": str(tmp_path)}
    done = auditor("exec", profile, "-t", "docker://web", **socket)
    assert "undefined method '+' for nil:NilClass" in done.stderr
    tcp = {"DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_CERT_PATH": str(tmp_path)}
    done = auditor("exec", profile, "-t", "docker://web", **tcp)
    assert f"No such file or directory @ rb_sysopen - {tmp_path}/cert.pem" in done.stderr


def test_an_engine_over_ssh_is_unknown(profile: Path) -> None:
    """Docker's client starts ssh for it, the auditor takes it for a host name (inspec 7)."""
    done = auditor("exec", profile, "-t", "docker://web", DOCKER_HOST="ssh://127.0.0.1")
    assert done.returncode == 1
    assert "getaddrinfo" in done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_path_beyond_ascii_crashes_in_the_c_locale(profile: Path, program: str) -> None:
    """An absolute one does; a relative one and UTF-8 work (inspec 14)."""
    folder = profile.rename(profile.with_name("répo"))
    assert auditor("exec", folder, program=program, LC_ALL="C.UTF-8").returncode == 0
    assert auditor("exec", folder, program=program, LC_ALL="C").returncode == 1


def test_ed25519_keys_need_two_gems(profile: Path, tmp_path: Path) -> None:
    """Without them no connection is tried (inspec 3)."""
    copy = tmp_path / "copy"
    shutil.copytree(STAND_IN.parents[1], copy)
    (copy / "auditor/gems/bcrypt_pbkdf.rb").unlink()
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    program = str(copy / "bin/cinc-auditor")
    done = auditor("exec", profile, "-t", "ssh://127.0.0.1:9", "-i", key, program=program)
    assert done.returncode == 1
    assert "unsupported key type `ssh-ed25519' (NotImplementedError)" in done.stderr
    assert "retrying" not in done.stdout


def test_a_boolean_of_the_command_line_is_one(profile: Path) -> None:
    """Not the text `false`, which Ruby takes for true."""
    about("inputs: [{name: wanted, value: true}]\n")(profile)
    text = PASSES.replace("  describe", "  only_if { input('wanted') }\n  describe")
    (profile / "controls/a.rb").write_text(text)
    assert auditor("exec", profile).returncode == 0
    assert auditor("exec", profile, "--input", "wanted=false").returncode == 101


def test_the_machine_must_accept_the_given_key(ec2: Ec2, profile: Path, tmp_path: Path) -> None:
    """The right key and user pass, with sudo too; others are tried five times (inspec 10)."""
    parent = ec2.newest_parent("debian-12-amd64-*")
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    with ec2.boot(parent) as instance:
        target = f"ssh://admin@{instance['PrivateIpAddress']}:22"
        right = auditor("exec", profile, "-t", target, "-i", instance["KeyFile"], "--sudo")
        since = time.monotonic()
        wrong = auditor("exec", profile, "-t", target, "-i", other)
        seconds = time.monotonic() - since
    assert right.returncode == 0, right.stdout + right.stderr
    assert wrong.returncode == 1
    assert wrong.stdout.count("[SSH] connection failed, retrying") == 5
    assert seconds > 4
    text = "Transport error, can't connect to 'ssh' backend: SSH session could not be established"
    assert text in wrong.stderr


def test_results_come_from_the_machine(
    ec2: Ec2, profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same control passes or fails with what is in the container."""
    for name, value in ec2.docker_env.items():
        monkeypatch.setenv(name, value)
    (profile / "controls/a.rb").write_text(PASSES.replace("/etc/passwd", "/srv/made"))
    with ec2.boot(ec2.newest_parent("debian-12-amd64-*")) as instance:
        target = f"docker://{ec2.container(instance['InstanceId'])}"
        before = auditor("exec", profile, "-t", target)
        ec2.instance_sh(instance["InstanceId"], "touch /srv/made")
        after = auditor("exec", profile, "-t", target)
    assert (before.returncode, after.returncode) == (100, 0), before.stderr + after.stderr
    assert auditor("exec", profile, "-t", target).returncode == 1
