"""Settings and hooks of a user's git change nothing of what commands read, ask and push."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from packer_toolkit.git.command import Git, build_environment
from packer_toolkit.template.fleet import LocalFleet, TagLister
from packer_toolkit.template.project import Project
from packer_toolkit.template.update_branch import UpdateBranch
from rig.repositories.copier_command import run_copier
from rig.repositories.template import git

pytestmark = pytest.mark.integration

ANSWERS = ".copier-answers.yml"


@pytest.fixture
def signed(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a signed commit, of a user whose git log shows signatures."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("needs ssh-keygen")
    key, allowed = tmp_path / "key", tmp_path / "allowed"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    allowed.write_text(f"tess@example.com {key.with_suffix('.pub').read_text()}")
    config = tmp_path / "signing.gitconfig"
    config.write_text(
        "[user]\nname = Tess Tester\nemail = tess@example.com\n"
        f"signingKey = {key}\n[gpg]\nformat = ssh\n"
        "[commit]\ngpgSign = true\n[tag]\ngpgSign = true\n"
        f'[gpg "ssh"]\nallowedSignersFile = {allowed}\n[log]\nshowSignature = true\n'
        "[column]\nui = always\n[color]\nui = always\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with (project / ANSWERS).open("a") as file:
        file.write("# Signed.\n")
    git(project, "commit", "--quiet", "--all", "-m", "Signed")
    assert "signature" in git(project, "log", "-1", "--format=%cI")
    return project


def test_signatures_are_not_read_as_dates(signed: Path) -> None:
    """The table of a fleet has the date of a signed commit, and nothing else (report 8)."""
    fleet = LocalFleet(signed.parent, "web", TagLister(10))
    updated = fleet.find_update_time("web", ANSWERS)
    assert updated == git(signed, "log", "-1", "--no-show-signature", "--format=%cI")


def test_signed_branch_of_ours_is_ours(signed: Path, tmp_path: Path) -> None:
    """A branch that GitHub or a user's settings have signed is recognized (report 8)."""
    remote = tmp_path / "remote.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(signed), str(remote))
    git(signed, "remote", "add", "origin", str(remote))
    email = "41898282+github-actions[bot]@users.noreply.github.com"
    name = ("-c", "user.name=bot", "-c", f"user.email={email}")
    git(signed, *name, "commit", "--quiet", "--allow-empty", "-m", "Update")
    git(signed, "push", "--quiet", "origin", "HEAD:refs/heads/update-from-template")
    UpdateBranch(Project.read(signed), "update-from-template").require_own_commit(
        git(signed, "rev-parse", "HEAD")
    )


def test_signed_draft_of_a_template_is_recognized(
    signed: Path, template: Path, tmp_path: Path
) -> None:
    """The hook reads the subject of a signed commit, too (report 8)."""
    del signed
    own = Path(shutil.copytree(template, tmp_path / "template", symlinks=True))
    (own / "template" / "more.txt").write_text("more\n")
    options = ("--trust", "--defaults", "--quiet", "--vcs-ref=HEAD", "--data=image_name=web")
    outcome = run_copier("copy", *options, own, tmp_path / "new", cwd=tmp_path)
    assert outcome.code == 0, outcome.stderr
    assert "uncommitted changes, which updates cannot read" in outcome.stderr


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the configuration of a user, to change."""
    config = tmp_path / "user.gitconfig"
    config.write_text("[user]\nname = Tess Tester\nemail = tess@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    return config


@pytest.mark.parametrize("place", ["repository", "user", "GIT_SSH", "GIT_SSH_COMMAND"])
def test_program_for_ssh_is_the_users(
    project: Path, tmp_path: Path, user: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A key or program that the configuration names is used, also without a terminal (report 9)."""
    script = tmp_path / "own-ssh"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" > {tmp_path}/asked\nexit 1\n')
    script.chmod(0o755)
    if place == "repository":
        git(project, "config", "core.sshCommand", f"{script} -i deploy-key")
    elif place == "user":
        git(project, "config", "--file", str(user), "core.sshCommand", f"{script} -i deploy-key")
    else:
        monkeypatch.setenv(place, str(script))
    monkeypatch.setattr("packer_toolkit.git.command.is_on_terminal", lambda: False)
    Git(project).run("ls-remote", "git@host.example:acme/t.git")
    asked = (tmp_path / "asked").read_text()
    assert "git@host.example" in asked
    assert ("-i deploy-key" in asked) == (place in ("repository", "user"))


def test_ssh_asks_nothing_without_a_terminal(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a setting of the user's, ssh fails instead of asking (report 9)."""
    monkeypatch.setattr("packer_toolkit.git.command.is_on_terminal", lambda: False)
    env = build_environment(project)
    assert (env["GIT_SSH_COMMAND"], env["GIT_TERMINAL_PROMPT"]) == ("ssh -oBatchMode=yes", "0")
    monkeypatch.setattr("packer_toolkit.git.command.is_on_terminal", lambda: True)
    assert "GIT_SSH_COMMAND" not in build_environment(project)


@pytest.fixture
def hooked(project: Path, tmp_path: Path, user: Path) -> Callable[[str], Path]:
    """Return a function that lets hooks of a repository, or of its user, fail."""

    def install(place: str) -> Path:
        folder = project / ".git" / "hooks" if place == ".git/hooks" else tmp_path / "hooks"
        folder.mkdir(exist_ok=True)
        names = ["pre-commit", "commit-msg", "pre-push", "post-checkout", "post-index-change"]
        if place != "user":  # The repository that is pushed to has this user, too.
            names.append("reference-transaction")
        for name in names:
            file = folder / name
            file.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/ran\nexit 1\n")
            file.chmod(0o755)
        if place == "core.hooksPath":
            git(project, "config", "core.hooksPath", str(folder))
        if place == "user":
            git(project, "config", "--file", str(user), "core.hooksPath", str(folder))
        return project

    return install


@pytest.mark.parametrize("place", [".git/hooks", "core.hooksPath", "user"])
def test_hooks_do_not_stop_the_pull_request(
    hooked: Callable[[str], Path], tmp_path: Path, place: str
) -> None:
    """Hooks of husky, lefthook or pre-commit neither run for the branch nor stop it (report 10)."""
    project = tmp_path / "web"
    remote = tmp_path / "remote.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(project), str(remote))
    git(project, "remote", "add", "origin", str(remote))
    commit = git(project, "commit-tree", "-p", "HEAD", "-m", "Update", "HEAD^{tree}")
    hooked(place)
    pushed = UpdateBranch(Project.read(project), "update-from-template").push(commit)
    assert pushed == commit
    assert "refs/heads/update-from-template" in git(remote, "for-each-ref")
    assert not (tmp_path / "ran").exists()
