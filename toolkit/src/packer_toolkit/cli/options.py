"""Options that several commands share, each with one name and one help text, and what they do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.answers_file import parse_answers

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Option(click.Option):
    """An option that also accepts the names of earlier releases, which `--help` does not show.

    Attributes:
        former: Names that are accepted until the next major release after 2.0.
    """

    def __init__(self, *args: Any, former: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.former = former

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Register all names with the parser, and keep `opts` for help, errors and completion."""
        names = self.opts
        self.opts = [*names, *self.former]
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts = names


def renamed_option(
    *names: str, former: tuple[str, ...], **attributes: Any
) -> Callable[[_Command], _Command]:
    """Return a decorator as `click.option` does, for an option that had other names before."""
    return click.option(*names, cls=Option, former=former, **attributes)


def json_option(command: _Command) -> _Command:
    """Add --json to a command."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as JSON to standard output, and everything else to standard error.",
    )(command)


def print_json(value: object) -> None:
    """Print the result of a command with --json.

    Args:
        value: A value for JSON, in which dataclasses become objects.
    """
    click.echo(json.dumps(value, indent=2, default=asdict))


def dry_run_option(command: _Command) -> _Command:
    """Add --dry-run to a command."""
    return click.option(
        "--dry-run", is_flag=True, help="Show what would be done, and change nothing."
    )(command)


def yes_option(command: _Command) -> _Command:
    """Add --yes to a command."""
    return click.option("--yes", is_flag=True, help="Do not ask for confirmation.")(command)


def timeout_option(default: float) -> Callable[[_Command], _Command]:
    """Return a decorator that adds --timeout.

    Args:
        default: Seconds.
    """
    return renamed_option(
        "--timeout",
        former=("--patience",),
        type=click.FloatRange(min=0),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help="Stop retrying requests after this many seconds, including waits for rate limits.",
    )


def api_url_option(command: _Command) -> _Command:
    """Add --api-url to a command."""
    return click.option(
        "--api-url",
        envvar="GITHUB_API_URL",
        default="https://api.github.com",
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="URL of GitHub's API; https://HOST/api/v3 for GitHub Enterprise Server.",
    )(command)


def github_options(command: _Command) -> _Command:
    """Add --repository, --api-url and --timeout to a command."""
    repository = click.option(
        "--repository",
        envvar="GITHUB_REPOSITORY",
        default="",
        show_envvar=True,
        metavar="OWNER/NAME",
        help="Repository on GitHub.",
    )
    return repository(api_url_option(timeout_option(120)(command)))


def artifacts_option(command: _Command) -> _Command:
    """Add --artifacts to a command."""
    return renamed_option(
        "--artifacts",
        former=("--bundle",),
        envvar="PACKER_BUILD_BUNDLE",
        show_envvar=True,
        metavar="LINE",
        help="Build artifacts as the line that `packer-toolkit pipeline pack` wrote, instead of "
        "the files in this folder.",
    )(command)


def _drop_empty(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Return None for an empty value."""
    del ctx, option
    return value or None


def outcome_option(command: _Command) -> _Command:
    """Add --outcome of the build to a command."""
    return click.option(
        "--outcome",
        # 1.x accepted an empty outcome for the one in the build report.
        type=click.Choice(["", "success", "failure", "cancelled", "skipped"]),
        envvar="PACKER_BUILD_OUTCOME",
        show_envvar=True,
        metavar="[success|failure|cancelled|skipped]",
        callback=_drop_empty,
        help="Result of the build.  [default: the result in the build report]",
    )(command)


def commit_option(command: _Command) -> _Command:
    """Add --commit to a command."""
    return click.option(
        "--commit",
        envvar="GITHUB_SHA",
        default="",
        show_envvar=True,
        metavar="SHA",
        help="SHA of the built commit.",
    )(command)


def vcs_ref_option(*former: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds --vcs-ref.

    Args:
        former: Names of the option in 1.x.
    """
    return renamed_option(
        "--vcs-ref",
        "release",
        former=former,
        metavar="VERSION",
        help="Template release, such as v1.2.0.  [default: the latest]",
    )


def data_options(command: _Command) -> _Command:
    """Add --data and --data-file to a command."""
    file = renamed_option(
        "--data-file",
        former=("--answers",),
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="YAML file with answers to questions; --data overrides it.",
    )
    single = click.option(
        "--data",
        "-d",
        multiple=True,
        metavar="QUESTION=ANSWER",
        help="Set the answer to a question; may be repeated.",
    )
    return single(file(command))


def trust_option(command: _Command) -> _Command:
    """Add --trust to a command."""
    return click.option(
        "--trust",
        is_flag=True,
        help="Allow the template to run its tasks and migrations this time; to allow it always, "
        "use the setting `trust` in Copier's settings.yml.",
    )(command)


def answers_file_option(command: _Command) -> _Command:
    """Add --answers-file to a command."""
    return click.option(
        "--answers-file",
        "-a",
        metavar="FILE",
        help="Answers file of this template, relative to this folder.  [default: the one that "
        "records its questions]",
    )(command)


def collect_answers(data: tuple[str, ...], file: Path | None) -> dict[str, Any]:
    """Return the answers of --data and --data-file.

    Raises:
        click.UsageError: When a value of --data has no equals sign.
        SetupError: When the file cannot be read, or is not a mapping in YAML.
    """
    answers: dict[str, Any] = {}
    if file:
        try:
            answers.update(parse_answers(file.read_bytes(), str(file)))
        except OSError as error:
            raise SetupError(
                f"{file} cannot be read: {error.strerror}; give --data-file a readable file"
            ) from None
    for item in data:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--data {item}: must be QUESTION=ANSWER")
        answers[name] = value
    return {name: value for name, value in answers.items() if not name.startswith("_")}
