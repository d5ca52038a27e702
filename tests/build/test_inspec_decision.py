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

from rig.host.tools import require
from rig.repositories.repository import PROGRAMS
from rig.repositories.template import ROOT

pytestmark = pytest.mark.integration

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
    folder: Path,
    *words: str,
    required: bool = True,
    auditor: Path | None = PROGRAMS,
    **env: str,
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


# --- Where the auditor finds the engine -------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the Docker client's settings, without variables for the client."""
    require("docker")
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "client"))
    return tmp_path / "client"


def context(name: str, host: str, *, use: bool = True, **settings: Path | str) -> None:
    """Create a context of the Docker client; with settings it is one with TLS."""
    words = ",".join([f"host={host}", *(f"{key}={value}" for key, value in settings.items())])
    subprocess.run(
        ["docker", "context", "create", name, f"--docker={words}"], check=True, capture_output=True
    )
    if use:
        subprocess.run(["docker", "context", "use", name], check=True, capture_output=True)


def engine_of(folder: Path, **env: str) -> dict[str, str]:
    """Return the variables for Docker that the auditor of a container gets."""
    program = stub(folder, report("passed"))
    done = inspec_sh(folder, auditor=program, INSPEC_TARGET="docker://web", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (program / "cinc-auditor.env").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line.startswith("DOCKER_"))
    return {name: value for name, value in pairs.items() if name != "DOCKER_CONFIG"}


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Return a folder with a client's certificates."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-subj", "/CN=test", "-keyout", "key.pem", "-out", "cert.pem"]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    shutil.copy(folder / "cert.pem", folder / "ca.pem")
    return folder


def test_the_auditor_gets_the_engine_of_the_docker_context(client: Path, folder: Path) -> None:
    """The current context and the one that DOCKER_CONTEXT names lead to it (inspec 7)."""
    context("desktop", "unix:///srv/a team's/docker.sock")
    context("other", "tcp://127.0.0.1:2375", use=False)
    assert engine_of(folder) == {"DOCKER_HOST": "unix:///srv/a team's/docker.sock"}
    assert engine_of(folder, DOCKER_HOST="") == {"DOCKER_HOST": "unix:///srv/a team's/docker.sock"}
    named = engine_of(folder, DOCKER_CONTEXT="other")
    assert named["DOCKER_HOST"] == "tcp://127.0.0.1:2375"
    assert client.is_dir()


def test_docker_host_wins_over_the_context(client: Path, folder: Path) -> None:
    """As for Docker's own client, which Packer uses (inspec 7)."""
    context("desktop", "unix:///srv/docker.sock")
    host = {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}
    assert engine_of(folder, **host) == host
    assert engine_of(folder, **host, DOCKER_CERT_PATH=str(client)) == host


def test_certificates_are_those_that_the_docker_client_uses(
    client: Path, certificates: Path, folder: Path
) -> None:
    """Those of the context, those of the variables, or none (inspec 7)."""
    pems = {"ca": certificates / "ca.pem", "cert": certificates / "cert.pem",
            "key": certificates / "key.pem"}  # fmt: skip
    context("secure", "tcp://127.0.0.1:2376", **pems)
    variables = engine_of(folder)
    assert variables["DOCKER_HOST"] == "tcp://127.0.0.1:2376"
    path = Path(variables["DOCKER_CERT_PATH"])
    assert path.is_relative_to(client)
    assert (path / "cert.pem").read_text() == (certificates / "cert.pem").read_text()
    assert "DOCKER_SSL_VERIFY" not in variables

    context("unverified", "tcp://127.0.0.1:2377", **pems, **{"skip-tls-verify": "true"})
    assert engine_of(folder)["DOCKER_SSL_VERIFY"] == "false"

    host = {"DOCKER_HOST": "tcp://127.0.0.1:2378"}
    given = {"DOCKER_CERT_PATH": str(certificates)}
    assert engine_of(folder, **host, **given) == host  # the client needs DOCKER_TLS_VERIFY too
    assert given.items() <= engine_of(folder, **host, **given, DOCKER_TLS_VERIFY="1").items()
    for pem in certificates.iterdir():
        shutil.copy(pem, client)
    there = engine_of(folder, **host, DOCKER_TLS_VERIFY="1")
    assert there["DOCKER_CERT_PATH"] == str(client)


def test_podman_under_the_name_of_docker_leads_to_its_socket(client: Path, folder: Path) -> None:
    """Podman has no contexts of Docker's kind (inspec 7)."""
    podman = folder / "podman/docker"
    podman.parent.mkdir()
    podman.write_text(
        '#!/bin/sh\n[ "$1" = info ] || exit 125\necho unix:///run/user/1000/podman/podman.sock\n'
    )
    podman.chmod(0o755)
    path = os.pathsep.join([str(podman.parent), os.environ["PATH"]])
    program = stub(folder, report("passed"))
    done = inspec_sh(
        folder, auditor=program, INSPEC_TARGET="docker://web", PATH=f"{program}:{path}"
    )
    assert done.returncode == 0, done.stderr
    lines = (program / "cinc-auditor.env").read_text().splitlines()
    assert "DOCKER_HOST=unix:///run/user/1000/podman/podman.sock" in lines
    assert client.parent.is_dir()


@pytest.mark.parametrize("required", [True, False], ids=["image", "test"])
@pytest.mark.parametrize("way", ["context", "DOCKER_HOST"])
def test_an_engine_that_the_auditor_cannot_connect_to_is_reported(
    way: str, required: bool, client: Path, folder: Path
) -> None:
    """An engine over ssh is named in one line, and the auditor does not start (inspec 7)."""
    assert client.parent.is_dir()
    env = {}
    if way == "context":
        context("far", "ssh://builder.example.com")
    else:
        env["DOCKER_HOST"] = "ssh://builder.example.com"
    program = stub(folder, report("passed"))
    done = inspec_sh(
        folder, required=required, auditor=program, INSPEC_TARGET="docker://web", **env
    )
    assert done.returncode == int(required)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "cannot connect to the Docker engine at ssh://builder.example.com" in line
    assert not (program / "cinc-auditor.env").exists()


def test_other_targets_ask_no_docker_client(client: Path, folder: Path) -> None:
    """A machine on EC2 needs no engine (inspec 7)."""
    context("far", "ssh://builder.example.com")
    assert client.is_dir()
    done = inspec_sh(folder, auditor=stub(folder, report("passed")))
    assert done.returncode == 0, done.stderr


# --- What is missing --------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "", "xx_XX.ISO-8859-1"])
@pytest.mark.parametrize("options", ["", "-W0"])
def test_a_path_beyond_ascii_works_in_every_locale(options: str, locale: str, folder: Path) -> None:
    """An absolute path of the profile and texts in it may have any characters (inspec 14)."""
    profile = folder / "a team's répo/inspec"
    profile.parent.mkdir()
    (folder / "inspec").rename(profile)
    text = PASSES.replace("  describe", "  title 'Größe'\n  describe")
    (profile / "controls/a.rb").write_text(text, encoding="utf-8")
    env = {"INSPEC_PROFILE": str(profile), "LC_ALL": locale, "RUBYOPT": options}
    done = inspec_sh(folder, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks passed: 1" in done.stdout


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
