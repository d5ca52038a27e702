"""Write the summary of a build that a person reads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from packer_toolkit.cli.options import github_options
from packer_toolkit.errors import RemoteError
from packer_toolkit.github.actions import token


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
    from packer_toolkit.build.deadline import read_credentials_expiry
    from packer_toolkit.github.outputs import add_summary
    from packer_toolkit.pipeline.artifacts import read, warn_about_refused
    from packer_toolkit.pipeline.summary import page

    records = warn_about_refused(read(Path()))
    if not outcome:
        outcome = "success" if records.report.get("exit_code") == 0 else "failure"
    last, name = None, ""
    if records.packages and token() and repository:
        from packer_toolkit.github.client import Place
        from packer_toolkit.pipeline.releases import last_packages

        tag = os.environ.get("GITHUB_REF_TYPE") == "tag"
        now = os.environ.get("GITHUB_REF_NAME", "") if tag else ""
        try:
            github = Place(repository, token(), api_url, patience).connect()
            name, last = last_packages(github, before=now)
        except RemoteError as error:
            click.echo(f"note: packages are compared with nothing: {error}", err=True)
    text = page(
        records,
        outcome=outcome,
        note=note,
        limit=credentials_seconds,
        expires=read_credentials_expiry(os.environ),
        last=last,
        last_name=name,
    )
    if as_json:
        shown = {"outcome": outcome, "note": note or None, "text": text}
        click.echo(json.dumps(shown, indent=2))
        return
    add_summary(text)
