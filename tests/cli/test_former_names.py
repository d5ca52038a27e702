"""Every command and option of a release of 1.x works until the next major release after 2.0."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from record_commands import RECORD, make_plain, parse, resolve

from packer_toolkit.cli.main import FORMER_COMMANDS, group

RELEASES: dict[str, dict[str, dict[str, Any]]] = json.loads(RECORD.read_text())
COMMANDS = [(release, words) for release, commands in RELEASES.items() for words in commands]
# Defaults that are written out today, where 1.x had none and its command filled in the same.
WRITTEN_OUT = {("template-pr", "--branch"): "update-from-template", ("summary", "--outcome"): None}


@pytest.fixture(autouse=True)
def clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the variables that set options."""
    for commands in RELEASES.values():
        for options in commands.values():
            for recorded in options.values():
                if recorded["variable"]:
                    monkeypatch.delenv(recorded["variable"], raising=False)
    for name in ("GITHUB_RUN_ID", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)


def find_option(command: click.Command, name: str) -> click.Option:
    """Return the option that a name of today or before sets."""
    for option in command.params:
        if isinstance(option, click.Option) and name in (
            *option.opts, *getattr(option, "former", ()),
        ):  # fmt: skip
            return option
    raise AssertionError(f"{command.name} has no option {name}")


def test_the_releases_are_recorded() -> None:
    """The record has both releases of 1.x, each with its 21 commands."""
    assert [len(RELEASES[release]) for release in ("1.0.0", "1.1.0")] == [21, 21]


@pytest.mark.parametrize(("release", "words"), COMMANDS)
def test_a_former_command_is_todays(release: str, words: str) -> None:
    """A command of 1.x and the one that replaces it are the same object."""
    del release
    today = FORMER_COMMANDS.get(words, words).split()
    assert resolve(group, words.split()) is resolve(group, today)


@pytest.mark.parametrize(("release", "words"), COMMANDS)
def test_former_options_set_the_same_values(release: str, words: str) -> None:
    """Options of 1.x, their defaults and variables give a command the same values."""
    command = resolve(group, words.split())
    defaults = parse(command, [])
    assert RELEASES[release][words]
    for name, recorded in RELEASES[release][words].items():
        option = find_option(command, name)
        assert option.name
        assert make_plain(parse(command, recorded["arguments"])[option.name]) == recorded["value"]
        default = WRITTEN_OUT.get((words, name), recorded["default"])
        assert make_plain(defaults[option.name]) == default, name
        assert option.envvar == recorded["variable"], name


@pytest.mark.parametrize("words", FORMER_COMMANDS)
def test_a_former_name_is_not_listed(words: str) -> None:
    """`--help` shows no name of 1.x, neither of commands nor of options."""
    context = click.Context(group, info_name="packer-toolkit")
    assert f"\n  {words} " not in group.get_help(context)
    command = resolve(group, words.split())
    text = command.get_help(click.Context(command, info_name=words))
    for option in command.params:
        for name in getattr(option, "former", ()):
            assert f"{name} " not in text
