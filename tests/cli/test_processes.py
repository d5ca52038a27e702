"""The command line in a process of its own: its imports, errors and exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from packer_toolkit.cli.main import COMMANDS

pytestmark = pytest.mark.integration

# Libraries that `--help` must not wait for.
SLOW = ("boto3", "botocore", "copier", "github", "hcl2", "jinja2", "questionary", "rich")


@pytest.mark.parametrize("words", ["", *COMMANDS])
def test_help_imports_nothing_that_is_slow(words: str) -> None:
    """`--help`, in a process of its own, imports no library that takes long."""
    script = (
        "import sys; from click.testing import CliRunner; from packer_toolkit.cli.main import "
        f"group; CliRunner().invoke(group, {[*words.split(), '--help']}); "
        f"print(*[name for name in {SLOW} if name in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "No such command 'nonsense'; see: packer-toolkit --help"),
        (
            ["template", "nonsense"],
            "No such command 'nonsense'; see: packer-toolkit template --help",
        ),
        (["doctor", "x"], "Got unexpected extra argument (x); see: packer-toolkit doctor --help"),
        (
            ["collection", "init"],
            "Missing argument 'NAMESPACE.NAME'; see: packer-toolkit collection init --help",
        ),
        (
            ["sweep", "--finished-images"],
            "--finished-images needs --run-id; see: packer-toolkit sweep --help",
        ),
        (
            ["cleanup", "--max-deletions=x"],
            "Invalid value for '--max-deletions': 'x' is not a valid integer range; "
            "see: packer-toolkit cleanup --help",
        ),
    ],
)
def test_an_error_of_the_command_line_is_one_line(words: list[str], message: str) -> None:
    """A wrong command line exits with 2 and names the help of the command."""
    command = [sys.executable, "-m", "packer_toolkit", *words]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (2, f"packer-toolkit: {message}\n")


@pytest.mark.parametrize("words", [[], ["template"], ["pipeline"], ["collection"]])
def test_a_group_alone_prints_its_help(words: list[str]) -> None:
    """A group without a command lists its commands, and exits with 2."""
    command = [sys.executable, "-m", "packer_toolkit", *words]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "Commands:" in process.stderr
