"""Record the commands and options of a release, which later releases must still accept.

`released_commands.json` has one entry for each release.  To add one, unpack the sources of the
release's commit, and name the folder with its package:

    git archive COMMIT toolkit/src | tar -x -C FOLDER
    PYTHONPATH=FOLDER/toolkit/src .venv/bin/python tests/cli/record_commands.py RELEASE
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

RECORD = Path(__file__).with_name("released_commands.json")
# Stands for the path of a file that exists.
FILE = "FILE"
# Values of parameters whose type accepts only some strings.
SAMPLES = {
    "--assume-role": "arn:aws:iam::111122223333:role/packer",
    "--data": "image_name=web",
    "--region": "eu-west-1",
}


def find_commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Yield the words of each command below a group, except those of groups."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from find_commands(command, (*words, name))
        else:
            yield [*words, name]


def resolve(group: click.Group, words: list[str]) -> click.Command:
    """Return the command of some words."""
    command: click.Command = group
    for word in words:
        assert isinstance(command, click.Group)
        child = command.get_command(click.Context(command), word)
        assert child is not None, words
        command = child
    return command


def parse(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """Return the values of the parameters, by name, without calling the command."""
    required = []
    for parameter in command.params:
        option = parameter.opts[0]
        if parameter.required and option not in arguments:
            required += ["acme.web"] if parameter.param_type_name == "argument" else [option, "v1"]
    arguments = [__file__ if each == FILE else each for each in [*arguments, *required]]
    return dict(command.make_context(command.name, arguments).params)


def make_sample(option: click.Parameter, name: str) -> list[str]:
    """Return arguments that set an option by one of its names."""
    if getattr(option, "is_flag", False):
        return [name]
    if option.opts[0] in SAMPLES:
        return [name, SAMPLES[option.opts[0]]]
    if isinstance(option.type, click.Choice):
        return [name, str(option.type.choices[-1])]
    if isinstance(option.type, click.Path):
        return [name, "." if option.type.dir_okay else FILE]
    if isinstance(option.type, click.File):
        return [name, "-"]
    return [name, "7"]


def make_plain(value: object) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, (list, tuple)):
        return [make_plain(each) for each in value]
    if hasattr(value, "read"):
        return "a stream"
    if str(value) == __file__:
        return FILE
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def describe(command: click.Command) -> dict[str, Any]:
    """Return the defaults of a command and the value that each name of an option sets."""
    defaults = parse(command, [])
    options = {}
    for parameter in command.params:
        if not isinstance(parameter, click.Option):
            continue
        for name in parameter.opts:
            arguments = make_sample(parameter, name)
            assert parameter.name
            options[name] = {
                "default": make_plain(defaults[parameter.name]),
                "variable": parameter.envvar,
                "arguments": arguments,
                "value": make_plain(parse(command, arguments)[parameter.name]),
            }
    return options


def format_record(record: Any, depth: int = 3) -> str:
    """Return JSON with one line for each option, so that a difference can be read."""
    if not depth or not isinstance(record, dict):
        return json.dumps(record)
    indent = "  " * (4 - depth)
    parts = [f"{indent}{json.dumps(key)}: {format_record(value, depth - 1)}"
             for key, value in record.items()]  # fmt: skip
    text = "{\n" + ",\n".join(parts) + f"\n{indent[2:]}}}"
    return text + "\n" if depth == 3 else text


def main(release: str) -> None:
    """Add a release to the record."""
    try:
        from packer_toolkit.cli.main import group
    except ImportError:  # before 2.0
        from packer_toolkit.cli import group  # type: ignore[attr-defined, no-redef]
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    record[release] = {
        " ".join(words): describe(resolve(group, words)) for words in find_commands(group)
    }
    RECORD.write_text(format_record(record))


if __name__ == "__main__":
    main(*sys.argv[1:])
