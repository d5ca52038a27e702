"""Attach a build's records to its GitHub release."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from packer_toolkit.cli.options import github_options
from packer_toolkit.errors import SetupError
from packer_toolkit.github.actions import read_token


@click.command()
@click.option(
    "--tag", envvar="GITHUB_REF_NAME", required=True, help="Of the release.  [GITHUB_REF_NAME]"
)
@click.option(
    "--bundle",
    envvar="PACKER_BUILD_BUNDLE",
    help="What `packer-toolkit bundle` printed, instead of files.  [PACKER_BUILD_BUNDLE]",
)
@click.option("--replace", is_flag=True, help="Replace files that the release has already.")
@github_options
@click.option("--dry-run", is_flag=True, help="Show what would be attached; attach nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    tag: str,
    bundle: str | None,
    replace: bool,
    repository: str,
    api_url: str,
    patience: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Attach manifest.json, build-report.json and the package lists to a GitHub release.

    Files that the release has already with the same content stay; other content of the same name
    is an error, because a version is built once.  Other names are refused, and so is JSON that is
    not valid or names another version.  The token is read from GITHUB_TOKEN; it needs the
    permission contents: write.

    Exit code 0: all is attached.  1: there is no such release, or it has other files.  3: something
    is missing here.  4: GitHub refused, or could not be reached.
    """
    from packer_toolkit.github.client import RepositoryAccess
    from packer_toolkit.pipeline.artifacts import (
        MANIFEST,
        read_artifacts,
        require_valid_files,
        unpack_artifacts,
    )
    from packer_toolkit.pipeline.releases import attach_artifacts

    artifacts = read_artifacts(Path()) if bundle is None else unpack_artifacts(bundle)
    require_valid_files(artifacts.rejected)
    if MANIFEST not in artifacts.files:
        raise SetupError(f"there is no {MANIFEST}: build the image first, then attach what it left")
    github = RepositoryAccess(repository, read_token(), api_url, patience).connect()
    done = attach_artifacts(github, tag, artifacts, replace=replace, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
        return
    for word, names in (
        ("would attach" if dry_run else "attached", done.attached),
        ("would replace" if dry_run else "replaced", done.replaced),
        ("there already", done.same),
    ):
        if names:
            click.echo(f"{word}: {', '.join(names)}")
    click.echo(done.url)
