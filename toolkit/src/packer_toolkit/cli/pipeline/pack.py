"""Make one line of a build's records, for a later job."""

from __future__ import annotations

import json
from pathlib import Path

import click

from packer_toolkit.github.actions import set_outputs, warn


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON; set no output.")
def command(as_json: bool) -> None:
    """Make one line of a build's records, for a later job of a workflow.

    Sets the step's output bundle, with build-report.json, manifest.json and the package lists
    inside, as far as they are there.  `report` and `attach` take it from PACKER_BUILD_BUNDLE.

    Exit code 0: handed on, also when there are no records.
    """
    from packer_toolkit.pipeline.artifacts import (
        LONGEST_BUNDLE,
        BuildArtifacts,
        is_package_list,
        pack_artifacts,
        read_artifacts,
        warn_about_rejected,
    )

    artifacts = warn_about_rejected(read_artifacts(Path()))
    line = pack_artifacts(artifacts)
    if len(line) > LONGEST_BUNDLE:
        warn("the package lists are too long to be handed on, and are left out")
        artifacts = BuildArtifacts(
            {name: raw for name, raw in artifacts.files.items() if not is_package_list(name)}
        )
        line = pack_artifacts(artifacts)
    if as_json:
        click.echo(json.dumps({"files": sorted(artifacts.files), "bundle": line}, indent=2))
        return
    set_outputs({"bundle": line})
