"""Make one line of a build's records, for a later job."""

from __future__ import annotations

from pathlib import Path

import click

from packer_toolkit.github_options import warn


@click.command()
def command() -> None:
    """Make one line of a build's records, for a later job of a workflow.

    Sets the step's output bundle, with build-report.json, manifest.json and the package lists
    inside, as far as they are there.  `report` and `attach` take it from PACKER_BUILD_BUNDLE.
    """
    from packer_toolkit.outputs import set_outputs
    from packer_toolkit.records import LONGEST_BUNDLE, Records, is_packages, pack, read

    records = read(Path())
    line = pack(records)
    if len(line) > LONGEST_BUNDLE:
        warn("the package lists are too long to be handed on, and are left out")
        few = {name: raw for name, raw in records.files.items() if not is_packages(name)}
        line = pack(Records(few))
    set_outputs({"bundle": line})
