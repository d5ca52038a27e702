"""Installs what requirements.yml names into provisioners/ansible/.galaxy, once for all who use it.

An exact version is downloaded once.  What may have changed (a range, a branch) is looked up again
only where the caller wants the newest.  A new installation is made beside the old one and takes its
place when it is complete and no build or check of this repository uses the old one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.repository.galaxy_command import (
    Output,
    find_reason,
    hide_secrets,
    is_unreachable,
    make_environment,
    run_command,
)
from packer_toolkit.repository.galaxy_folder import (
    COLLECTIONS,
    Installation,
    fingerprint,
    read_mapping,
)
from packer_toolkit.repository.requirements_file import (
    ANSIBLE,
    Requirement,
    Requirements,
    RequirementsError,
    read_requirements,
)

GALAXY = ANSIBLE / ".galaxy"
_STATE = "installed.json"
_NEW = ".new-"
_GIT_SECONDS = 60.0
_EXACT_REF = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LIKELY_TAG = re.compile(r"v?\d+(?:\.\d+)+[\w.+-]*")


def _do_nothing(_: str = "") -> None:
    pass


@dataclass(frozen=True)
class Change:
    """A role or a collection of requirements.yml, or a dependency of one.

    Attributes:
        name: NAMESPACE.NAME, or the role's name.
        before: the version that was installed, or None.
        after: the version that is installed now.
    """

    name: str
    before: str | None
    after: str


@dataclass
class Installed:
    """What is installed after `hold_requirements`."""

    collections: list[Change] = field(default_factory=list)
    roles: list[Change] = field(default_factory=list)


@dataclass(frozen=True)
class Options:
    """How to install.

    Attributes:
        refresh: whether to look up what may have changed: ranges, branches.
        upgrade: whether to take the newest dependencies too.
        force: whether to install everything again.
        additions: collections that no file names yet.
        check_signals: called while it waits; what it raises ends the waiting.
        report: called with a line for the user.
    """

    refresh: bool = False
    upgrade: bool = False
    force: bool = False
    additions: Sequence[Requirement] = ()
    check_signals: Callable[[], None] = _do_nothing
    report: Callable[[str], None] = _do_nothing


@contextlib.contextmanager
def hold_requirements(root: Path, options: Options | None = None) -> Iterator[Installed]:
    """Install the requirements, and keep other processes from changing them inside of the block.

    Args:
        root: the repository.
        options: how.

    Raises:
        RequirementsError: when a file is wrong, or what it names does not exist.
        RemoteError: when a server cannot be reached, or refuses.
        SetupError: when ansible-galaxy is missing, or the folder is not writable.
    """
    options = options or Options()
    requirements = read_requirements(root)
    requirements.collections += options.additions
    for each in requirements.collections:
        if each.local_path is not None and not each.local_path.exists():
            reason = f"{each.local_path} does not exist; correct the path"
            raise RequirementsError(each.file, each.line, reason)
    folder = root / GALAXY
    if not requirements and not folder.is_dir():
        yield Installed()
        return
    with contextlib.ExitStack() as locks:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as installing:
                _lock(folder / ".installing.lock", fcntl.LOCK_EX, options, installing)
                before = Installation(folder)
                use = locks.enter_context(_open(folder / ".in-use.lock"))
                installation = _Installer(root, requirements, options, use)()
                _take(use, fcntl.LOCK_SH, options)
        except OSError as error:
            reason = error.strerror or str(error)
            place = error.filename or GALAXY
            raise SetupError(f"{place}: {reason}; delete {GALAXY}, or correct its owner") from None
        yield _changes(before, installation)


def _changes(before: Installation, after: Installation) -> Installed:
    return Installed(
        [Change(name, before.collections.get(name), version)
         for name, version in sorted(after.collections.items())],
        [Change(name, before.roles.get(name), version)
         for name, version in sorted(after.roles.items())],
    )  # fmt: skip


# ----------------------------------------------------------------------------------- locks


def _open(file: Path) -> contextlib.closing[Any]:
    return contextlib.closing(file.open("a"))


def _lock(file: Path, operation: int, options: Options, locks: contextlib.ExitStack) -> None:
    _take(locks.enter_context(_open(file)), operation, options)


def _take(file: Any, operation: int, options: Options) -> None:
    """Lock an open file, as soon as the others allow it."""
    is_reported = False
    while True:
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not is_reported:
                options.report(f"another build or check uses {GALAXY}; waiting until it has ended")
                is_reported = True
            options.check_signals()
            time.sleep(0.2)
        except OSError:  # a file system without locks
            return


# ----------------------------------------------------------------------------- installing


class _Installer:
    """Brings the installation of a repository up to its requirements."""

    def __init__(self, root: Path, requirements: Requirements, options: Options, use: Any) -> None:
        self.root = root
        self.folder = root / GALAXY
        self.options = options
        self.use = use
        self.current = Installation(self.folder)
        self.state = read_mapping(self.folder / _STATE)
        # Of the same name the last one counts, as for ansible-galaxy with --force.
        self.roles = list({each.name: each for each in requirements.roles}.values())
        self.named = [each for each in requirements.collections if each.name]
        # Their names are not known before they are installed: either all of them are current, or
        # none.
        self.sources = [each for each in requirements.collections if not each.name]

    def __call__(self) -> Installation:
        stale_roles = [each for each in self.roles if not self._is_current_role(each)]
        stale_named = [each for each in self.named if not self._is_current_collection(each)]
        stale_sources = [] if self._are_current_sources() else self.sources
        roots = {each.name for each in self.named} - {each.name for each in stale_named}
        if not stale_sources:
            roots |= set(self._source_names())
        kept_roles = self.current.find_roles(
            {each.name for each in self.roles} - {each.name for each in stale_roles}
        )
        kept = self.current.find_collections(roots)
        if self.options.upgrade:
            kept &= roots
        stale = [*stale_roles, *stale_named, *stale_sources]
        if not stale and kept_roles == set(self.current.roles) and (
            kept == set(self.current.collections)
        ):  # fmt: skip
            if not (self.folder / _STATE).exists():
                self._write_state(self.folder, self._records())
            return self.current
        records = self._records(stale)
        new = self._copy(kept_roles, kept)
        try:
            if stale or (self.options.upgrade and kept):
                self._run(new, stale_roles, [*stale_named, *stale_sources], roots & kept)
            installation = Installation(new)
            if stale_sources:
                named = {each.name for each in self.named}
                appeared = set(installation.collections) - kept
                records["sources"]["names"] = sorted(
                    each
                    for each in appeared - named
                    if not any(
                        each in installation.find_collections([other]) - {other}
                        for other in appeared
                    )
                )
            self._replace(new, records)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return Installation(self.folder)

    # -- What is current

    def _is_current_role(self, requirement: Requirement) -> bool:
        record = (self.state.get("roles") or {}).get(requirement.name)
        version = self.current.roles.get(requirement.name)
        if version is None:
            return False
        if record is None and not self.options.force:
            exact = _LIKELY_TAG.fullmatch(version) or _EXACT_REF.fullmatch(version)
            return bool(exact) and version == requirement.version
        return self._is_current(requirement, record)

    def _is_current_collection(self, requirement: Requirement) -> bool:
        record = (self.state.get("collections") or {}).get(requirement.name)
        version = self.current.collections.get(requirement.name)
        if version is None:
            return False
        if requirement.is_exact and version != requirement.version.lstrip("= "):
            return False
        if record is None and not self.options.force:
            return requirement.is_exact and self.current.is_complete(requirement.name)
        return self._is_current(requirement, record)

    def _are_current_sources(self) -> bool:
        records = (self.state.get("sources") or {}).get("entries") or []
        if len(records) != len(self.sources):
            return False
        if not all(name in self.current.collections for name in self._source_names()):
            return False
        return all(map(self._is_current, self.sources, records))

    def _source_names(self) -> list[str]:
        return (self.state.get("sources") or {}).get("names") or []

    def _is_current(self, requirement: Requirement, record: dict[str, Any] | None) -> bool:
        if self.options.force or not record or record.get("entry") != _as_text(requirement.entry):
            return False
        if requirement.local_path is not None:
            return bool(record.get("content") == fingerprint(requirement.local_path))
        if requirement.is_exact or not self.options.refresh:
            return True
        if not requirement.git_url:
            return False
        if not record.get("moves", True):
            return True
        return self._find_commit(requirement)[0] == record.get("commit") is not None

    # -- The record of what was installed

    def _records(self, stale: Sequence[Requirement] = ()) -> dict[str, Any]:
        additions = {each.name for each in self.options.additions}
        old_roles, old_named = (self.state.get(key) or {} for key in ("roles", "collections"))
        old_sources = self.state.get("sources") or {}

        def record(requirement: Requirement, old: dict[str, Any] | None) -> dict[str, Any]:
            return old if old and requirement not in stale else self._record(requirement)

        is_new = any(each in stale for each in self.sources)
        return {
            "roles": {each.name: record(each, old_roles.get(each.name)) for each in self.roles},
            "collections": {
                each.name: record(each, old_named.get(each.name))
                for each in self.named
                # A file is about to name them in the version that was installed.
                if each.name not in additions
            },
            "sources": {
                "entries": (
                    [self._record(each) for each in self.sources]
                    if is_new
                    else old_sources.get("entries") or []
                ) if self.sources else [],
                "names": (old_sources.get("names") or []) if self.sources else [],
            },
        }  # fmt: skip

    def _record(self, requirement: Requirement) -> dict[str, Any]:
        record: dict[str, Any] = {"entry": _as_text(requirement.entry)}
        if requirement.local_path is not None:
            record["content"] = fingerprint(requirement.local_path)
        elif requirement.git_url:
            # Where Git cannot be asked, ansible-galaxy is about to report it better.
            with contextlib.suppress(RemoteError):
                record["commit"], record["moves"] = self._find_commit(requirement)
        return record

    def _write_state(self, folder: Path, records: dict[str, Any]) -> None:
        (folder / _STATE).write_text(json.dumps(records, indent=2) + "\n")

    def _find_commit(self, requirement: Requirement) -> tuple[str | None, bool]:
        """Ask Git for a version: its commit, and whether another one may get the same name."""
        version = requirement.version if requirement.version not in ("", "*") else "HEAD"
        if _EXACT_REF.fullmatch(version):
            return version, False
        refs = ["HEAD"] if version == "HEAD" else [f"refs/heads/{version}", f"refs/tags/{version}"]
        command = ["git", "ls-remote", "--", requirement.git_url, *refs]
        output = self._run_command(command, make_environment(self.root), _GIT_SECONDS)
        if output.code:
            raise RemoteError(
                f"{requirement.file}:{requirement.line}: git cannot look up {version} of"
                f" {hide_secrets(requirement.git_url)} ({find_reason(output.text)}); check"
                " network, VPN and proxy, or name a tag or a commit as version"
            )
        pairs = (line.partition("\t") for line in output.out.splitlines())
        commits = {ref: commit for commit, _, ref in pairs}
        branch = commits.get(refs[0])
        return (branch, True) if branch else (commits.get(refs[-1], version), False)

    # -- The new installation

    def _copy(self, roles: set[str], collections: set[str]) -> Path:
        """Make a folder for the new installation, with what is kept of the present one."""
        for leftover in self.folder.glob(f"{_NEW}*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        # A new name, because an ansible-galaxy of that process may still write into the old one.
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.folder))
        parts = [Path("roles", name) for name in roles]
        parts += [COLLECTIONS.joinpath(*name.split(".")) for name in collections]
        for name in collections:
            info = f"{name}-{self.current.collections[name]}.info"
            parts += [COLLECTIONS / info] if (self.folder / COLLECTIONS / info).is_dir() else []
        (new / "roles").mkdir(parents=True)
        (new / COLLECTIONS).mkdir(parents=True)
        for part in parts:
            shutil.copytree(self.folder / part, new / part, symlinks=True)
        return new

    def _run(
        self, new: Path, roles: list[Requirement], collections: list[Requirement], kept: set[str]
    ) -> None:
        """Let ansible-galaxy install roles and collections into the new folder."""
        # What is kept stays in its version; it needs no server.
        entries = [
            *({"name": name, "version": self.current.collections[name]} for name in sorted(kept)),
            *(each.entry for each in collections),
        ]
        data = {"roles": [each.entry for each in roles]}
        if collections or self.options.upgrade:
            data["collections"] = entries
        file = new / "requirements.yml"
        file.write_text(yaml.safe_dump(data, allow_unicode=True))
        env = {
            **make_environment(self.root),
            # Relative ones, because a colon in a path would end it.
            "ANSIBLE_ROLES_PATH": str(Path(".galaxy", new.name, "roles")),
            "ANSIBLE_COLLECTIONS_PATH": f"{Path('.galaxy', new.name, 'collections')}:collections",
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",
        }
        wanted = [*roles, *collections]
        names = ", ".join(each.name or _as_text(each.entry) for each in wanted)
        self.options.report(f"Installing {hide_secrets(names or 'dependencies')}")
        command = ["ansible-galaxy", "install", "-r", str(file)]
        output = self._run_command(command, env)
        file.unlink()
        if not output.code:
            return
        reason = find_reason(output.text)
        if is_unreachable(output.text):
            raise RemoteError(
                f"ansible-galaxy: {reason}; check network, VPN and proxy; a private source needs"
                " your SSH agent: task ansible-collection-install"
            )
        if not wanted:
            raise RemoteError(f"ansible-galaxy: {reason}")
        mistake = next((each for each in wanted if each.name and each.name in reason), wanted[0])
        reason = f"ansible-galaxy: {reason}; correct the entry"
        raise RequirementsError(mistake.file, mistake.line, reason)

    def _run_command(
        self, command: list[str], env: dict[str, str], timeout: float = float("inf")
    ) -> Output:
        return run_command(command, self.root / ANSIBLE, env, self.options.check_signals, timeout)

    def _replace(self, new: Path, records: dict[str, Any]) -> None:
        """Let the new installation take the place of the present one, unless it is the same."""
        parts = [part for part in ("roles", "collections")
                 if fingerprint(new / part) != fingerprint(self.folder / part)]  # fmt: skip
        if parts:
            _take(self.use, fcntl.LOCK_EX, self.options)
            # After a kill in between, what is there is compared with requirements.yml again.
            (self.folder / _STATE).unlink(missing_ok=True)
        for part in parts:
            old = new / f"old-{part}"
            if (self.folder / part).exists():
                (self.folder / part).rename(old)
            (new / part).rename(self.folder / part)
        self._write_state(self.folder, records)


def _as_text(entry: Any) -> str:
    return entry if isinstance(entry, str) else json.dumps(entry, sort_keys=True, default=str)
