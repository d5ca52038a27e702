"""One test run is one run, however many workers it has; and each test starts clean."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rig import CHECKOUT
from rig.host.cache import cache_dir, fingerprint
from rig.host.session import Session


def test_first_to_ask_starts_and_the_others_get_the_result(tmp_path: Path) -> None:
    """Workers hand over what they need to reach a shared service as JSON."""
    session = Session(tmp_path / "run", owner_pid=1)
    other_worker = Session.told(session.as_json())
    assert session.started("service") is None
    assert session.once("service", lambda: {"port": 1}) == {"port": 1}
    assert other_worker.once("service", lambda: {"port": 2}) == {"port": 1}
    assert other_worker.started("service") == {"port": 1}
    session.forget()
    assert not session.directory.exists()


def test_failed_start_is_tried_again(tmp_path: Path) -> None:
    """One worker's failure does not hand half a result to the next."""
    session = Session(tmp_path / "run", owner_pid=1)

    def fail() -> dict[str, int]:
        raise OSError("no port")

    with pytest.raises(OSError, match="no port"):
        session.once("service", fail)
    assert session.once("service", lambda: {"port": 1}) == {"port": 1}


def test_cache_lies_outside_the_checkout_and_the_tests_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """HOME is the test's own by now; the cache is the machine's."""
    assert CHECKOUT not in cache_dir().parents
    assert Path.home() not in cache_dir().parents
    monkeypatch.setattr("rig.host.cache.CACHE_ROOT", tmp_path)
    assert cache_dir("a", "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()


def test_cache_follows_the_variables() -> None:
    """Its own variable comes before XDG_CACHE_HOME, and that before HOME."""

    def root(**variables: str) -> str:
        script = "from rig.host.cache import CACHE_ROOT; print(CACHE_ROOT)"
        env = {"PYTHONPATH": str(CHECKOUT / "tests"), "HOME": "/h", **variables}
        return subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert root() == "/h/.cache/template-packer-ami"
    assert root(XDG_CACHE_HOME="/x") == "/x/template-packer-ami"
    assert root(XDG_CACHE_HOME="/x", TEMPLATE_PACKER_AMI_CACHE="/t") == "/t"


def test_fingerprint_tells_contents_apart(tmp_path: Path) -> None:
    """Neither the order nor the borders of the parts are lost."""
    file = tmp_path / "file"
    file.write_text("ab")
    assert fingerprint(file) == fingerprint("ab") == fingerprint(b"ab")
    assert len({fingerprint("ab"), fingerprint("a", "b"), fingerprint("b", "a")}) == 3


def test_git_knows_only_the_tests_own_configuration(tmp_path: Path) -> None:
    """Neither a person's signing key nor a runner's GIT_DIR reaches a test."""
    shown = subprocess.run(
        ["git", "config", "--list", "--show-origin"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "tess@example.com" in shown
    assert {line.split("\t")[0] for line in shown.splitlines()} == {
        f"file:{os.environ['GIT_CONFIG_GLOBAL']}"
    }
    assert "GIT_DIR" not in os.environ


def test_home_is_empty() -> None:
    """What another test wrote into HOME is not in this one's."""
    assert list(Path.home().iterdir()) == []
