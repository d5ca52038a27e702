"""Every command is there, says what it does, and costs nothing until it is called."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from packer_toolkit.cli.main import COMMANDS, MODULES, group

pytestmark = pytest.mark.integration

# What a person who asks for help should not wait for.
SLOW = ("boto3", "botocore", "copier", "github", "hcl2", "jinja2", "questionary", "rich")


def module_of(command: str) -> str:
    """Return the module of a command."""
    return f"packer_toolkit.cli.{MODULES[command]}"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_command_has_help_for_itself_and_each_option(name: str) -> None:
    """A person never needs the manual to learn what an option does."""
    command = group.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert command.help
    subcommands = list(getattr(command, "commands", {}).values())
    for each in [command, *subcommands]:
        assert each.help, each.name
        for parameter in each.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{each.name} {parameter.opts}"  # type: ignore[attr-defined]
    shown = CliRunner().invoke(command, ["--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_imports_nothing_that_is_slow(name: str) -> None:
    """In a process of its own, as from the command line."""
    module = module_of(name) if name else "packer_toolkit.cli.main"
    script = f"import sys, {module}; print(*[n for n in {SLOW} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_help_lists_every_command() -> None:
    """In the order in which a person needs them."""
    shown = CliRunner().invoke(group, ["--help"]).output
    positions = [shown.index(f"\n  {name} ") for name in COMMANDS]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense"], "No such command 'nonsense'; see: packer-toolkit --help"),
        (["doctor", "x"], "Got unexpected extra argument (x); see: packer-toolkit doctor --help"),
        (
            ["collection", "init"],
            "Missing argument 'NAMESPACE.NAME'; see: packer-toolkit collection init --help",
        ),
        (
            ["sweep", "--finished-images"],
            "--finished-images needs --run-id; see: packer-toolkit sweep --help",
        ),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(words: list[str], says: str) -> None:
    """As every other error is."""
    command = [sys.executable, "-m", "packer_toolkit", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"packer-toolkit: {says}\n")
