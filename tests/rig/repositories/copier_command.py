"""The `copier` command as a person runs it, and what it leaves behind."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig import CHECKOUT
from rig.host.cache import cache_dir, locked
from rig.host.machine import HOST_ENV
from rig.host.tools import missing, require

# What Copier prints on stderr about its progress, whether or not it then fails.
_PROGRESS = re.compile(r"(?:Updating to|Keeping|Copying from) template version \S+\Z")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code.
        stdout: what it printed.
        stderr: what it printed there, without colours.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def complaints(self) -> list[str]:
        """The lines of stderr that tell a person that something is wrong."""
        lines = self.stderr.split("\n")
        return [line for line in lines if line.strip() and not _PROGRESS.match(line)]


def run_copier(
    *args: str | Path,
    cwd: Path,
    env: Mapping[str, str | None] | None = None,
    python: Path | str = sys.executable,
    prefix: Sequence[str] = (),
    timeout: float = 120,
) -> Outcome:
    """Run `copier ARGS` without a terminal.

    Args:
        args: its arguments.
        cwd: where it runs; a template given by a relative path is looked for from here.
        env: variables to set beside the present ones, or to remove (None).
        python: the interpreter of the environment that holds Copier.
        prefix: a command that runs the command, such as setpriv.
        timeout: seconds until it is killed.
    """
    wanted = {**os.environ, **(env or {})}
    result = subprocess.run(
        [*prefix, python, "-m", "copier", *args],
        cwd=cwd,
        env={name: value for name, value in wanted.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=timeout,
        check=False,
    )
    return Outcome(result.returncode, result.stdout, _COLOUR.sub("", result.stderr))


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and bytes of all that lies in a folder; git's own files are left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] == ".git":
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[str(name)] = (mode, os.fsencode(path.readlink()))
        else:
            found[str(name)] = (mode, b"" if path.is_dir() else path.read_bytes())
    return found


def other_copier(version: str) -> Path:
    """Return the interpreter of an environment with another release of Copier, from the cache.

    All but Copier is as in uv.lock. Where it is not cached and cannot be downloaded, the calling
    test is skipped, or failed in CI.
    """
    uv = require("uv")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"copier-{version}-python-{python}"
    folder = cache_dir("other-copier") / name
    with locked(name):
        if not (folder / "complete").exists():
            export = ["export", "--frozen", "--no-dev", "--no-hashes", "--no-emit-package=copier"]
            others = folder.with_suffix(".constraints")
            try:
                others.write_text(_uv(uv, *export))
                _uv(uv, "venv", "--quiet", "--clear", f"--python={sys.executable}", str(folder))
                install = ["pip", "install", "--quiet", f"--python={folder}/bin/python"]
                _uv(uv, *install, f"--constraint={others}", f"copier=={version}")
            except subprocess.CalledProcessError as error:
                missing(f"Copier {version} cannot be installed: {error.stderr}")
            (folder / "complete").touch()
    return folder / "bin" / "python"


def _uv(uv: Path, *args: str) -> str:
    command = [str(uv), *args]
    return subprocess.run(
        command, cwd=CHECKOUT, env=dict(HOST_ENV), capture_output=True, text=True, check=True
    ).stdout
