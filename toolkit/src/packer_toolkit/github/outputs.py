"""The files through which a step of a workflow speaks to later ones, and to people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click


def set_outputs(values: Mapping[str, str]) -> None:
    """Set the outputs of the present step; outside of a workflow they are printed.

    Args:
        values: by name, of one line each: a line break would begin another output.
    """
    lines = [f"{name}={' '.join(value.splitlines())}" for name, value in values.items()]
    _append(os.environ.get("GITHUB_OUTPUT"), "\n".join(lines) + "\n")


def add_summary(text: str) -> None:
    """Add Markdown to the summary of the present step; outside of a workflow it is printed."""
    _append(os.environ.get("GITHUB_STEP_SUMMARY"), text + "\n")


def _append(file: str | None, text: str) -> None:
    if file and Path(file).exists():
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)
    else:
        click.echo(text, nl=False)
