"""Run the `copier` command, in the locked release or in another one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rig import CHECKOUT
from rig.host.cache import cache_dir, locked
from rig.host.machine import HOST_ENV
from rig.host.tools import missing, require
from rig.run.program import run_program
from rig.run.result import Result

_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def run_copier(
    *args: str | Path,
    cwd: Path,
    env: Mapping[str, str | None] | None = None,
    python: Path | str = sys.executable,
    prefix: Sequence[str] = (),
    timeout: float = 120,
) -> Result:
    """Run `copier ARGS` without a terminal.

    Args:
        args: its arguments.
        cwd: where it runs; a template given by a relative path is looked for from here.
        env: variables to set beside the present ones, or to remove (None).
        python: the interpreter of the environment that holds Copier.
        prefix: a command that runs the command, such as setpriv.
        timeout: seconds until it is killed.
    """
    result = run_program(*prefix, python, "-m", "copier", *args, cwd=cwd, env=env, timeout=timeout)
    return replace(result, stderr=_COLOR.sub("", result.stderr))


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
