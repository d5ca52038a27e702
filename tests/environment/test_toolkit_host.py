"""toolkit-host.sh runs the toolkit on this machine: the installed one, or that of the template.

uv is a stand-in that prints its command line, but for the last test.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rig.host.machine import HOST_ENV
from rig.repositories.template import ROOT, git
from rig.run.tasks import Tasks, says

pytestmark = pytest.mark.integration

NEEDED = ("bash", "awk", "dirname", "env", "ls", "sed", "task")


@pytest.fixture
def bare(repository: Path, tmp_path: Path) -> Tasks:
    """Return tasks on a machine that has neither packer-toolkit nor uv."""
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(shutil.which(name) or "")
    return Tasks(repository, {"PATH": str(folder)})


def add(tasks: Tasks, name: str) -> None:
    """Put a stand-in on PATH that prints its command line, an item a line."""
    program = Path(tasks.env["PATH"]) / name
    program.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "${0##*/}" "$@"\n')
    program.chmod(0o755)


def record(tasks: Tasks, source: str, commit: str) -> None:
    """Write another template into the answers file, as Copier writes it."""
    file = tasks.repository / ".copier-answers.yml"
    answers = {**yaml.safe_load(file.read_text()), "_src_path": source, "_commit": commit}
    file.write_text("# Changes here\n" + yaml.safe_dump(answers, allow_unicode=True))


@pytest.mark.parametrize("task", ["doctor", "template-check", "template-diff", "template-update"])
def test_the_installed_toolkit_comes_first(bare: Tasks, task: str) -> None:
    """Arguments reach it as they are."""
    add(bare, "packer-toolkit")
    add(bare, "uvx")
    done = bare.run(task, "--", "--json", "a b", "$HOME", "it's", folder="inspec")
    assert done.stdout.splitlines() == ["packer-toolkit", task, "--json", "a b", "$HOME", "it's"]


def test_a_folder_with_the_toolkit_needs_no_template(bare: Tasks, tmp_path: Path) -> None:
    """With TOOLKIT_SOURCE uv takes the toolkit from that folder, and asks no server (review C3)."""
    add(bare, "uvx")
    source = tmp_path / "the toolkit"
    script = [str(bare.repository / "toolkit-host.sh"), "packer-toolkit", "check"]
    env = {**bare.env, "TOOLKIT_SOURCE": str(source), "TOOLKIT_EXTRAS": "[image]"}
    without = subprocess.run(script, env=env, capture_output=True, text=True, check=True)
    assert "git+" in without.stdout
    source.mkdir()
    done = subprocess.run(script, env=env, capture_output=True, text=True, check=True)
    package = f"packer-toolkit[image] @ file://{tmp_path}/the%20toolkit"
    expected = ["uvx", "--quiet", "--from", package, "packer-toolkit", "check"]
    assert done.stdout.splitlines() == expected


SOURCES = {
    "https://github.com/acme/template-packer-ami.git": (
        "https://github.com/acme/template-packer-ami.git"
    ),
    "gh:acme/template-packer-ami": "https://github.com/acme/template-packer-ami",
    "gl:acme/template-packer-ami": "https://gitlab.com/acme/template-packer-ami",
    "git@github.example:acme/template-packer-ami.git": (
        "ssh://git@github.example/acme/template-packer-ami.git"
    ),
    "github-work:acme/t.git": "ssh://github-work/acme/t.git",
    "work:/srv/t.git": "ssh://work/srv/t.git",
    "work:~me/t.git": "ssh://work/~me/t.git",
    "me@work:a b/100%": "ssh://me@work/a%20b/100%25",
    "[work:2222]:t.git": "ssh://work:2222/t.git",
    "me@[2001:db8::1]:t.git": "ssh://me@[2001:db8::1]/t.git",
    "/srv/a:b/t": "file:///srv/a:b/t",
    "ssh://git@github.example:2222/acme/t.git": "ssh://git@github.example:2222/acme/t.git",
    "git+https://github.example/acme/t.git": "https://github.example/acme/t.git",
    "/home/me/a team's répo/100% #1?/t": "file:///home/me/a%20team's%20répo/100%25%20%231%3F/t",
    "/home/me/" + "a long name with blanks/" * 8 + "t": (
        "file:///home/me/" + "a%20long%20name%20with%20blanks/" * 8 + "t"
    ),
}
RELEASES = {
    "v1.2.3": "v1.2.3",
    "v1.2.3-4-g0123abc": "0123abc",
    "toolkit-v1.0.0": "toolkit-v1.0.0",
    "toolkit-v1.0.0-2-g0123abc": "0123abc",
    "v2.0.0-rc.1": "v2.0.0-rc.1",
    "0123456789012345678901234567890123456789": "0123456789012345678901234567890123456789",
}


@pytest.mark.parametrize("source", SOURCES)
def test_uv_gets_the_toolkit_of_the_recorded_template(bare: Tasks, source: str) -> None:
    """In whatever form the template was given to Copier (field 24)."""
    add(bare, "uvx")
    for commit, release in RELEASES.items():
        record(bare, source, commit)
        done = bare.run("template-check", "--", "x y")
        assert done.returncode == 0, done.stderr
        url = f"packer-toolkit @ git+{SOURCES[source]}@{release}#subdirectory=toolkit"
        toolkit = ["packer-toolkit", "template-check", "x y"]
        assert done.stdout.splitlines() == ["uvx", "--quiet", "--from", url, *toolkit]


OTHER = "_commit: v3.0.0\n_src_path: https://example.com/other.git\nimage_name: shop\n"
URL = "packer-toolkit @ git+https://example.com/t.git@v1.2.3#subdirectory=toolkit"


def move_answers(tasks: Tasks, name: str) -> Path:
    """Give the answers file another name, and return it."""
    file = tasks.repository / name
    file.parent.mkdir(parents=True, exist_ok=True)
    record(tasks, "https://example.com/t.git", "v1.2.3")
    return (tasks.repository / ".copier-answers.yml").rename(file)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize(
    "name",
    [".copier-answers.ami.yml", ".copier/ami.yaml", ".config/a b/ami.yml", ".answers", "x=y.yml"],
)
def test_uv_gets_the_toolkit_of_this_template(bare: Tasks, name: str, beside: bool) -> None:
    """The answers file has any name, and another template's is never used (field 4)."""
    add(bare, "uvx")
    move_answers(bare, name)
    (bare.repository / "empty.yml").touch()
    (bare.repository / "folder.yml").mkdir()
    answers = (bare.repository / name).read_text().splitlines(keepends=True)
    data = [line for line in answers if not line.startswith("_")]
    (bare.repository / "data.yml").write_text("".join(data))
    (bare.repository / "link.yml").symlink_to("nowhere")
    (bare.repository / "broken.yml").write_bytes(b"\xff: [\n")
    if beside:
        (bare.repository / ".copier-answers.yml").write_text(OTHER)
    done = bare.run("template-check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[3] == URL


def test_another_template_is_not_asked_for_a_toolkit(bare: Tasks) -> None:
    """Without an answers file of this template nothing is fetched (field 4)."""
    add(bare, "uvx")
    (bare.repository / ".copier-answers.yml").write_text(OTHER)
    done = bare.run("template-check")
    assert (done.returncode, done.stdout) == (3, "")
    assert says(done) == (
        "toolkit-host.sh: this folder has no answers file of this template, such as"
        " .copier-answers.yml; restore it with git"
    )


def test_two_answers_files_are_named(bare: Tasks) -> None:
    """Of two files of this template the option chooses, else both are named (field 4)."""
    add(bare, "uvx")
    file = move_answers(bare, "one.yml")
    (bare.repository / "two.yml").write_text(file.read_text().replace("v1.2.3", "v2.0.0"))
    (bare.repository / ".copier-answers.yml").write_text(OTHER)
    done = bare.run("template-check")
    assert (done.returncode, done.stdout) == (3, "")
    assert "one.yml and two.yml; choose one, such as --answers-file one.yml" in says(done)
    for options, release in (
        (("--answers-file", "one.yml"), "v1.2.3"),
        (("--json", "--answers-file=two.yml"), "v2.0.0"),
        (("-a", "two.yml"), "v2.0.0"),
    ):
        done = bare.run("template-check", "--", *options)
        assert done.stdout.splitlines()[3] == URL.replace("v1.2.3", release), done.stderr
    done = bare.run("template-check", "--", "--answers-file", ".copier-answers.yml")
    assert (done.returncode, done.stdout) == (3, "")


def test_a_copy_that_git_does_not_track_does_not_count(bare: Tasks) -> None:
    """Of several answers files the launcher takes the one that git tracks (field 4)."""
    add(bare, "uvx")
    (Path(bare.env["PATH"]) / "git").symlink_to(shutil.which("git") or "")
    record(bare, "https://example.com/t.git", "v1.2.3")
    git(bare.repository, "add", "--all")
    git(bare.repository, "commit", "--quiet", "-m", "Ours")
    text = (bare.repository / ".copier-answers.yml").read_text().replace("v1.2.3", "v2.0.0")
    for name in (".copier-answer*.yml", "saved.yml", ".a b.yaml"):
        (bare.repository / name).write_text(text)
    done = bare.run("template-check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[3] == URL
    git(bare.repository, "add", "saved.yml")
    done = bare.run("template-check")
    assert (done.returncode, done.stdout) == (3, "")
    assert ".copier-answers.yml and saved.yml; choose one" in says(done)


@pytest.mark.parametrize("name", [".copier-answers.yml", ".copier-answers.packer-ami.yml"])
def test_an_answers_file_that_is_moved_aside_is_read_from_git(bare: Tasks, name: str) -> None:
    """After an update was killed the undo starts, with the committed release (review C6)."""
    add(bare, "uvx")
    (Path(bare.env["PATH"]) / "git").symlink_to(shutil.which("git") or "")
    file = move_answers(bare, name)
    if name != ".copier-answers.yml":
        (bare.repository / ".copier-answers.yml").write_text(OTHER)
    git(bare.repository, "add", "--all")
    git(bare.repository, "commit", "--quiet", "-m", "Ours")
    file.unlink()
    done = bare.run("template-update", "--", "--undo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[3] == URL
    done = bare.run("template-update", "--", "--answers-file", name)
    assert (done.returncode, done.stdout) == (3, "")


def test_projects_further_down_do_not_count(bare: Tasks) -> None:
    """The file in the folder itself takes precedence; others are of their own (field 4)."""
    add(bare, "uvx")
    record(bare, "https://example.com/t.git", "v1.2.3")
    text = (bare.repository / ".copier-answers.yml").read_text().replace("v1.2.3", "v2.0.0")
    for name in (".copier/ami.yml", "images/web/.copier-answers.yml"):
        (bare.repository / name).parent.mkdir(parents=True)
        (bare.repository / name).write_text(text)
    assert bare.run("template-check").stdout.splitlines()[3] == URL
    (bare.repository / "images/web/x.pkr.hcl").touch()
    (bare.repository / ".copier-answers.yml").unlink()
    done = bare.run("template-check")
    assert done.stdout.splitlines()[3] == URL.replace("v1.2.3", "v2.0.0")


def test_what_is_missing_is_said_in_one_line(bare: Tasks) -> None:
    """Neither of both, or no word of the template."""
    done = bare.run("template-update")
    assert done.returncode == 3
    assert "requires uv; install it: https://docs.astral.sh/uv/" in says(done)
    assert len(says(done).splitlines()) == 1
    add(bare, "uvx")
    file = bare.repository / ".copier-answers.yml"
    file.write_text(re.sub(r"(?m)^_commit:.*\n", "", file.read_text()))
    done = bare.run("template-update")
    assert done.returncode == 3
    assert ".copier-answers.yml has no _commit" in says(done)


# As uv 0.13 says that there is no network.
NO_NETWORK = """\
   Updating https://github.example/acme/t.git (v1.2.3)
error: Failed to resolve tool requirement
  cause: Git operation failed
  cause: process didn't exit successfully: `/usr/bin/git fetch` (exit status: 128)
         --- stderr
         fatal: unable to access 'https://github.example/acme/t.git/': Could not resolve host
"""


def test_a_template_that_uv_cannot_get_is_told_in_one_line(bare: Tasks) -> None:
    """Uv itself says it in a dozen; the doctor has the container left to ask."""
    uvx = Path(bare.env["PATH"]) / "uvx"
    uvx.write_text(f"#!/usr/bin/env bash\necho {shlex.quote(NO_NETWORK)} >&2\nexit 1\n")
    uvx.chmod(0o755)
    record(bare, "https://github.example/acme/t.git", "v1.2.3")
    reason = (
        "toolkit-host.sh: uv cannot get the toolkit (fatal: unable to access"
        " 'https://github.example/acme/t.git/': Could not resolve host); check the network, and"
        " your access with: git ls-remote 'https://github.example/acme/t.git'"
    )
    done = bare.run("template-check")
    assert (done.returncode, says(done)) == (4, reason)
    done = bare.run("doctor")
    assert done.returncode == 3
    assert says(done).splitlines()[0].startswith(f"{reason}; continuing in the container")
    assert "neither docker nor podman is on PATH; install" in says(done).splitlines()[1]


def test_without_uv_the_doctor_looks_from_the_container(bare: Tasks, tmp_path: Path) -> None:
    """Nothing has to be installed but an engine."""
    (Path(bare.env["PATH"]) / "docker").symlink_to(ROOT / "tests/rig/standins/engine")
    (Path(bare.env["PATH"]) / "cat").symlink_to(shutil.which("cat") or "")
    (Path(bare.env["PATH"]) / "mkdir").symlink_to(shutil.which("mkdir") or "")
    bare.env["ENGINE_RECORD"] = str(tmp_path / "calls")
    done = bare.run("doctor", "--", "--json", folder="inspec")
    assert done.returncode == 0, done.stderr
    assert "requires uv; install it: https://docs.astral.sh/uv/" in says(done)
    assert len(says(done).splitlines()) == 1, "beside the one of the fetched image"
    last = max((tmp_path / "calls").iterdir(), key=lambda folder: int(folder.name))
    call = (last / "arguments").read_text().split("\0")[:-1]
    assert call[0] == "run"
    assert call[-3:] == ["packer-toolkit", "doctor", "--json"]


def test_the_doctor_tells_all_that_is_missing_where_no_engine_is(bare: Tasks) -> None:
    """It is the first thing that a new person runs; settings come from toolkit.env."""
    program = Path(sys.executable).with_name("packer-toolkit")
    (Path(bare.env["PATH"]) / "packer-toolkit").symlink_to(program)
    offline = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": bare.env["PATH"], "AWS_REGION": ""}
    offline["TOOLKIT_IMAGE"] = "127.0.0.1:9/packer-toolkit:1.0.0"
    done = bare.run("doctor", "--", "--json", folder="inspec", env=offline)
    assert done.returncode == 3
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    missing = {name for name, each in found.items() if each["state"] == "missing"}
    assert missing == {"git", "engine", "image", "role", "aws"}
    assert all(found[name]["fix"] for name in missing)
    assert "127.0.0.1:9 cannot be reached" in found["image"]["found"]
    assert "SOL_CET_USER_ROLE" in found["role"]["found"]
    settings = (bare.repository / "toolkit.env").read_text()
    assert f"AWS_REGION={found['region']['found']}\n" in settings


def test_an_older_docker_without_a_daemon_is_understood(bare: Tasks) -> None:
    """Its `info` tells of a template; the reason is asked for again."""
    docker = Path(bare.env["PATH"]) / "docker"
    docker.write_text(
        "#!/usr/bin/env bash\ncase $1 in\n--version) echo Docker version 20.10.24 ;;\n"
        "info) echo 'template: :1:2: nil pointer to embedded struct field Info' >&2; exit 1 ;;\n"
        "*) echo 'Cannot connect to the Docker daemon at unix:///x.' >&2; exit 1 ;;\nesac\n"
    )
    docker.chmod(0o755)
    done = bare.run("check")
    assert done.returncode == 3
    assert "docker cannot be reached (Cannot connect to the Docker daemon at" in says(done)
    program = Path(bare.env["PATH"]) / "packer-toolkit"
    program.symlink_to(Path(sys.executable).with_name("packer-toolkit"))
    env = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(bare.repository.parent)}
    assert "docker cannot be reached: Cannot connect" in bare.run("doctor", env=env).stdout


def make_toolkit(template: Path) -> None:
    """Make a template with this repository's toolkit, and the release v1.2.3."""
    shutil.copytree(ROOT / "toolkit", template / "toolkit", ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, template / name)
    git(template, "init", "--quiet")
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "-m", "Release")
    git(template, "tag", "v1.2.3")


def run_real_uv(bare: Tasks, **env: str) -> subprocess.CompletedProcess[str]:
    """Print the version of the toolkit that uv itself gets from the recorded template."""
    uvx = Path(shutil.which("uvx") or "")
    (Path(bare.env["PATH"]) / "uvx").symlink_to(uvx)
    bare.env["PATH"] += ":/usr/bin:/bin"  # git is made of many programs
    # What uv needs to know of this machine, with a Python that nobody has to fetch.
    machine = {name: HOST_ENV[name] for name in HOST_ENV if name.startswith(("UV_", "XDG_", "SSL"))}
    machine |= {"HOME": HOST_ENV["HOME"], "UV_PYTHON": sys.executable}
    return subprocess.run(
        ["./toolkit-host.sh", "packer-toolkit", "--version"],
        cwd=bare.repository,
        env={**os.environ, **bare.env, **machine, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("form", ["path", "relative path", "path from the home"])
def test_the_real_uv_takes_it_from_a_template(bare: Tasks, tmp_path: Path, form: str) -> None:
    """The toolkit is found below `toolkit/`, by each form of path that Copier takes (field 24)."""
    template = tmp_path / "a template's répo"
    make_toolkit(template)
    sources = {
        "path": str(template),
        "relative path": os.path.relpath(template, bare.repository),
        "path from the home": f"~/{template.name}",
    }
    record(bare, sources[form], "v1.2.3")
    home = {"HOME": str(tmp_path)} if form == "path from the home" else {}
    done = run_real_uv(bare, **home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("packer-toolkit, version 1.")


# As a server has them: a path is relative to the home of the account, and ~ is that home.
SSH_SERVER = """\
#!/bin/sh
while [ "$#" -gt 2 ]; do shift; done
printf '%s\\n' "$1" >>"$SSH_CALLS"
cd "$SSH_HOME" && HOME=$SSH_HOME exec sh -c "$2"
"""


@pytest.mark.parametrize("source", ["github-work:acme/t", "me@work:acme/t", "work:~/acme/t"])
def test_the_real_uv_takes_it_by_an_ssh_alias(bare: Tasks, tmp_path: Path, source: str) -> None:
    """The address reaches SSH as git itself would give it, without a user too (field 24)."""
    make_toolkit(tmp_path / "acme/t")
    server = tmp_path / "ssh"
    server.write_text(SSH_SERVER)
    server.chmod(0o755)
    record(bare, source, "v1.2.3")
    calls = tmp_path / "calls"
    done = run_real_uv(
        bare, GIT_SSH=str(server), SSH_CALLS=str(calls), SSH_HOME=str(tmp_path), GIT_PROTOCOL=""
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("packer-toolkit, version 1.")
    assert set(calls.read_text().split()) == {source.partition(":")[0]}


def test_the_address_in_a_message_is_the_recorded_one(bare: Tasks, tmp_path: Path) -> None:
    """A failure over SSH names the address as it was given to Copier (field 24)."""
    uvx = Path(bare.env["PATH"]) / "uvx"
    text = "fatal: ssh://github-work/acme/t.git: Permission denied"
    uvx.write_text(f"#!/usr/bin/env bash\necho '{text}' >&2\nexit 1\n")
    uvx.chmod(0o755)
    record(bare, "github-work:acme/t.git", "v1.2.3")
    done = bare.run("template-check")
    assert (done.returncode, says(done)) == (
        4,
        "toolkit-host.sh: uv cannot get the toolkit (fatal: github-work:acme/t.git: Permission"
        " denied); check the network, and your access with: git ls-remote 'github-work:acme/t.git'",
    )
