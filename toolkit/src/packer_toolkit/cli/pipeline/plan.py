"""Decide what a run of the workflow has to build, and whether."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from packer_toolkit.cli.options import github_options
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.github.actions import token, warn


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

    kind = plan.kind_of(event, asked or "")
    if kind == "test":
        done = plan.Plan("test", True, "A test build: everything but the image.")
    elif kind == "release":
        tag = os.environ.get("GITHUB_REF_NAME", "")
        if os.environ.get("GITHUB_REF_TYPE") != "tag":
            raise SetupError(
                'a release is built from its tag: choose the tag under "Use workflow from"'
            )
        version = plan.version_of(tag)
        values = plan.values_here()
        done = plan.release(plan.client(values), values, version)
    else:
        values = plan.values_here()
        parents = plan.newest_parents(plan.client(values), values)
        remembered, why = None, ""
        if not always:
            remembered, why = _remembered(repository, api_url, patience, commit)
        done = plan.daily(remembered, parents, always=always, why=why)
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
        return
    from packer_toolkit.github.outputs import set_outputs
    from packer_toolkit.pipeline.artifacts import MANIFEST, read

    if done.kind == "release" and not done.build:
        again = plan.manifest_again(values, done.version)
        # A manifest of other images is what an earlier or a killed build left here.
        if not plan.is_manifest_of(read(Path()).manifest, again):
            Path(MANIFEST).write_text(json.dumps(again, indent=2) + "\n")
    click.echo(f"{done.kind}: {done.reason}", err=True)
    set_outputs(
        {
            "build": str(done.build).lower(),
            "kind": done.kind,
            "version": done.version,
            "reason": done.reason,
            "skip_create_ami": str(done.kind != "release").lower(),
        }
    )


def _remembered(
    repository: str, api_url: str, patience: float, commit: str
) -> tuple[dict[str, str] | None, str]:
    """Return the parents of the commit's last build, when it was good, or why there are none."""
    from packer_toolkit.github.client import Place
    from packer_toolkit.pipeline.status import of_commit

    try:
        found = of_commit(Place(repository, token(), api_url, patience).connect(), commit)
    except RemoteError as error:
        # A build too many costs minutes; one too few hides a failure.
        warn(f"it is not known how the last build was, so there is one now: {error}")
        return None, "It is not known how the last build was."
    if found is None:
        return None, "This commit has not been built before."
    if not found.good:
        return None, "The last build of this commit failed."
    return dict(found.parents), ""
