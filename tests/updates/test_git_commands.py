"""The git command: errors, environments and timeouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from packer_toolkit.errors import SetupError
from packer_toolkit.git import command
from packer_toolkit.git.addresses import (
    build_url,
    describe_secret,
    expand_address,
    has_secret,
    hide_secret,
    remove_secrets,
    split_host_and_path,
)
from packer_toolkit.git.command import (
    SECONDS,
    Git,
    GitError,
    build_environment,
    explain_ownership,
    limit_query,
    limit_transfer,
)
from rig.repositories.template import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return an empty repository."""
    git(tmp_path, "init", "--quiet", "--template=", "-b", "main")
    return tmp_path


def test_an_error_names_the_reason(repository: Path) -> None:
    """The reason is the line that git calls fatal, without its prefix."""
    with pytest.raises(GitError) as caught:
        Git(repository).text("rev-parse", "--verify", "HEAD")
    assert caught.value.reason == "Needed a single revision"
    assert str(caught.value) == "git rev-parse --verify HEAD: Needed a single revision"


def test_passwords_are_not_in_errors() -> None:
    """An address in the output of git loses its password."""
    text = "warning: x\nfatal: cannot read https://user:secret@git.example/t.git\n"
    error = GitError(["clone"], 128, text)
    assert error.reason == "cannot read https://git.example/t.git"
    assert "secret" not in error.stderr
    assert GitError(["x"], 3, "").reason == "exit code 3"


@pytest.mark.parametrize(
    ("folder", "arguments", "message"),
    [
        ("missing", ("status",), "is not a folder; run the command in the repository"),
        (".", ("status", "\0"), "git status cannot be started"),
    ],
)
def test_a_command_that_cannot_be_started_is_one_line(
    tmp_path: Path, folder: str, arguments: tuple[str, ...], message: str
) -> None:
    """A missing folder and an impossible argument are named."""
    with pytest.raises(SetupError, match=message):
        Git(tmp_path / folder).run(*arguments)


def test_a_missing_git_is_one_line(tmp_path: Path) -> None:
    """Without git on PATH the message has the address to get it from."""
    with pytest.raises(SetupError, match="git is not installed: https://"):
        Git(tmp_path, base={"PATH": str(tmp_path)}).run("status")


def test_output_is_split_at_nul(repository: Path) -> None:
    """Paths are read with NULs between them, and bytes come as they are."""
    (repository / "a b").touch()
    (repository / "c").touch()
    here = Git(repository)
    assert here.fields("ls-files", "-z", "--others") == ["a b", "c"]
    assert here.raw("hash-object", "--stdin", stdin=b"x").startswith(b"c1b0730e")
    assert here.with_env(GIT_DIR="/nowhere").run("status").returncode == 128
    assert Git.open_repository(repository).env == {}
    assert Git.open_repository(repository / ".git").env == {"GIT_DIR": str(repository / ".git")}


def test_a_command_is_stopped_after_its_timeout(repository: Path) -> None:
    """A command that takes too long has the exit code 124, with and without a terminal."""
    git(repository, "config", "alias.wait", "!sleep 30")
    limited = Git(repository).with_timeout(0.05)
    for variables in ({"GIT_TERMINAL_PROMPT": "0"}, {"GIT_TERMINAL_PROMPT": "1"}):
        process = limited.with_env(**variables).run("wait")
        assert process.returncode == 124
        assert b"no answer within 0.05 seconds" in process.stderr
    assert Git(repository).with_timeout(60).text("rev-parse", "--git-dir") == ".git"


def test_the_environment_redirects_git_nowhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that hooks set are left out; without a terminal git asks nothing."""
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setattr(command, "is_on_terminal", lambda: False)
    env = build_environment(repository, X="1")
    assert "GIT_DIR" not in env
    assert (env["GIT_TERMINAL_PROMPT"], env["X"]) == ("0", "1")
    assert env["GIT_SSH_COMMAND"] == "ssh -oBatchMode=yes"
    assert explain_ownership(repository, "x") == ""
    assert "belongs to another user" in explain_ownership(repository, "dubious ownership in")


def test_timeouts_of_the_network(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query and a transfer have timeouts, which a variable changes."""
    monkeypatch.setattr("packer_toolkit.git.command.is_on_terminal", lambda: False)
    here = Git(repository)
    assert (limit_query(here).timeout, limit_transfer(here).timeout) == (30, 1800)
    assert limit_query(here, 7).timeout == 7
    monkeypatch.setenv(SECONDS, "300")
    assert limit_query(here).timeout == 300
    for value in ("soon", "0", "inf"):
        monkeypatch.setenv(SECONDS, value)
        with pytest.raises(SetupError, match="set it to a number of seconds"):
            limit_query(here)


@pytest.mark.parametrize(
    ("source", "address", "url", "place"),
    [
        ("gh:acme/t", "https://github.com/acme/t.git", None, ("github.com", "acme/t")),
        ("gl:acme/t.git", "https://gitlab.com/acme/t.git", None, ("gitlab.com", "acme/t")),
        ("git+https://h.example/t", "https://h.example/t", None, ("h.example", "t")),
        ("git@H.example:a/t.git", None, "ssh://git@H.example/a/t.git", ("h.example", "a/t")),
        ("[h.example:22]:a/t", None, "ssh://h.example:22/a/t", ("h.example", "a/t")),
        ("/srv/a t", None, "file:///srv/a%20t", ("", "")),
        ("~nobody-here/t", None, "file://~nobody-here/t", ("", "")),
        ("https://[x/t", None, "https://[x/t", ("", "")),
    ],
)
def test_addresses_are_read_once(
    source: str, address: str | None, url: str | None, place: tuple[str, str]
) -> None:
    """Each form of an address leads to git's form, a URL, and a host and path."""
    address = address or source
    assert expand_address(source) == address
    assert build_url(source) == (url or address)
    assert split_host_and_path(source) == place


def test_secrets_are_removed_from_addresses() -> None:
    """Users of web addresses, passwords and parameters are secrets; an SSH user is not."""
    address = "https://user:token@git.example/t?access_token=abc"
    assert has_secret(address)
    assert remove_secrets(f"see {address}") == "see https://git.example/t"
    assert hide_secret("user:token@ and ?access_token=abc", address) == "***@ and ***"
    assert hide_secret("x", "git@h:t") == "x"
    assert not has_secret("/srv/t")
    assert remove_secrets("ssh://git:pw@git.example/t") == "ssh://git@git.example/t"
    assert not has_secret("https://acme@dev.azure.com/acme/p/_git/t")
    assert not has_secret("https://acme@acme.visualstudio.com/p")
    assert describe_secret("/srv/t", "f") == ""
    assert "replace the line by `_src_path: https://git.example/t`" in describe_secret(address, "f")
