"""Install what requirements.yml names into provisioners/ansible/.galaxy, for all builds and checks.

An exact version is downloaded once. What may have changed (a range, a branch) is looked up again
only where the caller wants the newest version. A new installation is created beside the old one,
and replaces it when it is complete and no build or check of this repository uses the old one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.process import Runner, run_program
from packer_toolkit.repository.galaxy_command import (
    find_reason,
    hide_secrets,
    is_unreachable,
    join_output,
    make_environment,
    run_in_ansible,
)
from packer_toolkit.repository.galaxy_folder import (
    COLLECTIONS,
    RECORD,
    Installation,
    Records,
    make_fingerprint,
    write_entry,
)
from packer_toolkit.repository.requirements_file import (
    ANSIBLE,
    Requirement,
    Requirements,
    RequirementsError,
    read_requirements,
)

GALAXY = ANSIBLE / ".galaxy"
_NEW = ".new-"


@dataclass(frozen=True)
class InstalledPart:
    """A role or a collection of requirements.yml, or a dependency of one.

    Attributes:
        name: NAMESPACE.NAME, or the name of the role.
        before: The version that was installed before; None for a new one.
        after: The version that is installed now.
    """

    name: str
    before: str | None
    after: str


@dataclass
class Installed:
    """The installed collections and roles."""

    collections: list[InstalledPart] = field(default_factory=list)
    roles: list[InstalledPart] = field(default_factory=list)


@dataclass(frozen=True)
class Options:
    """How to install.

    Attributes:
        refresh: Whether to look up what may have changed: ranges, branches.
        upgrade: Whether to install the newest dependencies too.
        force: Whether to install everything again.
        additions: Collections that no file names yet.
        check_signals: Called several times a second; raises to stop waiting.
        report: Called with a line for the user.
        run: Runs ansible-galaxy and git.
    """

    refresh: bool = False
    upgrade: bool = False
    force: bool = False
    additions: Sequence[Requirement] = ()
    check_signals: Callable[[], None] = lambda: None
    report: Callable[[str], None] = lambda _: None
    run: Runner = run_program


@contextlib.contextmanager
def hold_requirements(root: Path, options: Options | None = None) -> Iterator[Installed]:
    """Install the requirements, and keep other processes from changing them inside of the block.

    Args:
        root: The repository.
        options: How to install.

    Raises:
        RequirementsError: A file is wrong, or something that it names does not exist.
        RemoteError: A server cannot be reached, or refuses.
        SetupError: ansible-galaxy is not installed, or the folder cannot be written.
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
                lock = installing.enter_context(_open(folder / ".installing.lock"))
                _take(lock, fcntl.LOCK_EX, options)
                before = Installation(folder)
                use = locks.enter_context(_open(folder / ".in-use.lock"))
                installation = _Installer(root, requirements, options, use).install()
                _take(use, fcntl.LOCK_SH, options)
        except OSError as error:
            reason = error.strerror or str(error)
            place = error.filename or GALAXY
            raise SetupError(f"{place}: {reason}; delete {GALAXY}, or correct its owner") from None
        yield _changes(before, installation)


def _changes(before: Installation, after: Installation) -> Installed:
    return Installed(
        [InstalledPart(name, before.collections.get(name), version)
         for name, version in sorted(after.collections.items())],
        [InstalledPart(name, before.roles.get(name), version)
         for name, version in sorted(after.roles.items())],
    )  # fmt: skip


# ----------------------------------------------------------------------------------- locks


def _open(file: Path) -> contextlib.closing[Any]:
    return contextlib.closing(file.open("a"))


