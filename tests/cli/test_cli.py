"""The command line: names, groups, help texts and errors."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from packer_toolkit.cli import options
from packer_toolkit.cli.main import COMMANDS, FORMER_COMMANDS, group, load_command

GROUPS = ("template", "pipeline")
# Options whose help text is different in two commands, because they set different things.
OWN_TEXTS = {
    "--answers-file", "-a",  # adopt creates the file
    "--region", "--commit", "--force", "--repository", "--template", "--vcs-ref", "--outcome",
    "--kind",
}  # fmt: skip


def list_commands() -> Iterator[tuple[str, click.Command]]:
    """Yield the words and the object of every group and command."""
    for words in COMMANDS:
        command = load_command(words)
        yield words, command
        if words not in GROUPS:
            for name, child in getattr(command, "commands", {}).items():
                yield f"{words} {name}", child


EVERY = dict(list_commands())


def list_options(command: click.Command) -> list[click.Option]:
    """Return the options of a command that `--help` shows."""
    return [each for each in command.params if isinstance(each, click.Option) and not each.hidden]


def read_first_sentence(command: click.Command) -> str:
    """Return the first paragraph of a command's help."""
    return " ".join((command.help or "").partition("\n\n")[0].split())


def test_the_first_level_is_short() -> None:
    """A user who reads `--help` for the first time sees about ten names."""
    names = group.list_commands(click.Context(group))
    assert names[:3] == ["build", "cleanup", "check"]
    assert {"collection", "template", "pipeline", "ssm-files"} <= set(names)
    assert len(names) <= 12


def test_the_groups_have_these_commands() -> None:
    """The words of the groups are part of the contract."""
    expected = {
        "template": {"check", "diff", "update", "undo", "pr", "adopt", "fleet"},
        "pipeline": {"plan", "summary", "pack", "attach", "issue", "status"},
        "collection": {"init", "install", "update"},
    }
    missing = {}
    for name, words in expected.items():
        command = EVERY[name]
        assert isinstance(command, click.Group)
        missing[name] = words - set(command.list_commands(click.Context(command)))
    assert missing == {"template": set(), "pipeline": set(), "collection": set()}


@pytest.mark.parametrize("words", ["", *COMMANDS, *FORMER_COMMANDS])
def test_help_lists_commands_or_options(words: str) -> None:
    """`--help` of every group and command, by today's and former names, exits with 0."""
    result = CliRunner().invoke(group, [*words.split(), "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: packer-toolkit {words}".rstrip() in result.output


@pytest.mark.parametrize("words", COMMANDS)
def test_the_list_shows_the_first_sentence_of_the_help(words: str) -> None:
    """What a list of commands and what the command's own help say is the same."""
    assert read_first_sentence(EVERY[words]) == COMMANDS[words]


@pytest.mark.parametrize("words", EVERY)
def test_help_is_an_imperative_sentence(words: str) -> None:
    """The help of every command and option is a sentence with a capital and a period."""
    command = EVERY[words]
    assert re.fullmatch(r"[A-Z][a-z]+,? .+\.", read_first_sentence(command))
    for option in list_options(command):
        assert option.help, option.opts
        sentences = re.sub(r"  \[default: .*\]$", "", option.help)
        assert re.fullmatch(r"[A-Z].+\.", sentences), option.opts


@pytest.mark.parametrize(
    "words", [words for words in EVERY if words not in (*GROUPS, "collection")]
)
def test_every_exit_code_is_in_the_help(words: str) -> None:
    """Each command documents its exit codes."""
    assert "Exit code" in (EVERY[words].help or "")


def test_an_option_with_a_value_shows_its_default() -> None:
    """The help of an optional option names its default, unless the command is useful without it."""
    unexplained = {
        (words, option.opts[0])
        for words, command in EVERY.items()
        for option in list_options(command)
        if not (option.is_flag or option.multiple or option.required or option.envvar)
        and "default: " not in str(option.get_help_record(click.Context(command)))
    }
    assert {name for _, name in unexplained} == {
        "--data-file", "--fetch", "--from", "--from-file", "--local", "--organization", "--save",
        "--template",
    }  # fmt: skip


def test_a_shared_option_has_one_help_text() -> None:
    """An option with one name in several commands is defined once."""
    texts: dict[str, set[str]] = {}
    for command in EVERY.values():
        for option in list_options(command):
            for name in option.opts:
                texts.setdefault(name, set()).add(option.help or "")
    assert {name for name, each in texts.items() if len(each) > 1} <= OWN_TEXTS


def test_copiers_options_have_copiers_names() -> None:
    """Options that Copier has are called as there."""
    copier = {"--vcs-ref", "--data", "--data-file", "--answers-file"}
    for words in ("template update", "template diff", "template pr", "template adopt"):
        names = {name for option in list_options(EVERY[words]) for name in option.opts}
        assert copier <= names, words
    names = {name for option in list_options(EVERY["template adopt"]) for name in option.opts}
    assert "--defaults" in names


def complete(words: str, incomplete: str) -> list[str]:
    """Return what a shell completes, as its function asks the program."""
    from click.shell_completion import BashComplete

    completion = BashComplete(group, {}, "packer-toolkit", "_PACKER_TOOLKIT_COMPLETE")
    return [each.value for each in completion.get_completions(words.split(), incomplete)]


def test_a_shell_completes_groups_commands_and_options() -> None:
    """Click's completion finds today's names, and no former one."""
    assert complete("", "") == group.list_commands(click.Context(group))
    assert complete("template", "") == ["check", "diff", "update", "undo", "pr", "adopt", "fleet"]
    assert complete("pipeline", "p") == ["plan", "pack"]
    assert complete("", "sw") == []
    assert complete("template update", "--vcs") == ["--vcs-ref"]
    assert complete("template update", "--to") == complete("template update", "--undo") == []
    assert complete("cleanup", "--m") == ["--max-deletions"]


def test_answers_are_read_from_data_and_file(tmp_path: options.Path) -> None:
    """--data overrides --data-file, and Copier's own keys are left out."""
    file = tmp_path / "answers.yml"
    file.write_text("_commit: v1\nimage_name: web\nregion: eu-west-1\n")
    answers = options.collect_answers(("image_name=db",), file)
    assert answers == {"image_name": "db", "region": "eu-west-1"}
    with pytest.raises(click.UsageError, match="--data x: must be QUESTION=ANSWER"):
        options.collect_answers(("x",), None)
    with pytest.raises(options.SetupError, match="cannot be read"):
        options.collect_answers((), tmp_path)
