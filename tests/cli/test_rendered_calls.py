"""What rendered files call works with the toolkit of 1.1.0 and with today's (decision 49)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from record_commands import RECORD, resolve

from packer_toolkit.cli.main import group

TEMPLATE = Path(__file__).parents[2] / "template"
RECORDED = json.loads(RECORD.read_text())["1.1.0"]
CALL = re.compile(
    r"(?:toolkit(?:-host)?\.sh (?:--\S+ )*packer-toolkit|task toolkit --) (.*)$", re.M
)


def find_calls() -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the file, the command and its options of each call in a rendered file."""
    calls = []
    for file in sorted(TEMPLATE.rglob("*")):
        if not file.is_file():
            continue
        for line in CALL.findall(file.read_text()):
            words = line.replace("{{.CLI_ARGS}}", "").split()
            name = " ".join(word for word in words[:2] if re.fullmatch(r"[a-z][a-z-]*", word))
            options = (word.partition("=")[0] for word in words if word.startswith("--"))
            if words and not words[0].startswith(("COMMAND", "$", "--help")):
                calls.append((file.name, name, tuple(options)))
    return calls


CALLS = find_calls()


def test_the_calls_of_all_files_are_found() -> None:
    """The Taskfile and both workflows call the toolkit."""
    assert len(CALLS) > 20
    assert {"Taskfile.yml", "push-packer-build-ami.yml.jinja",
            "update-from-template.yml.jinja"} <= {file for file, _, _ in CALLS}  # fmt: skip


@pytest.mark.parametrize(("file", "name", "options"), CALLS)
def test_a_call_works_with_both_releases(file: str, name: str, options: tuple[str, ...]) -> None:
    """The command and its options exist in 1.1.0, and have a name of today."""
    assert name in RECORDED, file
    assert set(options) <= set(RECORDED[name]), file
    assert resolve(group, name.split())
