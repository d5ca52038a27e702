"""`packer-toolkit template undo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import dry_run_option, json_option
from packer_toolkit.text.paths import show_path

if TYPE_CHECKING:
    from packer_toolkit.template.undo import Undone


@click.command()
@dry_run_option
@json_option
def command(dry_run: bool, as_json: bool) -> None:
    """Undo the last update of this repository.

    Also undoes an update that was interrupted.  Changes that you have made since in the updated
    files are kept as copies, whose paths are printed.  An update that is part of a
    commit is undone with `git revert`.

    Exit code 0: undone, or there is nothing to undo.  3: the update is part of a commit, or cannot
    be undone yet.
    """
    run_undo(dry_run, as_json)


def run_undo(dry_run: bool, as_json: bool) -> None:
    """Undo the last update, and print what was undone.

    Also what `template-update --undo` of 1.x calls.
    """
    from packer_toolkit.template.journal import undo_update

    undone, earlier_copies = undo_update(Path.cwd(), dry_run)
    if as_json:
        result = {
            "release": undone.release,
            "files": undone.paths,
            "kept": dict(undone.kept),
            "copies": {path: str(copy) for path, copy in undone.copies.items()},
            "reason": undone.reason,
            "dry_run": dry_run,
        }
        click.echo(json.dumps(result, indent=2))
    elif undone.release:
        _print_undone(undone, dry_run)
    else:
        _print_nothing(undone, earlier_copies, dry_run)


def _print_undone(undone: Undone, dry_run: bool) -> None:
    from packer_toolkit.template.undo import describe_copies

    files = f"{len(undone.paths)} {'file' if len(undone.paths) == 1 else 'files'}"
    if dry_run:
        click.echo(f"Would undo {files}, to {undone.release}:")
        for path in undone.paths:
            note = "; what you wrote into it since would be kept" if path in undone.kept else ""
            click.echo(f"  {show_path(path)}{note}")
        return
    click.echo(f"Undone: {files}, as they were at {undone.release}.")
    for line in describe_copies(undone):
        click.echo(line, err=True)


def _print_nothing(undone: Undone, earlier_copies: Path | None, dry_run: bool) -> None:
    from packer_toolkit.template.undo import describe_copies
    from packer_toolkit.template.update_result import show_copy

    if undone.reason:
        verb = "would be deleted" if dry_run else "was deleted"
        click.echo(f"Nothing to undo: {undone.reason}. The record of the update {verb}.")
        for line in describe_copies(undone):
            click.echo(line, err=True)
        return
    click.echo("Nothing to undo: no update is open.")
    if earlier_copies:
        click.echo(
            f"What earlier updates have kept is in {show_copy(earlier_copies)}; delete it when you "
            "do not need it.",
            err=True,
        )
