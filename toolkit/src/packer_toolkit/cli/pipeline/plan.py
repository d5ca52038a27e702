"""Decide what a run of the workflow has to build, and whether."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import github_options
from packer_toolkit.errors import SetupError
from packer_toolkit.github.actions import read_token, set_outputs

if TYPE_CHECKING:
    from packer_toolkit.pipeline.status import RecordedStatus


@click.command()
@click.option(
    "--event", envvar="GITHUB_EVENT_NAME", default="", help="What started it.  [GITHUB_EVENT_NAME]"
)
@click.option(
    "--asked",
    type=click.Choice(["test", "daily", "release"]),
    envvar="PACKER_BUILD_ASKED",
    help="What a person chose who started it; nothing is a test.  [PACKER_BUILD_ASKED]",
)
@click.option(
    "--always",
    is_flag=True,
    envvar="PACKER_BUILD_ALWAYS",
    help="Daily: build also when nothing has changed.  [PACKER_BUILD_ALWAYS]",
)
@click.option("--commit", envvar="GITHUB_SHA", default="", help="What is built.  [GITHUB_SHA]")
@github_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON; set no outputs.")
def command(
    event: str,
    asked: str | None,
    always: bool,
    commit: str,
    repository: str,
    api_url: str,
    patience: float,
    as_json: bool,
) -> None:
    """Decide what a run of the workflow has to build, and whether.

    A release takes its version from the tag and is built once: when its images are finished (state
    available, tag ExpiresAt=never, in every region and for every architecture), none is built;
    manifest.json is then written from these images, for a release whose records were lost.  What a
    killed build left unfinished is listed; `packer-toolkit build` deletes it and builds again, or
    builds the architecture that is missing.  A daily build is skipped when the last one of this
    commit was good and had the same parent images.  Everything else is a test build.

    Sets the outputs build (true or false), kind, version, reason, and skip_create_ami.

    Exit code 0: decided.  1: a name of the version is used by an image that a build must not
    delete.  2: there is no such kind.  3: the tag is no version, or something is missing here.
    4: AWS refused, or could not be reached.
    """
    from packer_toolkit.pipeline import plan

    kind = plan.get_build_kind(event, asked or "")
    if kind == "test":
        decision = plan.BuildPlan("test", True, "A test build: no image is created.")
    elif kind == "release":
        if os.environ.get("GITHUB_REF_TYPE") != "tag":
            raise SetupError(
                'a release is built from its tag: choose the tag under "Use workflow from"'
            )
        version = plan.parse_version_tag(os.environ.get("GITHUB_REF_NAME", ""))
        values = plan.read_values()
        clients = plan.create_clients(values)
        decision = plan.plan_release(clients, values, version)
    else:
        values = plan.read_values()
        ec2 = plan.create_clients(values)(values.text("var.region"))
        base_images = plan.find_base_images(ec2, values)
        last_build: RecordedStatus | str = ""
        if not always:
            from packer_toolkit.github.client import RepositoryAccess
            from packer_toolkit.pipeline.status import read_last_build

            access = RepositoryAccess(repository, read_token(), api_url, patience)
            last_build = read_last_build(access, commit)
        decision = plan.plan_daily_build(last_build, base_images, always=always)
    if as_json:
        click.echo(json.dumps(asdict(decision), indent=2))
        return
    if decision.kind == "release" and not decision.build:
        plan.write_missing_manifest(Path(), clients, values, decision.version)
    click.echo(f"{decision.kind}: {decision.reason}", err=True)
    set_outputs(
        {
            "build": str(decision.build).lower(),
            "kind": decision.kind,
            "version": decision.version,
            "reason": decision.reason,
            "skip_create_ami": str(decision.kind != "release").lower(),
        }
    )
