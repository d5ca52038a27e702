"""Ansible collections of a repository: its own, and those of others.

Its own are in provisioners/ansible/collections and are committed. Those of others are named in
requirements.yml and installed into provisioners/ansible/.galaxy, which git ignores.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def require_name(name: str) -> str:
    """Return the name of a collection.

    Raises:
        SetupError: The name is not valid.
    """
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"{name} is not a valid collection name; use two words of lowercase letters,"
            " digits and _ with a dot between them, such as acme.web"
        )
    return name


def create_collection(root: Path, name: str) -> Path:
    """Create a collection with its base structure, and return its folder below the repository.

    Raises:
        SetupError: The name is not valid, or the collection exists.
    """
    folder = OWN / Path(*require_name(name).split("."))
    if os.path.lexists(root / folder):
        raise SetupError(f"{folder} exists already; choose another name, or remove it first")
    (root / OWN).mkdir(parents=True, exist_ok=True)
    arguments = ("--init-path", root / OWN, "--collection-skeleton", _SKELETON, name)
    run_galaxy(root, "collection", "init", *arguments)
    return folder


def install_collections(root: Path, options: Options) -> Installed:
    """Install what requirements.yml names, and return what is installed then.

    Args:
        root: The repository.
        options: How to install.

    Raises:
        SetupError: requirements.yml is missing or wrong.
        RemoteError: A server cannot be reached.
    """
    if not any((root / file).is_file() for file in FILES):
        raise SetupError(f"{REQUIREMENTS} is missing; restore it with: git checkout {REQUIREMENTS}")
    with hold_requirements(root, options) as installed:
        return installed


def add_collections(
    root: Path, names: Sequence[str], server: str | None, options: Options
) -> Installed:
    """Install collections that requirements.yml does not name yet, and write them into it.

    Args:
        root: The repository.
        names: NAMESPACE.NAME, each with :VERSION or a range such as :>=1.2,<2 for a certain one.
        server: URL of the Galaxy server, for these only; None for that of ansible.cfg.
        options: How to install.

    Raises:
        SetupError: requirements.yml names one of them already.
        RemoteError: A server cannot be reached.
    """
    required = {each.name for each in read_requirements(root).collections}
    additions = []
    source = {"source": server} if server else {}
    for each in names:
        name, _, version = each.partition(":")
        if require_name(name) in required:
            raise SetupError(
                f"{name} is in {REQUIREMENTS} already; change its version there, or install the"
                " newest version that it allows: task ansible-collection-update"
            )
        entry = {"name": name, "version": version or "*", **source}
        additions.append(Requirement(entry, REQUIREMENTS, 1, name, version))
    installed = install_collections(root, replace(options, additions=additions))
    versions = {each.name: each.after for each in installed.collections}
    write_entries(
        root, [{"name": each.name, "version": versions[each.name], **source} for each in additions]
    )
    return installed


def write_entries(root: Path, entries: Sequence[dict[str, str]]) -> None:
    """Add collections to requirements.yml; its comments and everything else stay as they are.

    The lines are inserted: a library that writes the whole file would change the form of the rest
    (docs/decisions/0051).

    Raises:
        SetupError: The form of the file does not allow that; the message has the lines to add.
    """
    file = root / REQUIREMENTS
    try:
        content = file.read_bytes().decode("utf-8-sig") if file.is_file() else "---\n"
    except UnicodeDecodeError:
        raise SetupError(
            f"installed, but {REQUIREMENTS} is not in UTF-8; save it in UTF-8, and run this again"
        ) from None
    text = content.replace("\r\n", "\n")
    start, end, indent = _split_for_entries(text)
    block = "".join(
        f"{indent}- name: {value}\n" if key == "name" else f"{indent}  {key}: {json.dumps(value)}\n"
        for entry in entries
        for key, value in entry.items()
    )
    changed = f"{start}{block}{end}"
    before, after = yaml.safe_load(text) or {}, _parse(changed)
    if not isinstance(before, dict) or after != {
        **before,
        "collections": [*entries, *(before.get("collections") or [])],
    }:
        raise SetupError(
            f"installed, but {REQUIREMENTS} cannot be changed without you; add:\n{block}"
        )
    # Line breaks stay as they are.
    file.write_bytes((changed.replace("\n", "\r\n") if "\r\n" in content else changed).encode())


def _split_for_entries(text: str) -> tuple[str, str, str]:
    """Return the text before and after the place of new entries, and their indentation."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if key.value == "collections":
            end = text.find("\n", key.end_mark.index) + 1 or len(text)
            if value.value and isinstance(value, yaml.SequenceNode) and not value.flow_style:
                return text[:end], text[end:], " " * value.start_mark.column
            # Without [], {} or null, so that entries may follow on the next lines.
            line = text[: value.start_mark.index] + text[value.end_mark.index : end]
            return f"{line.rstrip()}\n", text[end:], "  "
    return f"{text.rstrip()}\ncollections:\n".lstrip(), "", "  "


def _parse(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
