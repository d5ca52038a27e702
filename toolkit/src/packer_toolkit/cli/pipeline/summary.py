"""Write the summary of a build that a person reads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from packer_toolkit.cli.options import github_options
from packer_toolkit.errors import RemoteError
from packer_toolkit.github.actions import add_summary, read_token


@click.command()
@click.option(
    "--outcome",
    type=click.Choice(["", "success", "failure", "cancelled", "skipped"]),
    envvar="PACKER_BUILD_OUTCOME",
    default="",
    help="How the build ended; without it, the report says so.  [PACKER_BUILD_OUTCOME]",
)
@click.option(
    "--note", envvar="PACKER_BUILD_NOTE", default="", help="Shown with it.  [PACKER_BUILD_NOTE]"
)
@click.option(
    "--credentials-seconds",
    type=click.FloatRange(min=0, min_open=True),
    envvar="PACKER_CREDENTIALS_SECONDS",
    help="How long the credentials live; without it, the report says so, or else it is an hour."
    "  [PACKER_CREDENTIALS_SECONDS]",
)
@github_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON; add to no summary.")
def command(
    outcome: str,
    note: str,
    credentials_seconds: float | None,
    repository: str,
    api_url: str,
    patience: float,
    as_json: bool,
) -> None:
    """Write the summary of a build that a person reads.

    Goes by build-report.json, manifest.json and the package lists here.  With GITHUB_TOKEN the
    packages are compared with those of the last release.

    In a workflow it is added to the run's summary (GITHUB_STEP_SUMMARY), else printed.

    Exit code 0: written, however the build ended.  2: an option is wrong.
    """
    from packer_toolkit.build.deadline import expiry
    from packer_toolkit.pipeline.artifacts import read_artifacts, warn_about_rejected
    from packer_toolkit.pipeline.summary import write_summary

    artifacts = warn_about_rejected(read_artifacts(Path()))
    if not outcome:
        outcome = "success" if artifacts.report.get("exit_code") == 0 else "failure"
    last = None
    if artifacts.packages and read_token() and repository:
        from packer_toolkit.github.client import RepositoryAccess
        from packer_toolkit.pipeline.releases import find_last_packages

        tag = os.environ.get("GITHUB_REF_TYPE") == "tag"
        now = os.environ.get("GITHUB_REF_NAME", "") if tag else ""
        try:
            github = RepositoryAccess(repository, read_token(), api_url, patience).connect()
            last = find_last_packages(github, before=now)
        except RemoteError as error:
            click.echo(f"note: packages are not compared: {error}", err=True)
    text = write_summary(
        artifacts,
        result=outcome,
        note=note,
        seconds=credentials_seconds,
        expires=expiry(os.environ),
        last=last,
    )
    if as_json:
        shown = {"outcome": outcome, "note": note or None, "text": text}
        click.echo(json.dumps(shown, indent=2))
        return
    add_summary(text)
