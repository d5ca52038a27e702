"""Read the context of a workflow run, and write its outputs, summary and annotations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from packer_toolkit.github.runner_commands import print_command
from packer_toolkit.text.lines import join_lines


def read_token() -> str:
    """Return the token; it is never an option, because other users can see command lines."""
    return os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN") or ""


def get_run_url() -> str:
    """Return the URL of this workflow run; empty outside of a workflow."""
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    repository, run = map(os.environ.get, ("GITHUB_REPOSITORY", "GITHUB_RUN_ID"))
    if not (repository and run):
        return ""
    attempt = os.environ.get("GITHUB_RUN_ATTEMPT", "")
    return f"{server}/{repository}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt else "")


def warn(message: str) -> None:
    """Print a warning on stderr: an annotation in a workflow, a line elsewhere."""
    # In one line, the text cannot hold a second command of the runner.
    line = join_lines(message)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        line = line.replace("%", "%25")
        print_command(f"::warning title=packer-toolkit::{line}", err=True)
    else:
        click.echo(f"warning: {line}", err=True)


def print_note(message: str) -> None:
    """Print a message on stderr about something that the command does without."""
    click.echo(f"note: {message}", err=True)


def set_outputs(values: Mapping[str, str]) -> None:
    """Set outputs of the current step; outside of a workflow, print them.

    Args:
        values: The outputs by name; line breaks become spaces, because a line break would begin
            another output.
    """
    lines = (f"{name}={' '.join(value.splitlines())}\n" for name, value in values.items())
    _append(os.environ.get("GITHUB_OUTPUT"), "".join(lines))


def add_summary(text: str) -> None:
    """Add Markdown to the summary of the current step; outside of a workflow, print it."""
    _append(os.environ.get("GITHUB_STEP_SUMMARY"), text + "\n")


def _append(file: str | None, text: str) -> None:
    if file and Path(file).exists():
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)
    else:
        click.echo(text, nl=False)
