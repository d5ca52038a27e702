"""Ansible collections of a repository: its own, and those from elsewhere.

Own ones lie in provisioners/ansible/collections and are committed.  Those from elsewhere are named
in requirements.yml and installed into provisioners/ansible/.galaxy, which git ignores.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.galaxy_command import run_galaxy
from packer_toolkit.repository.galaxy_install import Installed, Options, hold_requirements
from packer_toolkit.repository.requirements_file import (
    ANSIBLE,
    FILES,
    REQUIREMENTS,
    Requirement,
    read_requirements,
)

OWN = ANSIBLE / "collections" / "ansible_collections"
_SKELETON = Path(__file__).with_name("collection_skeleton")

# Both parts: https://docs.ansible.com/projects/ansible/latest/dev_guide/developing_collections_creating.html
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def check_name(name: str) -> str:
    """Return a collection's name.

    Raises:
        SetupError: when it is none.
    """
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"{name} is no name of a collection: two words of lower-case letters, digits and _"
            " with a dot between them, such as acme.web"
        )
    return name


def init(root: Path, name: str) -> Path:
    """Make a collection with its base structure; return its folder, relative to the repository.

    Raises:
        SetupError: when the name is none, or there is something of that name.
    """
    folder = OWN / Path(*check_name(name).split("."))
    if os.path.lexists(root / folder):
        raise SetupError(f"{folder} exists already; take another name, or remove it first")
    (root / OWN).mkdir(parents=True, exist_ok=True)
    arguments = ("--init-path", root / OWN, "--collection-skeleton", _SKELETON, name)
    run_galaxy(root, "collection", "init", *arguments)
    return folder


def install(root: Path, options: Options) -> Installed:
    """Install what requirements.yml names; return what is installed then.

    Args:
        root: the repository.
        options: how.

    Raises:
        SetupError: when requirements.yml is missing or wrong.
        RemoteError: when a server cannot be reached.
    """
    if not any((root / file).is_file() for file in FILES):
        raise SetupError(f"{REQUIREMENTS} is missing; restore it with: git checkout {REQUIREMENTS}")
    with hold_requirements(root, options) as installed:
        return installed


def add(root: Path, wanted: Sequence[str], server: str | None, options: Options) -> Installed:
    """Install collections that requirements.yml does not name yet, and write them into it.

    Args:
        root: the repository.
        wanted: NAMESPACE.NAME, with :VERSION or a range such as :>=1.2,<2 if not any will do.
        server: URL of the Galaxy server, for these only; by default ansible.cfg's.
        options: how to install.

    Raises:
        SetupError: when one is named there already.
        RemoteError: when a server cannot be reached.
    """
    required = {each.name for each in read_requirements(root).collections}
    additions = []
    for each in wanted:
        name, _, version = each.partition(":")
        if check_name(name) in required:
            raise SetupError(
                f"{name} is in {REQUIREMENTS} already; change its version there, or take the newest"
                " that it allows: task ansible-collection-update"
            )
        entry = {"name": name, "version": version or "*", **({"source": server} if server else {})}
        additions.append(Requirement(entry, REQUIREMENTS, 1, name, version))
    installed = install(root, replace(options, additions=additions))
    versions = {change.name: change.after for change in installed.collections}
    entries = [
        {
            "name": each.name,
            "version": versions[each.name],
            **({"source": server} if server else {}),
        }
        for each in additions
    ]
    write_down(root, entries)
    return installed


def write_down(root: Path, entries: Sequence[dict[str, str]]) -> None:
    """Add collections to requirements.yml, and leave its comments and the rest as they are."""
    file = root / REQUIREMENTS
    try:
        content = file.read_bytes().decode("utf-8-sig") if file.is_file() else "---\n"
    except UnicodeDecodeError:
        raise SetupError(
            f"installed, but {REQUIREMENTS} is not in UTF-8; save it as that"
        ) from None
    text = content.replace("\r\n", "\n")
    # Where the file has items already, the new ones stand in the same column.
    column = re.search(r"^collections:.*\n(?:[ \t]*(?:#.*)?\n)*( *)- ", text, re.M)
    indent = column[1] if column else "  "
    lines = [
        f"{indent}- name: {value}" if key == "name" else f"{indent}  {key}: {json.dumps(value)}"
        for entry in entries
        for key, value in entry.items()
    ]
    block = "\n".join(lines)
    if re.search(r"^collections: *(\[\]|\{\}|~|null)?[ \t]*(#.*)?$", text, re.M):
        changed = re.sub(
            r"^collections:.*$", lambda _: f"collections:\n{block}", text, count=1, flags=re.M
        )
    else:
        changed = f"{text.rstrip()}\ncollections:\n{block}\n".lstrip()
    before = yaml.safe_load(text) or {}
    try:
        after = yaml.safe_load(changed)
    except yaml.YAMLError:
        after = None
    new = [dict(entry) for entry in entries]
    if not isinstance(before, dict) or after != {
        **before,
        "collections": [*new, *(before.get("collections") or [])],
    }:
        raise SetupError(f"installed, but {REQUIREMENTS} is for you to change; add:\n{block}")
    # Line breaks stay as they are.
    changed = changed.replace("\n", "\r\n") if "\r\n" in content else changed
    file.write_bytes(changed.encode())
