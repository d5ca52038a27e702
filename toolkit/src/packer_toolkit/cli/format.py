"""`packer-toolkit format`."""

from __future__ import annotations

import click

from packer_toolkit.checks.format import format_files
from packer_toolkit.checks.run import run_checks
from packer_toolkit.cli.options import json_option, print_json, renamed_option
from packer_toolkit.errors import CommandFailedError, SetupError
from packer_toolkit.repository.settings import require_repository
from packer_toolkit.text.lines import format_count


@click.command()
@renamed_option(
    "--check",
    "is_check",
    former=("--dry-run",),
    is_flag=True,
    help="Change nothing; list the files that are not formatted, and exit with 1 if there are any.",
)
@json_option
def command(is_check: bool, as_json: bool) -> None:
    """Format HCL files and shell scripts.

    HCL is formatted by `packer fmt`, shell scripts by shfmt with the rules of .editorconfig.

    Exit code 0: all files are formatted.  1: with --check, at least one file is not formatted.  3:
    a tool is missing.
    """
    root = require_repository()
    if is_check:
        results = run_checks(root, ["packer-fmt", "shfmt"])
        for result in results:
            if result.status == "missing":
                raise SetupError(
                    f"{result.reason}; run `task format`, whose image has it, or install the tool"
                )
        findings = [finding for result in results for finding in result.findings]
        changed = sorted({finding.file or "" for finding in findings})
        lines = [f"{finding.place}: {finding.message}" for finding in findings]
    else:
        changed = format_files(root)
        lines = [f"formatted {name}" for name in changed]
    if as_json:
        print_json({"dry_run": is_check, "files": changed})
    else:
        click.echo("\n".join(lines or ["nothing to format"]))
    if is_check and changed:
        raise CommandFailedError(
            f"{format_count(len(changed), 'file')} not formatted: run `task format`"
        )
