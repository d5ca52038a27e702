"""`packer-toolkit pipeline attach`."""

from __future__ import annotations

from pathlib import Path

import click

from packer_toolkit.cli.options import (
    artifacts_option,
    dry_run_option,
    github_options,
    json_option,
    print_json,
)
from packer_toolkit.errors import SetupError
from packer_toolkit.github.actions import read_token


@click.command()
@click.option(
    "--tag",
    envvar="GITHUB_REF_NAME",
    required=True,
    show_envvar=True,
    metavar="TAG",
    help="Tag of the GitHub release.",
)
@artifacts_option
@click.option("--replace", is_flag=True, help="Replace files that the release already has.")
@github_options
@dry_run_option
@json_option
def command(
    tag: str,
    artifacts: str | None,
    replace: bool,
    repository: str,
    api_url: str,
    timeout: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Attach the build artifacts to a GitHub release.

    The build artifacts are manifest.json, build-report.json and the package lists.  A file that the
    release already has is not uploaded again if its content is the same; different content is an
    error, because a version is built once.  Files with other names are refused, and so is JSON that
    is not valid or is about another version.  The token is read from GITHUB_TOKEN; it needs
    contents: write.

    Exit code 0: all files are attached.  1: the release does not exist, or has a file with
    different content.  3: the build artifacts or the token are missing.  4: GitHub cannot be
    reached or refused the request.
    """
    from packer_toolkit.build.manifest import FILE as MANIFEST
    from packer_toolkit.github.client import RepositoryAccess
    from packer_toolkit.pipeline import artifacts as build_artifacts
    from packer_toolkit.pipeline.releases import attach_artifacts

    if artifacts is None:
        files = build_artifacts.read_artifacts(Path())
    else:
        files = build_artifacts.unpack_artifacts(artifacts)
    build_artifacts.require_valid_files(files.rejected)
    if MANIFEST not in files.files:
        raise SetupError(f"{MANIFEST} is missing: build the image first, then attach its artifacts")
    github = RepositoryAccess(repository, read_token(), api_url, timeout).connect()
    release = attach_artifacts(github, tag, files, replace=replace, dry_run=dry_run)
    if as_json:
        print_json(release)
        return
    for label, names in (
        ("would attach" if dry_run else "attached", release.attached),
        ("would replace" if dry_run else "replaced", release.replaced),
        ("already attached", release.same),
    ):
        if names:
            click.echo(f"{label}: {', '.join(names)}")
    click.echo(release.url)
