"""Runs checks over rendered repositories, so that equal files are looked at only once.

A check gets a folder that holds exactly the files that its cache key is made of: it cannot read
anything that the key does not know.  Only passes are kept, as empty files in the cache of the
tests; what was found is found again by each run, until it is mended.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rig.host.cache import cache_dir, fingerprint, locked
from rig.host.machine import HOST_ENV

_KEPT_SECONDS = 14 * 24 * 60 * 60

_OWN_CODE = (Path(__file__), Path(__file__).with_name("checks.py"))


class File(NamedTuple):
    """A rendered file, as far as a check can tell it from another."""

    content: bytes
    executable: bool = False


# Path inside the repository, with slashes -> file.
Tree = Mapping[str, File]


@dataclass(frozen=True)
class Check:
    """One tool, and what it reads.

    Attributes:
        name: how findings and cache call it.
        reads: patterns of the paths it looks at, or a function that picks them from a tree;
            `*` matches slashes too.
        run: gets a folder and the paths to look at, returns what it found; empty when all is well.
        version: changes whenever another version of the tool would run.
        config: paths that it reads beside them and that are not findings' subject.
        together: whether the files mean something only as a set.  Otherwise each is judged alone,
            and the files of many trees go through one run.
    """

    name: str
    reads: Sequence[str] | Callable[[Tree], Collection[str]]
    run: Callable[[Path, Sequence[str]], str]
    version: Callable[[], str]
    config: Sequence[str] = ()
    together: bool = False

    def paths(self, tree: Tree) -> list[str]:
        """Return the paths of TREE that it looks at."""
        if callable(self.reads):
            return sorted(self.reads(tree))
        return sorted(path for path in tree if matches(path, self.reads))


@dataclass(frozen=True)
class _Unit:
    """What gets one verdict: files by path, and the configuration that judges them."""

    key: str
    files: Mapping[str, File]
    config: Mapping[str, File]


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Tell whether one of the patterns matches the whole path."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def read_tree(directory: Path) -> dict[str, File]:
    """Return the files of a rendered repository; git's own are left out."""
    return {
        path.relative_to(directory).as_posix(): File(
            path.read_bytes(), bool(path.stat().st_mode & 0o100)
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.relative_to(directory).parts[0] != ".git"
    }


def write_tree(tree: Tree, directory: Path) -> None:
    """Write the files of a tree below a directory."""
    for path, file in tree.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(0o755 if file.executable else 0o644)


def lint(
    trees: Mapping[str, Tree], checks: Sequence[Check], passes: Path | None = None
) -> dict[str, list[str]]:
    """Run the checks over rendered repositories.

    Args:
        trees: the repositories by name.
        checks: what to run, the cheap ones first.
        passes: folder of the notes about what has passed; without it, the one in the cache.

    Returns:
        What was found, by the names of the trees: one text for each check that found something.
    """
    found: dict[str, list[str]] = {name: [] for name in trees}
    for check in checks:
        passed = (passes or cache_dir("passed")) / check.name
        _forget_old(passed)
        units: dict[str, dict[str, _Unit]] = {
            name: {unit.key: unit for unit in _units(check, tree)} for name, tree in trees.items()
        }
        if check.together:
            failures: dict[str, str] = {}
            for key, unit in {k: u for own in units.values() for k, u in own.items()}.items():
                with locked(f"lint-{check.name}-{key[:2]}"):  # another worker may be at it
                    failures[key] = _judge(check, passed, [unit])
            for name, own in units.items():
                found[name] += [failures[key] for key in own if failures[key]]
        elif report := _judge(
            check, passed, [unit for own in units.values() for unit in own.values()]
        ):
            # Something in the heap is wrong: now one by one, to tell whose it is.
            for name, own in units.items():
                mine = _judge(check, passed, list(own.values())) if len(units) > 1 else report
                found[name] += [mine] if mine else []
    return found


@functools.cache
def _forget_old(passed: Path) -> None:
    """Make the folder, and remove passes of versions that nobody has any more."""
    passed.mkdir(parents=True, exist_ok=True)
    for note in passed.iterdir():
        with suppress(FileNotFoundError):  # another worker was faster
            if time.time() - note.stat().st_mtime > _KEPT_SECONDS:
                note.unlink()


def _units(check: Check, tree: Tree) -> list[_Unit]:
    paths = check.paths(tree)
    config = {path: tree[path] for path in check.config if path in tree}
    groups = [paths] if check.together and paths else [[path] for path in paths]
    return [
        _Unit(
            _key(check, {path: tree[path] for path in group}, config),
            {path: tree[path] for path in group},
            config,
        )
        for group in groups
    ]


def _key(check: Check, files: Tree, config: Tree) -> str:
    parts: list[str | bytes | Path] = [check.name, check.version(), *_OWN_CODE]
    for path, file in [*files.items(), *config.items()]:
        parts += [path, file.content, str(file.executable)]
    return fingerprint(*parts)


def _judge(check: Check, passed: Path, units: Sequence[_Unit]) -> str:
    """Run a check over units that have not passed yet; return its findings."""
    pending = {unit.key: unit for unit in units if not (passed / unit.key).exists()}
    # Files under different configurations cannot go through one run.
    by_config: dict[str, list[_Unit]] = defaultdict(list)
    for unit in pending.values():
        by_config[repr(sorted(unit.config.items()))].append(unit)
    findings = []
    for group in by_config.values():
        report = _run(check, group)
        if report:
            findings.append(f"{check.name}: {report.strip()}")
        else:
            for unit in group:
                (passed / unit.key).touch()
    return "\n".join(findings)


def _run(check: Check, units: Sequence[_Unit]) -> str:
    with tempfile.TemporaryDirectory(prefix=f"{check.name}-") as scratch:
        work = Path(scratch) / "repository"
        (Path(scratch) / "home").mkdir()
        work.mkdir()
        write_tree(units[0].config, work)
        paths: list[str] = []
        if check.together:
            for unit in units:
                write_tree(unit.files, work)
                paths += unit.files
        else:
            # Each path's different contents go into different folders, below which the path stays.
            layers: dict[str, int] = defaultdict(int)
            for unit in units:
                for path, file in unit.files.items():
                    layered = f"{layers[path]}/{path}"
                    layers[path] += 1
                    write_tree({layered: file}, work)
                    paths.append(layered)
        return check.run(work, paths)


@functools.cache
def tools_path() -> str:
    """Return the PATH of the tools: this environment's own first, then the machine's."""
    return os.pathsep.join([str(Path(sys.executable).parent), HOST_ENV.get("PATH", os.defpath)])
