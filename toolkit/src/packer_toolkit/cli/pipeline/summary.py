"""`packer-toolkit pipeline summary`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from packer_toolkit.cli.options import github_options, json_option, outcome_option
from packer_toolkit.errors import RemoteError
from packer_toolkit.github.actions import token


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
    from packer_toolkit.github.outputs import add_summary
    from packer_toolkit.pipeline.artifacts import read, warn_about_refused
    from packer_toolkit.pipeline.summary import page

    records = warn_about_refused(read(Path()))
    if not outcome:
        outcome = "success" if records.report.get("exit_code") == 0 else "failure"
    name, last = "", None
    if records.packages and token() and repository:
        name, last = _read_last_packages(repository, api_url, timeout)
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
        summary = {"outcome": outcome, "note": note or None, "text": text}
        click.echo(json.dumps(summary, indent=2))
        return
    add_summary(text)


def _read_last_packages(
    repository: str, api_url: str, timeout: float
) -> tuple[str, dict[str, list[str]] | None]:
    """Return the name and package lists of the last release; ("", None) without any."""
    from packer_toolkit.github.client import Place
    from packer_toolkit.pipeline.releases import last_packages

    is_tag = os.environ.get("GITHUB_REF_TYPE") == "tag"
    tag = os.environ.get("GITHUB_REF_NAME", "") if is_tag else ""
    try:
        github = Place(repository, token(), api_url, timeout).connect()
        return last_packages(github, before=tag)
    except RemoteError as error:
        click.echo(f"note: packages are not compared with the last release: {error}", err=True)
        return "", None
