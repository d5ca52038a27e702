"""Keep GitHub's runner from executing commands in the output of a job.

The runner executes `::command::` at the start of a line, after spaces, and `##[command]` anywhere
in a line.  It reads the whole output of a job, and so the output of scripts, roles, images and
services.  https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

import click

# For the runner, a carriage return ends a line too.
_AT_START = re.compile(r"(?:\A|(?<=[\r\n]))[\s\ufeff]*:(?=:)")


def escape_commands(text: str) -> str:
    """Return a text without commands of the runner: with `: :name` and `## [name]` instead."""
    return _AT_START.sub(r"\g<0> ", text).replace("##[", "## [")


def print_command(line: str, *, err: bool = False) -> None:
    """Print a command for the runner.

    Args:
        line: The command in one line, escaped by the caller.
        err: Whether it goes to stderr.
    """
    stream = sys.stderr if err else sys.stdout
    click.echo(line.replace("##[", "## ["), file=getattr(stream, "unescaped", stream))


class _EscapingStream:
    """A text stream that escapes commands, also commands that are written in several parts.

    Attributes:
        unescaped: The stream that it writes to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream
        self._line = ""  # the part of the unfinished line that decides whether a command follows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unescaped, name)

    def write(self, text: str) -> int:
        """Write a text and return its length, as any text stream does."""
        escaped = escape_commands(self._line + text)[len(self._line) :]
        line = re.split(r"[\r\n]", self._line + escaped)[-1]
        self._line = line[-1:] if re.fullmatch(r"[\s\ufeff]*:?", line) else f"-{line[-2:]}"
        self.unescaped.write(escaped)
        return len(text)


@contextlib.contextmanager
def escape_output() -> Iterator[None]:
    """In a job of a workflow, escape commands in stdout and stderr until the block ends."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _EscapingStream(stream)) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
