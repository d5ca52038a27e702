"""`packer-toolkit pipeline plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import (
    commit_option,
    github_options,
    json_option,
    print_json,
    renamed_option,
)
from packer_toolkit.github.actions import read_token, set_outputs

if TYPE_CHECKING:
    from packer_toolkit.pipeline.plan import BuildKind


@click.command()
@click.option(
    "--event",
    envvar="GITHUB_EVENT_NAME",
    default="",
    show_envvar=True,
    metavar="NAME",
    help="Event that started the workflow run, such as schedule.",
)
@renamed_option(
    "--kind",
    former=("--asked",),
    type=click.Choice(["test", "daily", "release"]),
    envvar="PACKER_BUILD_ASKED",
    show_envvar=True,
    help="Build kind selected for a manual run.  [default: test]",
)
@renamed_option(
    "--force",
    former=("--always",),
    is_flag=True,
    envvar="PACKER_BUILD_ALWAYS",
    show_envvar=True,
    help="Run a daily build even if nothing has changed since the last one.",
)
@commit_option
@github_options
@json_option
def command(
    event: str,
    kind: BuildKind | None,
    force: bool,
    commit: str,
    repository: str,
    api_url: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Decide what this workflow run should build, if anything.

    A release takes its version from the tag and is built once: if finished images exist (state
    available and tag ExpiresAt=never) in every region and for every architecture, nothing is
    built, and manifest.json is written from these images, for a release whose build artifacts were
    lost.  Unfinished images of a killed build are listed; `packer-toolkit build` deletes them
    and builds again, or builds the missing architecture.  A daily build is skipped if the last
    build of this commit succeeded with the same base images.  Everything else is a test build.

    Sets the job outputs build (true or false), kind, version, reason and skip_create_ami; with
    --json it sets none, and writes no file.

    Exit code 0: decided.  1: an image that a build must not delete has the name of an image of this
    version.  3: the tag is not a version, or something is missing.  4: AWS cannot be reached
    or refused the request.
    """
    from packer_toolkit.github.client import RepositoryAccess
    from packer_toolkit.pipeline.plan import decide_build, restore_manifest

    access = RepositoryAccess(repository, read_token(), api_url, timeout)
    plan = decide_build(event, kind, force=force, commit=commit, access=access)
    if as_json:
        print_json(plan)
        return
    if plan.kind == "release" and not plan.build:
        restore_manifest(plan.version)
    click.echo(f"{plan.kind}: {plan.reason}", err=True)
    set_outputs(
        {
            "build": str(plan.build).lower(),
            "kind": plan.kind,
            "version": plan.version,
            "reason": plan.reason,
            "skip_create_ami": str(plan.kind != "release").lower(),
        }
    )
