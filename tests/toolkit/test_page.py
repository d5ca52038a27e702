"""docs/toolkit.md says what the code does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from packer_toolkit import errors
from packer_toolkit.cli import COMMANDS, group
from rig.toolkit_image import versions

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "toolkit.md").read_text()
SOURCES = CHECKOUT / "toolkit" / "src" / "packer_toolkit"
OURS = ("aws_access.py", "doctor.py", "entrypoint.py", "identity.py", "legacy_deps.py", "cli.py")


def table(text: str) -> dict[str, str]:
    """Return the rows of a Markdown table with two columns, the first word of the second."""
    return dict(re.findall(r"^ *\| ([\d, +N]+) \| (.{20})", text, re.M))


def test_exit_codes_are_those_of_the_code() -> None:
    """The table of errors.py, and the shell's codes that the entry point adds."""
    written = table(PAGE)
    assert written.pop("126, 127")
    documented = {code: words[:13] for code, words in table(errors.__doc__ or "").items()}
    assert {code: words[:13] for code, words in written.items()} == documented
    codes = {each.code for each in vars(errors).values() if isinstance(each, type)
             and issubclass(each, errors.ToolkitError)}  # fmt: skip
    assert {str(code) for code in codes} <= set(written)


def test_every_command_is_on_the_page() -> None:
    """With the words of `--help`, and whether a program can read its answer."""
    rows = re.findall(r"^\| `packer-toolkit ([a-z-]+)` \| (.*?) \| (yes)? ?\|$", PAGE, re.M)
    assert {name: words for name, words, _ in rows} == dict(COMMANDS)
    for name, _, json in rows:
        command = group.get_command(None, name)  # type: ignore[arg-type]
        assert command
        each = [command, *getattr(command, "commands", {}).values()]
        options = {option for one in each for parameter in one.params for option in parameter.opts}
        assert ("--json" in options) == bool(json), name


def test_every_variable_that_is_read_is_on_the_page() -> None:
    """AWS's own aside, which AWS's pages explain."""
    read = set()
    for name in OURS:
        text = (SOURCES / name).read_text()
        read |= set(
            re.findall(r'(?:get\(|environ\[|in |SETTING = |\(|, )"([A-Z]+(?:_[A-Z]+)+)"', text)
        )
    read -= {"GITHUB_ACTIONS", "LC_ALL"}  # the runner's, and one that is set for others
    aws = {name for name in read if name.startswith("AWS_")} - {"AWS_REGION", "AWS_ACCOUNT_ID"}
    assert "LEGACY_SSM_PARAMETERS" in read
    missing = {name for name in read - aws if f"`{name}`" not in PAGE}
    assert not missing


def test_the_build_arguments_of_the_page_are_the_versions() -> None:
    """The command line makes them of versions.env."""
    command = re.search(r"\$\((sed .*?)\) --file", PAGE)
    assert command
    shown = subprocess.run(
        ["bash", "-c", command[1]], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    assert shown.splitlines() == [f"--build-arg={key}={value}" for key, value in versions().items()]


def test_every_option_of_the_environment_table_is_used() -> None:
    """A variable that nothing reads is a promise that nothing keeps."""
    code = "".join(file.read_text() for file in SOURCES.rglob("*.py"))
    code += (CHECKOUT / "toolkit" / "Dockerfile").read_text()
    section = PAGE.partition("### Environment variables")[2].partition("###")[0]
    for row in re.findall(r"^\| (`[^|]+) \|", section, re.M):
        for name in re.findall(r"`([A-Z_]+)`", row):
            assert name in code, name
