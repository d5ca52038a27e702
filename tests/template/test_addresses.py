"""Every form of an address is read by one rule: that of git, with Copier's short forms."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from packer_toolkit.errors import RemoteError
from packer_toolkit.git.addresses import (
    build_url,
    expand_address,
    is_local_path,
    split_host_and_path,
    split_ssh_address,
)
from packer_toolkit.template.source import format_uvx_requirement, list_tags

SSH = {
    "github-work:acme/t.git": ("github-work", "acme/t.git", "ssh://github-work/acme/t.git"),
    "work_2:acme/t": ("work_2", "acme/t", "ssh://work_2/acme/t"),
    "w:acme/t.git": ("w", "acme/t.git", "ssh://w/acme/t.git"),
    "gitlab.example.com:g/s/t.git": (
        "gitlab.example.com",
        "g/s/t.git",
        "ssh://gitlab.example.com/g/s/t.git",
    ),
    "git@github.com:acme/t.git": (
        "git@github.com",
        "acme/t.git",
        "ssh://git@github.com/acme/t.git",
    ),
    "host:/srv/t.git": ("host", "/srv/t.git", "ssh://host/srv/t.git"),
    "host:~/t.git": ("host", "~/t.git", "ssh://host/~/t.git"),
    "host:a:b/t.git": ("host", "a:b/t.git", "ssh://host/a:b/t.git"),
    "git+work:acme/t.git": ("work", "acme/t.git", "ssh://work/acme/t.git"),
    "[::1]:acme/t.git": ("[::1]", "acme/t.git", "ssh://[::1]/acme/t.git"),
    "git@[fe80::1]:t.git": ("git@[fe80::1]", "t.git", "ssh://git@[fe80::1]/t.git"),
    "[host:2222]:acme/t.git": ("[host:2222]", "acme/t.git", "ssh://host:2222/acme/t.git"),
}
LOCAL = {
    "/srv/t.git": "file:///srv/t.git",
    "./work:acme/t": "file://./work%3Aacme/t",
    "../t": "file://../t",
    "sub/work:acme": "file://sub/work%3Aacme",
    "template": "file://template",
    "/home/tess/a b#c?d%e": "file:///home/tess/a%20b%23c%3Fd%25e",
    "C:\\template": "file://C%3A%5Ctemplate",
}
URLS = {
    "https://github.com/acme/t.git": ("github.com", "acme/t"),
    "ssh://git@github.com:22/acme/t.git": ("github.com", "acme/t"),
    "git+https://github.com/acme/t.git": ("github.com", "acme/t"),
    "gh:acme/t": ("github.com", "acme/t"),
    "gl:acme/t.git": ("gitlab.com", "acme/t"),
    "git@GitHub.com:acme/t.git": ("github.com", "acme/t"),
    "github-work:acme/t.git": ("github-work", "acme/t"),
    "http://[half": ("", ""),
}


@pytest.mark.parametrize("source", SSH)
def test_ssh_address(source: str) -> None:
    """A colon before the first slash means SSH, with or without a user (field 24)."""
    host, path, url = SSH[source]
    assert split_ssh_address(expand_address(source)) == (host, path)
    assert not is_local_path(expand_address(source))
    assert build_url(source) == url
    assert format_uvx_requirement(source, "v1.0.0") == f"git+{url}@v1.0.0#subdirectory=toolkit"


@pytest.mark.parametrize("source", [item for item in SSH if not item.startswith("git+")])
def test_ssh_address_is_one_for_git(source: str, tmp_path: Path) -> None:
    """Git itself asks the same host by SSH (field 24)."""
    script = tmp_path / "ssh"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/asked\nexit 1\n')
    script.chmod(0o755)
    subprocess.run(
        ["git", "ls-remote", "--", source],
        env={"PATH": "/usr/bin:/bin", "GIT_SSH": str(script), "GIT_SSH_VARIANT": "ssh"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    asked = (tmp_path / "asked").read_text().splitlines()
    host, path, _ = SSH[source]
    bare = host.replace("[", "").replace("]", "")
    if host == "[host:2222]":
        assert asked[asked.index("-p") + 1] == "2222"
        bare = "host"
    assert bare in asked
    assert path.lstrip("/") in asked[-1]


@pytest.mark.parametrize("source", LOCAL)
def test_path_of_this_machine(source: str) -> None:
    """A slash before the first colon makes an address a path of this machine (field 24)."""
    assert split_ssh_address(expand_address(source)) is None
    assert is_local_path(expand_address(source))
    assert build_url(source) == LOCAL[source]
    assert split_host_and_path(source) == ("", "")


@pytest.mark.parametrize("source", URLS)
def test_host_and_path(source: str) -> None:
    """Host and path of an address are found in every form (field 24)."""
    assert split_host_and_path(source) == URLS[source]


def test_reason_names_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SSH alias that cannot be reached is not called a missing folder (field 24)."""
    monkeypatch.setenv("GIT_SSH_COMMAND", "echo no such alias >&2; false")
    with pytest.raises(RemoteError) as error:
        list_tags("github-work:acme/t.git")
    assert "no such folder" not in str(error.value)
    with pytest.raises(RemoteError, match="the folder does not exist"):
        list_tags("/nowhere/t.git")
