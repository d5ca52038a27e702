"""`packer-toolkit collection`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from packer_toolkit import galaxy
from packer_toolkit.settings import require_repository


@click.group()
def command() -> None:
    """Make, install and update Ansible collections.

    Collections from elsewhere are named in provisioners/ansible/requirements.yml.  Own ones lie in
    provisioners/ansible/collections and belong to the repository.  The playbook finds both.
    """


@command.command()
@click.argument("name", metavar="NAMESPACE.NAME")
@click.option("--json", "as_json", is_flag=True, help="Print the folder as JSON.")
def init(name: str, as_json: bool) -> None:
    """Make a collection with the base structure, such as acme.web."""
    folder = galaxy.init(require_repository(), name)
    if as_json:
        click.echo(json.dumps({"name": name, "folder": str(folder)}))
        return
    click.echo(f"{name} is in {folder}")
    click.echo(f"Put roles into roles/, and call one by its full name: {name}.ROLE")


@command.command()
@click.argument("names", nargs=-1, metavar="[NAMESPACE.NAME[:VERSION]]...")
@click.option("--server", metavar="URL", help="The Galaxy server that has the named ones.")
@click.option("--force", is_flag=True, help="Install again what is here.")
@click.option("--json", "as_json", is_flag=True, help="Print the collections as JSON.")
def install(names: tuple[str, ...], server: str | None, force: bool, as_json: bool) -> None:
    """Install what requirements.yml names.

    With NAMES, install these instead and write them into requirements.yml, in the version that was
    installed.
    """
    root = require_repository()
    if names:
        _tell(galaxy.add(root, names, server), as_json)
    else:
        _tell(galaxy.install(root, upgrade=False, force=force), as_json)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print the collections as JSON.")
def update(as_json: bool) -> None:
    """Take the newest versions that requirements.yml allows."""
    _tell(galaxy.install(require_repository(), upgrade=True, force=False), as_json)


def _tell(changes: Sequence[galaxy.Change], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"collections": [asdict(change) for change in changes]}, indent=2))
        return
    for change in changes:
        if change.before is None:
            click.echo(f"{change.name} {change.after} installed")
        elif change.before == change.after:
            click.echo(f"{change.name} {change.after} as before")
        else:
            click.echo(f"{change.name} {change.before} -> {change.after}")
    if not changes:
        click.echo(
            f"{galaxy.REQUIREMENTS} names no collection; add one with:"
            " task ansible-collection-install -- NAMESPACE.NAME"
        )