def _take(file: Any, operation: int, options: Options) -> None:
    """Lock an open file; wait until other processes release it."""
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
        self.records = Records(
            root,
            self.current,
            force=options.force,
            refresh=options.refresh,
            check_signals=options.check_signals,
            run=options.run,
        )
        # Of several entries with one name the last one counts, as for ansible-galaxy with --force.
        self.roles = list({each.name: each for each in requirements.roles}.values())
        self.collections = [each for each in requirements.collections if each.name]
        # Their names are not known before they are installed: either all of them are current, or
        # none.
        self.sources = [each for each in requirements.collections if not each.name]

    def install(self) -> Installation:
        """Install what is not current, and return the installation."""
        stale_roles = [each for each in self.roles if not self.records.is_current_role(each)]
        stale = [each for each in self.collections if not self.records.is_current_collection(each)]
        stale_sources = [] if self.records.are_current_sources(self.sources) else self.sources
        roots = {each.name for each in self.collections} - {each.name for each in stale}
        if not stale_sources:
            roots |= set(self.records.source_names)
        retained_roles = self.current.find_roles(
            {each.name for each in self.roles} - {each.name for each in stale_roles}
        )
        retained = self.current.find_collections(roots)
        if self.options.upgrade:
            retained &= roots
        is_complete = retained_roles == set(self.current.roles) and (
            retained == set(self.current.collections)
        )
        if is_complete and not (stale_roles or stale or stale_sources):
            if not (self.folder / RECORD).exists():
                self._write_record(self._describe())
            return self.current
        records = self._describe([*stale_roles, *stale, *stale_sources])
        new = self._copy(retained_roles, retained)
        try:
            collections = [*stale, *stale_sources]
            if stale_roles or collections or (self.options.upgrade and retained):
                self._run(new, stale_roles, collections, roots & retained)
            if stale_sources:
                records["sources"]["names"] = self._find_source_names(Installation(new), retained)
            self._replace(new, records)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return Installation(self.folder)

    def _describe(self, stale: Sequence[Requirement] = ()) -> dict[str, Any]:
        # requirements.yml is about to get the additions in the version that was installed.
        additions = {each.name for each in self.options.additions}
        collections = [each for each in self.collections if each.name not in additions]
        return self.records.describe(self.roles, collections, self.sources, stale)

    def _find_source_names(self, installation: Installation, retained: set[str]) -> list[str]:
        """Return the collections that came from sources, without their dependencies."""
        names = {each.name for each in self.collections}
        new = set(installation.collections) - retained
        return sorted(
            each
            for each in new - names
            if not any(each in installation.find_collections([other]) - {other} for other in new)
        )

    def _copy(self, roles: set[str], collections: set[str]) -> Path:
        """Create a folder for the new installation, with what stays of the present one."""
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
        self,
        new: Path,
        roles: Sequence[Requirement],
        collections: Sequence[Requirement],
        retained: set[str],
    ) -> None:
        """Let ansible-galaxy install roles and collections into the new folder."""
        data: dict[str, Any] = {"roles": [each.entry for each in roles]}
        if collections or self.options.upgrade:
            # Retained ones stay in their version, which needs no server.
            versions = self.current.collections
            data["collections"] = [
                *({"name": name, "version": versions[name]} for name in sorted(retained)),
                *(each.entry for each in collections),
            ]
        file = new / "requirements.yml"
        file.write_text(yaml.safe_dump(data, allow_unicode=True))
        env = {
            **make_environment(self.root),
            # Relative ones, because a colon in a path would end it.
            "ANSIBLE_ROLES_PATH": str(Path(".galaxy", new.name, "roles")),
            "ANSIBLE_COLLECTIONS_PATH": f"{Path('.galaxy', new.name, 'collections')}:collections",
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",
        }
        requirements = [*roles, *collections]
        names = ", ".join(each.name or write_entry(each.entry) for each in requirements)
        self.options.report(f"Installing {hide_secrets(names or 'dependencies')}")
        command = ["ansible-galaxy", "install", "-r", str(file)]
        completed = run_in_ansible(
            self.root, command, env, self.options.check_signals, run=self.options.run
        )
        file.unlink()
        if completed.code:
            _raise_failure(join_output(completed), requirements)

    def _replace(self, new: Path, records: dict[str, Any]) -> None:
        """Replace the present installation by the new one, unless they are the same."""
        parts = [
            part
            for part in ("roles", "collections")
            if make_fingerprint(new / part) != make_fingerprint(self.folder / part)
        ]
        if parts:
            _take(self.use, fcntl.LOCK_EX, self.options)
            # After a kill before the end, the installation is compared with requirements.yml again.
            (self.folder / RECORD).unlink(missing_ok=True)
        for part in parts:
            old = new / f"old-{part}"
            if (self.folder / part).exists():
                (self.folder / part).rename(old)
            (new / part).rename(self.folder / part)
        self._write_record(records)

    def _write_record(self, records: dict[str, Any]) -> None:
        (self.folder / RECORD).write_text(json.dumps(records, indent=2) + "\n")


def _raise_failure(output: str, requirements: Sequence[Requirement]) -> NoReturn:
    """Raise the error of a failed ansible-galaxy.

    Raises:
        RemoteError: A server cannot be reached.
        RequirementsError: An entry is wrong.
    """
    reason = f"ansible-galaxy: {find_reason(output)}"
    if is_unreachable(output):
        raise RemoteError(
            f"{reason}; check network, VPN and proxy; a private source needs"
            " your SSH agent: task ansible-collection-install"
        )
    if not requirements:
        raise RemoteError(reason)
    named = (each for each in requirements if each.name and each.name in reason)
    wrong = next(named, requirements[0])
    raise RequirementsError(wrong.file, wrong.line, f"{reason}; correct the entry")
