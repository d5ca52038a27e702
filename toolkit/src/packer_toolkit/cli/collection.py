"""`packer-toolkit collection`."""

from __future__ import annotations

import click

from packer_toolkit.cli.options import json_option, print_json
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
    """Create, install and update Ansible collections.

    Third-party collections are listed in provisioners/ansible/requirements.yml.  Your own are part
    of this repository, in provisioners/ansible/collections.  The playbook finds both.
    """


@command.command()
@click.argument("name", metavar="NAMESPACE.NAME")
@json_option
def init(name: str, as_json: bool) -> None:
    """Create a collection in this repository, such as acme.web.

    Exit code 0: created.  3: the name is not valid, or the collection exists.
    """
    folder = create_collection(require_repository(), name)
    if as_json:
        print_json({"name": name, "folder": str(folder)})
        return
    click.echo(f"Created {name} in {folder}")
    click.echo(f"Add roles to roles/, and use one by its full name: {name}.ROLE")


@command.command()
@click.argument("names", nargs=-1, metavar="[NAMESPACE.NAME[:VERSION]]...")
@click.option(
    "--server",
    metavar="URL",
    help="Galaxy server to install the named collections from.  "
    "[default: the servers of ansible.cfg]",
)
@click.option(
    "--force", is_flag=True, help="Reinstall collections and roles that are already installed."
)
@json_option
def install(names: tuple[str, ...], server: str | None, force: bool, as_json: bool) -> None:
    """Install the collections and roles of requirements.yml, and delete all others.

    An exact version that is already installed is not downloaded again.  With NAMESPACE.NAME, these
    collections are installed and added to requirements.yml with the installed version.

    Exit code 0: installed.  3: requirements.yml is not valid.  4: a server cannot be reached, or
    does not have the version.
    """
    root = require_repository()
    options = Options(force=force)
    if names:
        _print_installed(add_collections(root, names, server, options), as_json)
    else:
        _print_installed(install_collections(root, options), as_json)


@command.command()
@json_option
def update(as_json: bool) -> None:
    """Update collections and roles to the newest versions that requirements.yml allows.

    Exit code 0: updated, or up to date.  3: requirements.yml is not valid.  4: a server cannot be
    reached.
    """
    options = Options(refresh=True, upgrade=True)
    _print_installed(install_collections(require_repository(), options), as_json)


def _print_installed(installed: Installed, as_json: bool) -> None:
    if as_json:
        print_json(installed)
        return
    for kind, changes in (("", installed.collections), ("role ", installed.roles)):
        for change in changes:
            name = f"{kind}{change.name}"
            version = change.after or "without a version"
            if change.before is None:
                click.echo(f"{name} {version} installed")
            elif change.before == change.after:
                click.echo(f"{name} {version} unchanged")
            else:
                click.echo(f"{name} {change.before} -> {version}")
    if not installed.collections and not installed.roles:
        click.echo(
            f"{REQUIREMENTS} lists no collection; add one with:"
            " task ansible-collection-install -- NAMESPACE.NAME"
        )
