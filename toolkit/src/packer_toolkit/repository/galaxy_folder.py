"""Read the roles and collections that are installed in a folder, and the record of what was.

The record decides what has to be installed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from packer_toolkit.errors import RemoteError
from packer_toolkit.process import Runner
from packer_toolkit.repository.galaxy_command import (
    find_reason,
    hide_secrets,
    join_output,
    make_environment,
    run_in_ansible,
)
from packer_toolkit.repository.requirements_file import Requirement, role_name

COLLECTIONS = Path("collections", "ansible_collections")
RECORD = "installed.json"
_GIT_SECONDS = 60.0
_EXACT_REF = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LIKELY_TAG = re.compile(r"v?\d+(?:\.\d+)+[\w.+-]*")


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


class Records:
    """Compares requirements with the present installation and with its record.

    Attributes:
        root: The repository.
        installation: The present installation.
        force: Whether nothing counts as current.
        refresh: Whether to look up what may have changed: ranges, branches.
        check_signals: Called while git runs; raises to stop it.
        run: Runs git.
        source_names: The collections that were installed from sources without a name.
    """

    def __init__(
        self,
        root: Path,
        installation: Installation,
        *,
        force: bool,
        refresh: bool,
        check_signals: Callable[[], None],
        run: Runner,
    ) -> None:
        self.root = root
        self.installation = installation
        self.force = force
        self.refresh = refresh
        self.check_signals = check_signals
        self.run = run
        data = read_mapping(installation.folder / RECORD)
        self._roles: dict[str, Any] = data.get("roles") or {}
        self._collections: dict[str, Any] = data.get("collections") or {}
        self._sources: dict[str, Any] = data.get("sources") or {}
        self.source_names: list[str] = self._sources.get("names") or []

    def is_current_role(self, requirement: Requirement) -> bool:
        """Report whether a role is installed as required."""
        record = self._roles.get(requirement.name)
        version = self.installation.roles.get(requirement.name)
        if version is None:
            return False
        if record is None and not self.force:
            exact = _LIKELY_TAG.fullmatch(version) or _EXACT_REF.fullmatch(version)
            return bool(exact) and version == requirement.version
        return self._is_current(requirement, record)

    def is_current_collection(self, requirement: Requirement) -> bool:
        """Report whether a collection with a name is installed as required."""
        record = self._collections.get(requirement.name)
        version = self.installation.collections.get(requirement.name)
        if version is None:
            return False
        if requirement.is_exact and version != requirement.version.lstrip("= "):
            return False
        if record is None and not self.force:
            return requirement.is_exact and self.installation.is_complete(requirement.name)
        return self._is_current(requirement, record)

    def are_current_sources(self, sources: Sequence[Requirement]) -> bool:
        """Report whether all sources without a name are installed as required."""
        records = self._sources.get("entries") or []
        if len(records) != len(sources):
            return False
        if not all(name in self.installation.collections for name in self.source_names):
            return False
        return all(map(self._is_current, sources, records))

    def _is_current(self, requirement: Requirement, record: dict[str, Any] | None) -> bool:
        if self.force or not record or record.get("entry") != write_entry(requirement.entry):
            return False
        if requirement.local_path is not None:
            return bool(record.get("content") == make_fingerprint(requirement.local_path))
        if requirement.is_exact or not self.refresh:
            return True
        if not requirement.git_url:
            return False
        if not record.get("moves", True):
            return True
        return self._find_commit(requirement)[0] == record.get("commit") is not None

    def describe(
        self,
        roles: Sequence[Requirement],
        collections: Sequence[Requirement],
        sources: Sequence[Requirement],
        stale: Sequence[Requirement] = (),
    ) -> dict[str, Any]:
        """Return the record of an installation.

        Args:
            roles: All roles.
            collections: All collections with a name.
            sources: All sources without a name.
            stale: Those of them that are installed again.
        """

        def choose(requirement: Requirement, old: dict[str, Any] | None) -> dict[str, Any]:
            return old if old and requirement not in stale else self._describe(requirement)

        is_new = any(each in stale for each in sources)
        old_entries = (self._sources.get("entries") or [])[: len(sources)]
        return {
            "roles": {each.name: choose(each, self._roles.get(each.name)) for each in roles},
            "collections": {
                each.name: choose(each, self._collections.get(each.name)) for each in collections
            },
            "sources": {
                "entries": [self._describe(each) for each in sources] if is_new else old_entries,
                "names": self.source_names if sources else [],
            },
        }

    def _describe(self, requirement: Requirement) -> dict[str, Any]:
        record: dict[str, Any] = {"entry": write_entry(requirement.entry)}
        if requirement.local_path is not None:
            record["content"] = make_fingerprint(requirement.local_path)
        elif requirement.git_url:
            # Where git cannot look up the version, ansible-galaxy reports the reason better.
            with contextlib.suppress(RemoteError):
                record["commit"], record["moves"] = self._find_commit(requirement)
        return record

    def _find_commit(self, requirement: Requirement) -> tuple[str | None, bool]:
        """Look up a version with git: its commit, and whether the version may get another one."""
        version = requirement.version if requirement.version not in ("", "*") else "HEAD"
        if _EXACT_REF.fullmatch(version):
            return version, False
        refs = ["HEAD"] if version == "HEAD" else [f"refs/heads/{version}", f"refs/tags/{version}"]
        # Not the git of `git.command`, because a signal has to stop it.
        completed = run_in_ansible(
            self.root,
            ["git", "ls-remote", "--", requirement.git_url, *refs],
            make_environment(self.root),
            self.check_signals,
            _GIT_SECONDS,
            self.run,
        )
        if completed.code:
            raise RemoteError(
                f"{requirement.file}:{requirement.line}: git cannot look up {version} of"
                f" {hide_secrets(requirement.git_url)} ({find_reason(join_output(completed))});"
                " check network, VPN and proxy, or use a tag or a commit as version"
            )
        pairs = (line.partition("\t") for line in completed.stdout.splitlines())
        commits = {ref: commit for commit, _, ref in pairs}
        branch = commits.get(refs[0])
        return (branch, True) if branch else (commits.get(refs[-1], version), False)


def write_entry(entry: Any) -> str:
    """Write an entry of requirements.yml as one line."""
    return entry if isinstance(entry, str) else json.dumps(entry, sort_keys=True, default=str)
