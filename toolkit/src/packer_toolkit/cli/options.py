"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.answers_file import parse_answers

_Command = TypeVar("_Command", bound=Callable[..., Any])
_DATA = (
    "An answer that is new, or another than before.  The others stay as recorded, and "
    "new questions take their default."
)


def github_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --repository, --api-url and --patience to a command."""
    options = (
        click.option(
            "--repository",
            envvar="GITHUB_REPOSITORY",
            default="",
            metavar="OWNER/NAME",
            help="The repository on GitHub.  [GITHUB_REPOSITORY]",
        ),
        click.option(
            "--api-url",
            envvar="GITHUB_API_URL",
            default="https://api.github.com",
            help="The API; https://HOST/api/v3 on an Enterprise Server.  [GITHUB_API_URL]",
        ),
        click.option(
            "--patience",
            type=click.FloatRange(min=0),
            default=120,
            show_default=True,
            help="Seconds after which nothing is tried again, rate limits included.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def answers_options(function: _Command, data: str = _DATA) -> _Command:
    """Add --data, with its help, and --answers."""
    file = click.option(
        "--answers",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Answers to questions, in YAML; --data goes before it.",
    )
    single = click.option(
        "--data",
        "-d",
        multiple=True,
        metavar="QUESTION=ANSWER",
        help=data,
    )
    return single(file(function))


def trust_option(function: _Command) -> _Command:
    """Add --trust."""
    return click.option(
        "--trust",
        is_flag=True,
        help="Let the template run code, for this once; Copier's settings.yml does so for good.",
    )(function)


def answers_file_option(function: _Command) -> _Command:
    """Add --answers-file, which Copier has, too."""
    return click.option(
        "--answers-file",
        "-a",
        metavar="FILE",
        help="The answers file of this template, relative to the folder.  Default: the one that "
        "records its questions, whatever its name is.",
    )(function)


def collect_answers(data: tuple[str, ...], file: Path | None) -> dict[str, Any]:
    """Return the answers that were given on the command line.

    Raises:
        click.UsageError: when one has no equals sign.
        SetupError: when the file is no mapping in YAML.
    """
    found: dict[str, Any] = {}
    if file:
        try:
            found.update(parse_answers(file.read_bytes(), str(file)))
        except OSError as error:
            raise SetupError(f"{file} cannot be read: {error.strerror}") from None
    for item in data:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--data {item}: it takes QUESTION=ANSWER")
        found[name] = value
    return {name: value for name, value in found.items() if not name.startswith("_")}
