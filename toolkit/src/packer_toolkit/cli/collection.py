"""`packer-toolkit collection`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from packer_toolkit.repository.collections import (
    add_collections,
    create_collection,
    install_collections,
)
from packer_toolkit.repository.galaxy_install import Installed, Options
from packer_toolkit.repository.requirements_file import REQUIREMENTS
from packer_toolkit.repository.settings import require_repository


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
    folder = create_collection(require_repository(), name)
    if as_json:
        click.echo(json.dumps({"name": name, "folder": str(folder)}))
        return
    click.echo(f"{name} is in {folder}")
    click.echo(f"Put roles into roles/, and call one by its full name: {name}.ROLE")


@command.command()
@click.argument("names", nargs=-1, metavar="[NAMESPACE.NAME[:VERSION]]...")
@click.option("--server", metavar="URL", help="The Galaxy server that has the named ones.")
@click.option("--force", is_flag=True, help="Install again what is here.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def install(names: tuple[str, ...], server: str | None, force: bool, as_json: bool) -> None:
    """Install the collections and roles that requirements.yml names, and delete all others.

    An exact version that is installed already is not downloaded again.

    With NAMES, install these instead and write them into requirements.yml, in the version that was
    installed.
    """
    root = require_repository()
    options = Options(force=force)
    if names:
        _report(add_collections(root, names, server, options), as_json)
    else:
        _report(install_collections(root, options), as_json)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def update(as_json: bool) -> None:
    """Take the newest versions that requirements.yml allows."""
    options = Options(refresh=True, upgrade=True)
    _report(install_collections(require_repository(), options), as_json)


def _report(installed: Installed, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(installed), indent=2))
        return
    for kind, changes in (("", installed.collections), ("role ", installed.roles)):
        for change in changes:
            name = f"{kind}{change.name}"
            version = change.after or "without a version"
            if change.before is None:
                click.echo(f"{name} {version} installed")
            elif change.before == change.after:
                click.echo(f"{name} {version} as before")
            else:
                click.echo(f"{name} {change.before} -> {version}")
    if not installed.collections and not installed.roles:
        click.echo(
            f"{REQUIREMENTS} names no collection; add one with:"
            " task ansible-collection-install -- NAMESPACE.NAME"
        )
