"""`packer-toolkit format`."""

from __future__ import annotations

import json

import click

from packer_toolkit.checks import run as checks
from packer_toolkit.errors import CommandFailedError, SetupError
from packer_toolkit.repository.settings import require_repository


@click.command()
@click.option(
    "--check",
    "--dry-run",
    "only_check",
    is_flag=True,
    help="Change nothing; tell what would change, and exit with 1 if something would.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the files as JSON.")
def command(only_check: bool, as_json: bool) -> None:
    """Format HCL with `packer fmt` and shell scripts with shfmt.

    shfmt takes its rules from .editorconfig, as editors do.
    """
    root = require_repository()
    if only_check:
        results = checks.run(root, ["packer-fmt", "shfmt"])
        for result in results:
            if result.status == "missing":
                raise SetupError(f"{result.reason}: use task format, or install it")
        found = [finding for result in results for finding in result.findings]
        changed = sorted({finding.file or "" for finding in found})
        lines = [f"{finding.place}: {finding.message}" for finding in found]
    else:
        changed = checks.format_files(root)
        lines = [f"formatted {name}" for name in changed]
    if as_json:
        click.echo(json.dumps({"dry_run": only_check, "files": changed}, indent=2))
    else:
        click.echo("\n".join(lines or ["nothing to format"]))
    if only_check and changed:
        raise CommandFailedError(f"{len(changed)} to format")
