"""What a job prints holds no command for GitHub's runner, unless the toolkit gives one."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import click
import pytest

from packer_toolkit.build.host import Host
from packer_toolkit.build.masking import Mask
from packer_toolkit.build.packer_process import PackerProcess
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.github.runner_commands import escape_commands, escape_output, print_command
from packer_toolkit.signals import ReceivedSignals
from rig.aws import Ec2
from rig.github import GitHub, Repository
from rig.host.tools import Packer
from rig.repositories.build_reports import REPOSITORY
from rig.repositories.repository import add_script, small_repository
from rig.repositories.template import git
from rig.run.toolkit_process import Toolkit

# What the runner leaves out at the start of a line; it does not read a byte order mark either.
BLANK = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\ufeff"


def find_commands(output: str) -> list[str]:
    """Return the lines in which the runner finds a command, as its parser reads them."""
    lines = re.split(r"\r\n|\r|\n", output)
    return [line for line in lines if line.lstrip(BLANK).startswith("::") or "##[" in line]


COMMANDS = [
    "::add-mask::x",
    "  \t::error title=x::y",
    "\u00a0\u2003::warning::x",
    "\ufeff::debug::x",
    "a line\n::stop-commands::x",
    "progress\r::error::x",
    "progress\r\n  ::error::x",
    "\n\n::group::x",
    ":::error::x",
    "==> amazon-ebs.x86_64: ##[add-mask]x",
    "##[##[error]x",
    "###[stop-commands]x",
    "a##[add-matcher]x\n::error::y ##[error]z",
]


@pytest.mark.parametrize("text", COMMANDS)
def test_commands_are_escaped(text: str) -> None:
    """The runner finds no command in what is printed, in one part or in many (review R9)."""
    assert find_commands(text)
    escaped = escape_commands(text)
    assert find_commands(escaped) == []
    assert escape_commands(escaped) == escaped
    assert re.sub(r"(?<=:) (?=:)|(?<=##) (?=\[)", "", escaped) == text


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("text", COMMANDS)
def test_commands_in_parts_are_escaped(
    text: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is written in several parts is escaped as if it came at once (review R9)."""
    printed = io.StringIO(newline="")
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with escape_output():
        for begin in range(0, len(text), size):
            sys.stdout.write(text[begin : begin + size])
    assert printed.getvalue() == escape_commands(text)


@pytest.mark.parametrize("text", ["a::b", "std::vector x", "==> a: ::b", "## [x]", "# [", "::"])
def test_other_text_stays_as_it_is(text: str) -> None:
    """Text without a command is printed unchanged, as all of it is outside of a workflow."""
    assert escape_commands(f"x{text}") == f"x{text}"


def test_commands_of_the_toolkit_itself_reach_the_runner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command of the toolkit is carried out, and what it quotes is not (review R9)."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    before = sys.stdout
    with escape_output():
        print_command("::warning title=x::said ##[error]y")
        click.echo("::warning::x")
    assert sys.stdout is before
    assert capsys.readouterr().out == "::warning title=x::said ## [error]y\n: :warning::x\n"
    monkeypatch.delenv("GITHUB_ACTIONS")
    with escape_output():
        click.echo("::warning::x")
    assert capsys.readouterr().out == "::warning::x\n"


def test_a_build_gives_the_runner_no_commands(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """Scripts of a build, and errors of Packer, give the runner no command (review R9)."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    lines = ("##[add-mask]evil", "::stop-commands::evil", "x\\r::error::evil", "x\\r##[error]evil")
    add_script(repository, "10-speak.sh", "\n".join(f"printf '{line}\\n'" for line in lines))
    env = {
        **packer.env,
        "GITHUB_ACTIONS": "true",
        "PATH": f"{packer.path.parent}:{os.environ['PATH']}",
    }
    done = ec2.run(["packer-toolkit", "build"], cwd=repository, env=env)
    assert done.code == 0, done.output
    assert done.output.count("evil") >= len(lines)
    assert find_commands(done.output) == []

    (repository / "evil.pkr.hcl").write_text("::error::evil {\n##[error]evil\n")
    done = ec2.run(["packer-toolkit", "build"], cwd=repository, env=env)
    assert done.code != 0
    assert find_commands(done.output) == []


@pytest.mark.integration
def test_the_reader_of_packer_escapes_for_each_caller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The console gets lines without commands in a job, and all lines elsewhere (review R9)."""
    packer = tmp_path / "packer"
    packer.write_text("#!/bin/sh\nprintf '::error::x\\n==> a.b: ##[error]y\\n'\n")
    packer.chmod(0o755)
    for name, expected in (("true", [": :error::x\n", "==> a.b: ## [error]y\n"]),
                           ("", ["::error::x\n", "==> a.b: ##[error]y\n"])):  # fmt: skip
        lines: list[str] = []
        environment = {"PATH": os.environ["PATH"], "GITHUB_ACTIONS": name}
        request = BuildRequest.read((), environment)
        console = Host(lines.append, str)
        PackerProcess(request, console, ReceivedSignals(), Mask(environment)).run(str(packer))
        assert lines == expected


def test_findings_give_the_runner_no_commands(template: Path, tmp_path: Path) -> None:
    """The only commands of `check` are its annotations, whatever files are called (review R9)."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    for name in ("::error::evil.yml", "##[error]evil.yml"):
        (repository / name).write_text("a:  b\n")
    git(repository, "add", "--all")
    said = Toolkit(repository, {}).run("check", "--only=yamllint", code=1, GITHUB_ACTIONS="true")
    found = find_commands(said.stdout + said.stderr)
    assert len(found) == 4
    assert all(line.startswith("::error file=") and "##[" not in line for line in found)


@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_answers_of_services_give_the_runner_no_commands(
    tmp_path: Path, github: GitHub, hub: Repository, strict: list[str]
) -> None:
    """What GitHub answers is shown, and is no command of the runner's (review R9)."""
    del hub
    github.fault("GET", "/issues", 422, message="\n::error::evil ##[error]evil")
    env = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": "t"}
    options = ["--outcome=failure", "--kind=daily", *strict]
    toolkit = Toolkit(tmp_path, {**env, "GITHUB_ACTIONS": "true"})
    said = toolkit.run("report", *options, code=4 if strict else 0)
    assert "evil" in said.stderr
    (warning,) = find_commands(said.stdout + said.stderr)
    assert warning.startswith("::warning title=packer-toolkit::")
