"""Tools come in the pinned versions, and a missing one is said, not passed over."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig import CHECKOUT
from rig.host import tools
from rig.host.machine import HOST_ENV

MODULES = CHECKOUT / "tests/rig/host/tools"


def pins(module: str) -> dict[str, str]:
    """Return the versions that a go.mod requires directly, keyed by module path."""
    text = (MODULES / module / "go.mod").read_text()
    return dict(re.findall(r"^\s*(\S+) v(\S+)(?: // indirect)?$", text, re.M))


def test_packer_and_its_plugins_have_the_pinned_versions(
    packer: tools.Packer, tmp_path: Path
) -> None:
    """What runs is what tests/rig/host/tools/packer/go.mod says."""
    pinned = pins("packer")
    version = packer.run("version", cwd=tmp_path).stdout.splitlines()[0]
    assert version == f"Packer v{pinned['github.com/hashicorp/packer']}" == "Packer v1.16.0"
    installed = packer.run("plugins", "installed", cwd=tmp_path).stdout
    found = dict(re.findall(r"packer-plugin-(\w+)_v([\d.]+)", installed))
    assert found == {
        name: pinned[f"github.com/hashicorp/packer-plugin-{name}"]
        for name in ("amazon", "ansible", "docker")
    }
    assert found == {"amazon": "1.8.2", "ansible": "1.1.2", "docker": "1.1.2"}


def test_packer_init_needs_no_network(packer: tools.Packer, tmp_path: Path) -> None:
    """Ranges, as a rendered repository states them, are met by the installed plugins."""
    (tmp_path / "versions.pkr.hcl").write_text(
        'packer {\n  required_version = ">= 1.11"\n  required_plugins {\n'
        + "".join(
            f'    {name} = {{\n      source  = "github.com/hashicorp/{name}"\n'
            f'      version = "~> {version}"\n    }}\n'
            for name, version in [("amazon", "1.8"), ("ansible", "1.1"), ("docker", "1.1")]
        )
        + "  }\n}\n"
    )
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    assert packer.run("init", ".", cwd=tmp_path, env=nowhere).returncode == 0


def test_packer_runs_without_the_hosts_libraries(packer: tools.Packer) -> None:
    """It is static, so that a container of any distribution can run it."""
    found = subprocess.run(["ldd", packer.path], capture_output=True, text=True, check=False)
    assert "not a dynamic executable" in found.stderr


def test_actionlint_has_the_pinned_version() -> None:
    """Built from tests/rig/host/tools/actions, not taken from PATH."""
    program = tools.require("actionlint")
    found = subprocess.run([program, "-version"], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[0] == "v" + pins("actions")["github.com/rhysd/actionlint"]


def test_checkov_runs_from_an_environment_of_its_own() -> None:
    """Its old pins do not hold the tests' own packages back."""
    program = tools.require("checkov")
    found = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    locked = CHECKOUT.joinpath("uv.lock").read_text()
    assert f'name = "checkov"\nversion = "{found.stdout.strip()}"' in locked


def test_tools_of_the_environment_come_before_those_of_the_machine() -> None:
    """The linters' versions are those of uv.lock, whatever is installed besides."""
    for name in ("ruff", "ansible-playbook", "task", "shellcheck", "moto_server"):
        program = tools.require(name)
        assert program.parent == Path(sys.executable).parent, program


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_missing_tool_skips_here_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """CI cannot turn green by losing a tool."""
    monkeypatch.setattr("rig.host.machine.HOST_ENV", {**HOST_ENV, "CI": ci})
    with pytest.raises(outcome, match="no-such-tool is not installed"):
        tools.require("no-such-tool")


def test_reason_tells_how_to_get_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """A skipped test names the command that would make it run."""
    monkeypatch.setattr("rig.host.machine.HOST_ENV", {})
    monkeypatch.setattr("rig.host.tools.HOST_ENV", {"PATH": "/nowhere"})
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match="apt-get install ruby"):
        tools.require("ruby")


def test_a_failed_build_shows_what_go_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And leaves no half-made binary that a later run would take for a good one."""
    module = tmp_path / "broken"
    module.mkdir()
    (module / "go.mod").write_text("module broken\n\ngo 1.24\n")
    (module / "go.sum").write_text("")
    (module / "main.go").write_text("package main\n\nfunc main() { nothing() }\n")
    monkeypatch.setattr(tools, "MODULES", tmp_path)
    monkeypatch.setattr("rig.host.cache.CACHE_ROOT", tmp_path / "cache")
    tools.require("go")
    with pytest.raises(tools.ToolError, match="undefined: nothing"):
        tools._go_build("broken", ["."], "", "-s")
    assert not list((tmp_path / "cache").rglob("bin"))
