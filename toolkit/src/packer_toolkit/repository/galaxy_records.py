"""The record of what was installed: it decides what has to be installed again."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from packer_toolkit.errors import RemoteError
from packer_toolkit.process import Runner
from packer_toolkit.repository.galaxy_command import (
    find_reason,
    hide_secrets,
    join_output,
    make_environment,
    run_in_ansible,
)
from packer_toolkit.repository.galaxy_folder import Installation, make_fingerprint, read_mapping
from packer_toolkit.repository.requirements_file import Requirement

_FILE = "installed.json"
_GIT_SECONDS = 60.0
_EXACT_REF = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LIKELY_TAG = re.compile(r"v?\d+(?:\.\d+)+[\w.+-]*")


class Records:
    """Compares requirements with the present installation and with its record.

    Attributes:
        root: The repository.
        installation: The present installation.
        force: Whether nothing counts as current.
        refresh: Whether to look up what may have changed: ranges, branches.
        check_signals: Called while git runs; raises to stop it.
        run: Runs git.
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
        data = read_mapping(installation.folder / _FILE)
        self._roles: dict[str, Any] = data.get("roles") or {}
        self._collections: dict[str, Any] = data.get("collections") or {}
        self._sources: dict[str, Any] = data.get("sources") or {}

    @property
    def source_names(self) -> list[str]:
        """The names of the collections that were installed from sources without a name."""
        return self._sources.get("names") or []

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


def has_records(folder: Path) -> bool:
    """Report whether an installation has a record."""
    return (folder / _FILE).exists()


def write_records(folder: Path, records: dict[str, Any]) -> None:
    """Write the record of an installation."""
    (folder / _FILE).write_text(json.dumps(records, indent=2) + "\n")


def delete_records(folder: Path) -> None:
    """Delete the record of an installation, so that its content is compared again."""
    (folder / _FILE).unlink(missing_ok=True)


def write_entry(entry: Any) -> str:
    """Write an entry of requirements.yml as one line."""
    return entry if isinstance(entry, str) else json.dumps(entry, sort_keys=True, default=str)
