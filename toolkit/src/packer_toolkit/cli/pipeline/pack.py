"""`packer-toolkit pipeline pack`."""

from __future__ import annotations

from pathlib import Path

import click

from packer_toolkit.cli.options import json_option, print_json


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Pack the build artifacts into a single-line job output.

    Packs those of build-report.json, manifest.json and the package lists that exist in this folder,
    and sets the job output bundle to the line; with --json it sets none.  In a later job, `pipeline
    issue` and `pipeline attach` read the line from PACKER_BUILD_BUNDLE.

    Exit code 0: packed, even if there are no build artifacts.
    """
    from packer_toolkit.github.actions import set_outputs
    from packer_toolkit.pipeline.artifacts import pack_folder

    names, line = pack_folder(Path())
    if as_json:
        print_json({"files": names, "bundle": line})
        return
    set_outputs({"bundle": line})
