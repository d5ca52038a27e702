"""A password or token in the template's address is recorded, committed and shown nowhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from packer_toolkit.build.masking import Mask
from packer_toolkit.environment.check_repository import find_recorded_secret
from packer_toolkit.git.addresses import describe_secret, has_secret, remove_secrets
from packer_toolkit.template.source import format_uvx_requirement
from rig.repositories.copier_command import run_copier
from rig.repositories.hook import git_state
from rig.repositories.template import git, render
from rig.repositories.template_rules import rules
from rig.run.updating import toolkit

ANSWERS = ".copier-answers.yml"
TOKEN = "ghp_invented0001"  # noqa: S105 - opens nothing
HOST = "git.example.com/acme/t.git"

# Address as given -> address as recorded.
SECRET = {
    f"https://x-access-token:{TOKEN}@{HOST}": f"https://{HOST}",
    f"https://{TOKEN}@{HOST}": f"https://{HOST}",
    f"https://{TOKEN}:@{HOST}": f"https://{HOST}",
    f"https://:{TOKEN}@{HOST}": f"https://{HOST}",
    f"https://oauth2:{TOKEN}@{HOST}": f"https://{HOST}",
    f"https://me:p@ss{TOKEN}@{HOST}": f"https://{HOST}",
    f"https://me:p%40ss{TOKEN}@{HOST}": f"https://{HOST}",
    f"https://me:{TOKEN}?#@{HOST}": f"https://{HOST}",
    f"HTTPS://me:{TOKEN}@{HOST}": f"HTTPS://{HOST}",
    f"http://me:{TOKEN}@127.0.0.1:8000/t.git": "http://127.0.0.1:8000/t.git",
    f"git+https://me:{TOKEN}@{HOST}": f"git+https://{HOST}",
    f"https://{HOST}?access_token={TOKEN}": f"https://{HOST}",
    f"https://me@{HOST}?private_token={TOKEN}": f"https://{HOST}",
    f"https://{HOST}#token={TOKEN}": f"https://{HOST}",
    f"https://{HOST};token={TOKEN}": f"https://{HOST}",
    f"https://{HOST}/;token={TOKEN}": f"https://{HOST}/",
    f"https://{HOST};a=1;private_token={TOKEN};b=2": f"https://{HOST}",
    f"gh:acme/t?token={TOKEN}": "gh:acme/t",
    f"gh:acme/t.git?x=1&access_token={TOKEN}": "gh:acme/t.git",
    f"gl:acme/t;private_token={TOKEN}": "gl:acme/t",
    f"gl:acme/t#token={TOKEN}": "gl:acme/t",
    f"ssh://git:{TOKEN}@{HOST}": f"ssh://git@{HOST}",
    f"git+ssh://git:{TOKEN}@{HOST}": f"git+ssh://git@{HOST}",
    f"ftp://me:{TOKEN}@{HOST}": f"ftp://{HOST}",
}
PLAIN = [
    f"https://{HOST}",
    f"ssh://git@{HOST}",
    "ssh://git@git.example.com:2222/acme/t.git",
    "git@git.example.com:acme/t.git",
    "alias:acme/t.git",
    "gh:acme/t",
    "gl:acme/t.git",
    "gh:acme/t@x",
    "https://git.example.com/a;b/t.git",
    "/home/me/gh:t?x=1",
    "/home/me/a@b:c/t?x=1#y",
    "file:///home/me/a@b:c/t",
    "~/t",
    "codecommit::eu-west-1://profile@t",
    "",
]


@pytest.mark.parametrize(("given", "recorded"), SECRET.items())
def test_an_address_loses_its_secret(given: str, recorded: str) -> None:
    """The template and the toolkit remove the same, in every form of an address (field 13)."""
    assert remove_secrets(given) == recorded
    assert rules().without_secret(given) == recorded
    assert rules().template_source(given) == recorded
    assert has_secret(given)
    assert not has_secret(recorded)
    assert TOKEN not in describe_secret(given, ANSWERS)
    assert TOKEN not in format_uvx_requirement(given, "v1.0.0")
    assert TOKEN not in remove_secrets(f"unable to access '{given}/': 403 for {given}; go on")
    assert remove_secrets(f"no {given} here") == f"no {recorded} here"
    if not given.startswith(("ftp", "ssh", "git+ssh")) and "#" not in given:
        assert TOKEN not in Mask({}).everything(f"fatal: {given} not found")


@pytest.mark.parametrize("address", PLAIN)
def test_an_address_without_a_secret_is_recorded_as_it_is(address: str) -> None:
    """The user of an SSH address and every other part that is needed stays (field 13)."""
    assert remove_secrets(address) == address
    assert rules().without_secret(address) == address
    assert not has_secret(address)
    assert describe_secret(address, ANSWERS) == ""


def test_a_plain_user_of_a_web_address_is_not_reported() -> None:
    """The user git, and the organization of Azure DevOps, are not tokens (field 13)."""
    for address in (
        f"https://git@{HOST}",
        "https://acme@dev.azure.com/acme/p/_git/t",
        "https://acme@acme.visualstudio.com/p/_git/t",
    ):
        assert not has_secret(address)
        assert "@" not in remove_secrets(address)
    for address in (
        f"gh:{TOKEN}@acme/t",
        f"https://{TOKEN}@{HOST}/{TOKEN}/t",
        f"https://{TOKEN}@dev.azure.com/acme/{TOKEN}/t",
        f"https://{TOKEN}@dev.azure.com.example.com/{TOKEN}/t",
        f"https://{TOKEN}@acme.visualstudio.com/{TOKEN}/t",
    ):
        assert has_secret(address)


def reach(monkeypatch: pytest.MonkeyPatch, folder: Path, address: str, template: Path) -> None:
    """Let git find a template at an address, with and without its secret."""
    config = folder / "gitconfig"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], config)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    for form in {address, remove_secrets(address)}:
        key = f"url.file://{template}.insteadOf"
        git(folder, "config", "--file", str(config), "--add", key, form)


def everything_in(repository: Path) -> str:
    """Return all that a repository holds: its files and all commits."""
    text = "".join(
        path.read_text(errors="replace")
        for path in repository.rglob("*")
        if path.is_file() and ".git/objects" not in path.as_posix()
    )
    return text + git(repository, "log", "--all", "--patch")


@pytest.mark.parametrize(
    "address",
    [
        f"https://x-access-token:{TOKEN}@{HOST}",
        f"https://{TOKEN}@{HOST}",
        f"ssh://git:{TOKEN}@{HOST}",
    ],
)
def test_a_new_repository_holds_no_secret(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Neither a file nor a commit has the token, and a line says how updates log in (field 13)."""
    reach(monkeypatch, tmp_path, address, template)
    args = ("copy", "--trust", "--defaults", "--data", "image_name=web", address, "web")
    done = run_copier(*args, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert TOKEN not in everything_in(tmp_path / "web")
    answers = yaml.safe_load((tmp_path / "web" / ANSWERS).read_text())
    assert answers["_src_path"] == remove_secrets(address)
    assert answers["_commit"] == "v1.0.0"
    (note,) = [line for line in done.stderr.splitlines() if line.startswith("Note: ")]
    assert "without your credentials" in note
    assert "gh auth setup-git" in note
    assert TOKEN not in done.stdout + done.stderr


def test_without_git_and_on_recopy_no_secret_is_recorded(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers file is rendered without it, whether or not the hook commits (field 13)."""
    address = f"https://{TOKEN}@{HOST}"
    reach(monkeypatch, tmp_path, address, template)
    new = tmp_path / "web"
    args = ("--trust", "--defaults", "--data", "start_git=false", address, str(new))
    assert run_copier("copy", *args, cwd=tmp_path).code == 0
    assert TOKEN not in (new / ANSWERS).read_text()
    record(new, address)
    git(new, "init", "--quiet")
    git(new, "add", "--all")
    git(new, "commit", "--quiet", "-m", "Ours")
    done = run_copier("recopy", "--trust", "--defaults", "--overwrite", cwd=new)
    assert done.code == 0, done.stderr
    assert TOKEN not in (new / ANSWERS).read_text()


def test_an_address_without_a_secret_needs_no_note(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note about the login is only for those who gave one (field 13)."""
    reach(monkeypatch, tmp_path, f"https://{HOST}", template)
    done = run_copier("copy", "--trust", "--defaults", f"https://{HOST}", "web", cwd=tmp_path)
    assert "login" not in done.stderr


def record(repository: Path, address: str) -> None:
    """Write an address into an answers file, as 1.0.0 recorded it."""
    file = repository / ANSWERS
    lines = [
        f"_src_path: {json.dumps(address)}" if line.startswith("_src_path:") else line
        for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(lines) + "\n")


@pytest.fixture
def old(project: Path, two_releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository whose answers file holds a token, with a newer release to update to."""
    address = f"https://x-access-token:{TOKEN}@{HOST}"
    reach(monkeypatch, tmp_path, address, two_releases)
    record(project, address)
    git(project, "commit", "--quiet", "--all", "-m", "As 1.0.0 recorded it")
    return project


@pytest.mark.parametrize(
    "words",
    [
        ("template-check",),
        ("template-check", "--json"),
        ("template-diff", "--trust"),
        ("template-diff", "--trust", "--json"),
        ("template-update", "--trust", "--dry-run"),
        ("template-update", "--trust", "--dry-run", "--json"),
        ("template-pr", "--trust", "--dry-run"),
        ("template-pr", "--trust", "--dry-run", "--json"),
        ("template-update", "--trust"),
    ],
)
def test_a_recorded_secret_is_reported_and_never_shown(old: Path, words: tuple[str, ...]) -> None:
    """Each command names the file and how to remove the secret, without printing it (field 13)."""
    git(old, "remote", "add", "origin", f"https://me:{TOKEN}@git.example.com/acme/web.git")
    done = toolkit(old, *words)
    assert TOKEN not in done.stdout + done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if "password or token" in line]
    assert ANSWERS in warning
    assert f"`_src_path: https://{HOST}`" in warning
    assert "revoke it" in warning
    if "--json" in words:
        json.loads(done.stdout)


def test_doctor_and_fleet_report_a_recorded_secret(old: Path) -> None:
    """Both name the repository's answers file and the way to remove the secret (field 13)."""
    done = toolkit(old, "doctor")
    assert TOKEN not in done.stdout + done.stderr
    assert "password or token" in done.stdout + done.stderr
    for words in (("fleet", "--local", "."), ("fleet", "--local", ".", "--json")):
        done = toolkit(old, *words)
        assert TOKEN not in done.stdout + done.stderr
        assert "password or token" in done.stdout
        assert done.code == 0


def test_doctor_looks_into_our_answers_file_and_no_other(tmp_path: Path) -> None:
    """A token in our file is found, in another template's it is not (field 4, field 13)."""
    ours = "image_name: web\nparent_image: debian-12\ntoolkit_image: a/b\n_commit: v1.0.0\n"
    secret = f"_src_path: https://{TOKEN}@{HOST}\n"
    (tmp_path / ANSWERS).write_text(f"project: x\n_commit: v3\n{secret}")
    (tmp_path / "ours.yaml").write_text(f"{ours}_src_path: https://{HOST}\n")
    assert find_recorded_secret(tmp_path) == ""
    (tmp_path / "ours.yaml").write_text(f"{ours}{secret}")
    assert "_src_path in ours.yaml contains" in find_recorded_secret(tmp_path)


def test_an_update_removes_a_recorded_secret_for_good(old: Path) -> None:
    """After an update, with the toolkit and with Copier alone, the file has none (field 13)."""
    copy = Path(shutil.copytree(old, old.parent / "copy", symlinks=True))
    assert toolkit(old, "template-update", "--trust").code == 0
    done = run_copier("update", "--trust", "--defaults", cwd=copy)
    assert done.code == 0, done.stderr
    for repository in (old, copy):
        answers = yaml.safe_load((repository / ANSWERS).read_text())
        assert answers["_src_path"] == f"https://{HOST}"
        assert answers["_commit"] == "v1.1.0"
        assert TOKEN not in git(repository, "show", "HEAD:README.md")
    git(old, "commit", "--quiet", "--all", "-m", "Update")
    done = toolkit(old, "template-check")
    assert "password or token" not in done.stderr
    assert done.code == 0


def test_adopt_records_no_secret(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository that is adopted gets the address without it, too (field 13)."""
    address = f"https://x-access-token:{TOKEN}@{HOST}"
    reach(monkeypatch, tmp_path, address, template)
    own = tmp_path / "packer-ami-own"
    git(tmp_path, "init", "--quiet", str(own))
    (own / "a.pkr.hcl").write_text(
        'source "amazon-ebs" "a" {\n  region = "eu-west-1"\n  ami_name = "own"\n'
        '  instance_type = "t3.micro"\n  ssh_username = "admin"\n  source_ami = "ami-1"\n}\n'
    )
    git(own, "add", "--all")
    git(own, "commit", "--quiet", "-m", "Ours")
    words = ("adopt", "--template", address, "--defaults", "--accept", "Taskfile.yml")
    for more in (("--dry-run",), ("--dry-run", "--json"), ()):
        done = toolkit(own, *words, *more)
        assert done.code == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
    assert TOKEN not in everything_in(own)
    assert f"_src_path: https://{HOST}" in (own / ANSWERS).read_text()


@pytest.mark.parametrize(
    "address", [f"https://me:{TOKEN}@127.0.0.1:9/t.git", f"ssh://me:{TOKEN}@127.0.0.1:9/t"]
)
def test_errors_about_an_address_hold_no_secret(project: Path, address: str) -> None:
    """A template that cannot be reached is named without the login (field 13)."""
    record(project, address)
    git(project, "commit", "--quiet", "--all", "-m", "Elsewhere")
    before = git_state(project)
    for words in (
        ("template-check",),
        ("template-update", "--trust"),
        ("template-diff", "--trust"),
        ("fleet", "--local", "."),
    ):
        done = toolkit(project, *words)
        assert done.code in (1, 4), done
        assert TOKEN not in done.stdout + done.stderr
    assert git_state(project) == before


def test_a_rewritten_address_is_not_recorded(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that git's url.insteadOf adds stays in git's configuration (field 13)."""
    config = tmp_path / "gitconfig"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], config)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    secret = f"https://me:{TOKEN}@127.0.0.1:9/"
    git(
        tmp_path,
        "config",
        "--file",
        str(config),
        f"url.{secret}.insteadOf",
        "https://git.example.com/",
    )
    new = render(template, tmp_path / "web")
    record(new, f"https://{HOST}")
    git(new, "commit", "--quiet", "--all", "-m", "Elsewhere")
    done = toolkit(new, "template-check")
    assert done.code == 4
    assert TOKEN not in done.stdout + done.stderr


def test_the_launcher_shows_no_secret(template: Path, tmp_path: Path) -> None:
    """toolkit-host.sh uses a recorded login, and its errors do not print it (field 13)."""
    new = render(template, tmp_path / "web")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("awk", "bash", "dirname", "sed"):
        (tools / name).symlink_to(shutil.which(name) or "")
    address = f"https://me:{TOKEN}@{HOST}?access_token={TOKEN}"
    record(new, address)
    uvx = tools / "uvx"
    says = f"fatal: no access to {address}, https://me:{TOKEN}@{HOST}"
    uvx.write_text(f"#!/usr/bin/env bash\nprintf '%s\\n' \"$@\" >args\necho '{says}' >&2\nexit 1\n")
    uvx.chmod(0o755)
    done = subprocess.run(
        ["./toolkit-host.sh", "packer-toolkit", "template-check"],
        cwd=new, env={"PATH": str(tools)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert TOKEN not in done.stdout + done.stderr
    assert f"git ls-remote 'https://{HOST}'" in done.stderr
    assert f"git+{address}@v1.0.0" in (new / "args").read_text()


def test_a_refused_answer_shows_no_secret(template: Path, tmp_path: Path) -> None:
    """An address given for a question that does not exist is shown without it (field 13)."""
    data = f"template=https://me:{TOKEN}@{HOST}"
    done = run_copier(
        "copy", "--trust", "--defaults", "--data", data, template, "web", cwd=tmp_path
    )
    assert done.code != 0
    assert TOKEN not in done.stdout + done.stderr
