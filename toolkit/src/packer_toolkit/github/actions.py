"""The run of a workflow: its token, its address and its annotations."""

from __future__ import annotations

import os

import click

from packer_toolkit.github.runner_commands import print_command


def token() -> str:
    """Return the token; never an option, because command lines are seen by others."""
    return os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN") or ""


def run_url() -> str:
    """Return the address of this run of a workflow; empty outside of one."""
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    repository = os.environ.get("GITHUB_REPOSITORY", "")
    run = os.environ.get("GITHUB_RUN_ID", "")
    if not (repository and run):
        return ""
    attempt = os.environ.get("GITHUB_RUN_ATTEMPT", "")
    return f"{server}/{repository}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt else "")


def warn(message: str) -> None:
    """Say something that a person should see: an annotation in a workflow, a line elsewhere."""
    # One line, and nothing in it may look like a second command of the runner.
    line = " ".join(message.split())
    if os.environ.get("GITHUB_ACTIONS") == "true":
        line = line.replace("%", "%25")
        print_command(f"::warning title=packer-toolkit::{line}", err=True)
    else:
        click.echo(f"warning: {line}", err=True)
