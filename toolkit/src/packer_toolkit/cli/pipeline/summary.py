"""`packer-toolkit pipeline summary`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import github_options, json_option, outcome_option, print_json
from packer_toolkit.errors import RemoteError
from packer_toolkit.github.actions import add_summary, print_note, read_token

if TYPE_CHECKING:
    from packer_toolkit.pipeline.releases import ReleasedPackages


@click.command()
@outcome_option
@click.option(
    "--note",
    envvar="PACKER_BUILD_NOTE",
    default="",
    show_envvar=True,
    metavar="TEXT",
    help="Note to show in the summary.",
)
@click.option(
    "--credentials-seconds",
    type=click.FloatRange(min=0, min_open=True),
    envvar="PACKER_CREDENTIALS_SECONDS",
    show_envvar=True,
    metavar="SECONDS",
    help="Lifetime of the AWS credentials in seconds.  [default: the one in the build report, or "
    "3600]",
)
@github_options
@json_option
def command(
    outcome: str | None,
    note: str,
    credentials_seconds: float | None,
    repository: str,
    api_url: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Write the build summary of a workflow run.

    Reads build-report.json, manifest.json and the package lists in this folder.  With a token in
    GITHUB_TOKEN, the packages are compared with those of the last release.  In a workflow, the
    summary is added to the page of the run (GITHUB_STEP_SUMMARY); elsewhere, and with --json, it is
    printed.

    Exit code 0: written, whatever the result of the build.
    """
    from packer_toolkit.build.deadline import read_credentials_expiry
    from packer_toolkit.pipeline.artifacts import read_artifacts, warn_about_rejected
    from packer_toolkit.pipeline.summary import write_summary

    artifacts = warn_about_rejected(read_artifacts(Path()))
    if not outcome:
        outcome = "success" if artifacts.report.get("exit_code") == 0 else "failure"
    last = None
    if artifacts.packages and read_token() and repository:
        last = _read_last_packages(repository, api_url, timeout)
    text = write_summary(
        artifacts,
        result=outcome,
        note=note,
        seconds=credentials_seconds,
        expires=read_credentials_expiry(os.environ),
        last=last,
    )
    if as_json:
        print_json({"outcome": outcome, "note": note or None, "text": text})
    else:
        add_summary(text)


def _read_last_packages(repository: str, api_url: str, timeout: float) -> ReleasedPackages | None:
    """Return the package lists of the last release; None without any."""
    from packer_toolkit.github.client import RepositoryAccess
    from packer_toolkit.pipeline.releases import find_last_packages

    is_tag = os.environ.get("GITHUB_REF_TYPE") == "tag"
    tag = os.environ.get("GITHUB_REF_NAME", "") if is_tag else ""
    try:
        github = RepositoryAccess(repository, read_token(), api_url, timeout).connect()
        return find_last_packages(github, before=tag)
    except RemoteError as error:
        print_note(f"packages are not compared: {error}")
        return None
