"""A file system that ignores case, as macOS has: simulated for the programs of one folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig import STANDINS

_SOURCE = STANDINS / "folding_names.c"


def preload(folder: Path, scratch: Path) -> dict[str, str]:
    """Return variables with which programs ignore case below a folder; skip without a compiler.

    Args:
        folder: the folder; programs find its files under names in any case.
        scratch: an existing folder for the library.
    """
    compiler = shutil.which("cc")
    if not compiler or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    library = scratch / "folding_names.so"
    if not library.exists():
        command = [compiler, "-shared", "-fPIC", "-w", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(command, check=True)
    return {"FOLD_NAMES": str(folder), "LD_PRELOAD": str(library)}


def run(folder: Path, scratch: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder whose file system ignores case."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **preload(folder, scratch), **env},
        capture_output=True,
        text=True,
        check=False,
    )
