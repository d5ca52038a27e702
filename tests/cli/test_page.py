"""docs/toolkit.md says what the code does."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from pathlib import Path

import pytest

from packer_toolkit import errors
from packer_toolkit.cli.main import COMMANDS, FORMER_COMMANDS, load_command
from rig.docker.toolkit_image import versions

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "toolkit.md").read_text()
SOURCES = CHECKOUT / "toolkit" / "src" / "packer_toolkit"


def table(text: str) -> dict[str, str]:
    """Return the rows of a Markdown table with two columns, the first of which are exit codes."""
    return dict(re.findall(r"^ *\| ([\d, +N]+) \| (.+) \|$", text, re.M))


def test_exit_codes_are_those_of_the_code() -> None:
    """The page has the table of errors.py, and the codes that the entry point adds (issue 12)."""
    written = table(PAGE)
    assert written.pop("126, 127")
    documented = table(errors.__doc__ or "")
    assert written == {code: words.split(" (Click's")[0] for code, words in documented.items()}
    codes = {str(each.code) for each in vars(errors).values() if isinstance(each, type)
             and issubclass(each, errors.ToolkitError)}  # fmt: skip
    assert codes == written.keys() - {"0", "2", "128 + N"}  # success, Click's own, and signals


def test_every_command_is_on_the_page() -> None:
    """The page lists each command with the sentence of `--help`, and all of them have --json."""
    section = PAGE.partition("## Commands")[2].partition("###")[0]
    rows = re.findall(r"^\| `packer-toolkit ([a-z -]+)` \| (.*?) \|$", section, re.M)
    groups = {words.partition(" ")[0] for words in COMMANDS if " " in words}
    assert dict(rows) == {name: words for name, words in COMMANDS.items() if name not in groups}
    for name, _ in rows:
        command = load_command(name)
        for each in [*getattr(command, "commands", {}).values()] or [command]:
            options = {option for parameter in each.params for option in parameter.opts}
            assert "--json" in options, name


def test_former_names_are_on_the_page() -> None:
    """The page lists the names of 1.x with today's."""
    section = PAGE.partition("### Names of 1.x")[2].partition("\n##")[0]
    rows = dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", section, re.M))
    former = {f"packer-toolkit {old}": f"packer-toolkit {new}"
              for old, new in FORMER_COMMANDS.items()}  # fmt: skip
    former |= {
        "template-update --undo": "template undo",
        "template-pr --checked RESULT": "pipeline status --outcome RESULT",
    }
    for old, new in FORMER_COMMANDS.items():
        for option in load_command(new).params:
            for name in getattr(option, "former", ()):
                former[f"{old} {name}"] = option.opts[0]
    former["format --dry-run"] = "--check"
    assert rows == former


@functools.cache
def read_variables() -> set[str]:
    """Return the variables of the environment that the toolkit reads, options of commands too."""
    found = set()
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            read: list[ast.expr] = []
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", "")
                read = node.args[:1] if name in ("get", "getenv") else []
                read += [keyword.value for keyword in node.keywords if keyword.arg == "envvar"]
            elif isinstance(node, ast.Subscript):
                read = [node.slice]
            elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
                read = [node.left]
            elif isinstance(node, ast.Assign):  # SETTING = "…"
                read = [node.value]
            for value in read:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found |= set(re.findall(r"^[A-Z][A-Z\d]*(?:_[A-Z\d]+)+$", value.value))
    return found


def test_every_variable_that_is_read_is_on_a_page() -> None:
    """Or a workflow sets it; the runner's, AWS's, Ansible's and git's aside (issue 12)."""
    read = read_variables()
    assert {"LEGACY_SSM_PARAMETERS", "PACKER_BUILD_BUNDLE", "PACKER_CREDENTIALS_SECONDS"} <= read
    pages = [*(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / "template").glob("*/workflows/*")]
    written = "".join(page.read_text() for page in pages)
    # build.py sets this one for provisioners/inspec.sh.
    theirs = r"(?:GITHUB|ACTIONS|ANSIBLE|GIT|XDG)_|AWS_(?!REGION|ACCOUNT_ID)|.*_INSPEC_REPORTS$"
    ours = {name for name in read if not re.match(theirs, name)}
    assert ours <= set(re.findall(r"\w+", written))


@pytest.mark.integration
def test_the_build_arguments_of_the_page_are_the_versions() -> None:
    """The command line makes them of versions.env."""
    command = re.search(r"\$\((sed .*?)\) --file", PAGE)
    assert command
    shown = subprocess.run(
        ["bash", "-c", command[1]], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    assert shown.splitlines() == [f"--build-arg={key}={value}" for key, value in versions().items()]


def test_every_variable_of_the_environment_table_is_read() -> None:
    """A variable that nothing reads is a promise that nothing keeps (issue 12)."""
    section = PAGE.partition("### Environment variables")[2].partition("###")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.M)
    names = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert len(names) > 7
    assert names <= read_variables()
