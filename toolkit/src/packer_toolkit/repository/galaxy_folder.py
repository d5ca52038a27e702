"""Read the roles and collections that are installed in a folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from packer_toolkit.repository.requirements_file import role_name

COLLECTIONS = Path("collections", "ansible_collections")


class Installation:
    """A folder with installed roles and collections.

    Attributes:
        folder: The folder.
        roles: Versions of roles by name.
        collections: Versions of collections by name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roles: dict[str, str] = {}
        self.collections: dict[str, str] = {}
        self._needs: dict[str, set[str]] = {}
        for role in sorted(each for each in (folder / "roles").glob("*") if each.is_dir()):
            info = read_mapping(role / "meta/.galaxy_install_info")
            self.roles[role.name] = str(info.get("version") or "")
        for manifest in sorted((folder / COLLECTIONS).glob("*/*/MANIFEST.json")):
            info = read_mapping(manifest).get("collection_info") or {}
            name = f"{manifest.parts[-3]}.{manifest.parts[-2]}"
            self.collections[name] = str(info.get("version"))
            self._needs[name] = set(info.get("dependencies") or ())

    def is_complete(self, name: str) -> bool:
        """Report whether all files of a collection exist; after a kill some may not."""
        folder = self.folder.joinpath(COLLECTIONS, *name.split("."))
        files = read_mapping(folder / "FILES.json").get("files") or []
        return bool(files) and all((folder / str(each.get("name"))).exists() for each in files)

    def find_roles(self, names: Iterable[str]) -> set[str]:
        """Return roles and their dependencies, as far as they are installed."""
        return _close(names, self._role_dependencies) & set(self.roles)

    def find_collections(self, names: Iterable[str]) -> set[str]:
        """Return collections and their dependencies, as far as they are installed."""
        return _close(names, lambda name: self._needs.get(name, set())) & set(self.collections)

    def _role_dependencies(self, name: str) -> set[str]:
        entries: list[Any] = []
        for file in ("main.yml", "main.yaml", "requirements.yml", "requirements.yaml"):
            data = read_mapping(self.folder / "roles" / name / "meta" / file, list)
            entries += data if isinstance(data, list) else data.get("dependencies") or []
        return {role_name(entry) for entry in entries if isinstance(entry, str | dict)}


def _close(names: Iterable[str], find_needs: Callable[[str], set[str]]) -> set[str]:
    closure: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in closure:
            closure.add(name)
            waiting += find_needs(name)
    return closure


def read_mapping(file: Path, *more: type) -> Any:
    """Return the mapping of a file; an empty one when the file cannot be read."""
    load = json.loads if file.suffix == ".json" else yaml.safe_load  # which is slow
    try:
        data = load(file.read_bytes())
    except (OSError, yaml.YAMLError, ValueError):
        return {}
    return data if isinstance(data, (dict, *more)) else {}


def make_fingerprint(path: Path) -> str:
    """Return a checksum of a file, or of the names and contents below a folder."""
    digest = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        name = file.relative_to(path).as_posix()
        if ".git" in file.parts[len(path.parts) :] or file.name == ".galaxy_install_info":
            continue
        if file.is_symlink():
            digest.update(f"link {name} {os.readlink(file)}\n".encode())
        elif file.is_file():
            digest.update(f"file {name} {file.stat().st_mode & 0o111}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
