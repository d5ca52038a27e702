"""Keep GitHub's runner from reading commands in what is printed.

The runner carries out `::command::` at the start of a line, after spaces, and `##[command]`
anywhere in it.  It reads the whole output of a job, and with it what scripts, roles, images and
services have written.  https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

import click

# A carriage return ends a line for the runner, too.
_AT_START = re.compile(r"(?:\A|(?<=[\r\n]))[\s\ufeff]*:(?=:)")


def escape_commands(text: str) -> str:
    """Return text in which the runner finds no command: `: :name` and `## [name]`."""
    return _AT_START.sub(r"\g<0> ", text).replace("##[", "## [")


def print_command(line: str, *, err: bool = False) -> None:
    """Print a command for the runner, in one line that the caller has escaped."""
    stream = sys.stderr if err else sys.stdout
    click.echo(line.replace("##[", "## ["), file=getattr(stream, "unescaped", stream))


class _EscapingStream:
    """A text stream that escapes commands, also those that arrive in several parts.

    Attributes:
        unescaped: The stream that it writes to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream
        self._line = ""  # what matters of the unfinished line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unescaped, name)

    def write(self, text: str) -> int:
        """Write text; returns its length, as the stream would."""
        escaped = escape_commands(self._line + text)[len(self._line) :]
        line = re.split(r"[\r\n]", self._line + escaped)[-1]
        self._line = line[-1:] if re.fullmatch(r"[\s\ufeff]*:?", line) else f"-{line[-2:]}"
        self.unescaped.write(escaped)
        return len(text)


@contextlib.contextmanager
def escaped_output() -> Iterator[None]:
    """Escape commands in stdout and stderr until the end of the block, in a job of a workflow."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _EscapingStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
