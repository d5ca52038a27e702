#!/usr/bin/env python3
"""Download session-manager-plugin: fetch_session_manager.py VERSIONS_ENV ARCHITECTURE FOLDER.

AWS signs each package.  The signature is checked with the key beside this file, so that a new
version needs one line in versions.env.  Only the program is copied from the package.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fetch_plugins import download, verify

KEY = Path(__file__).with_name("session-manager.asc")
PLACE = "https://s3.amazonaws.com/session-manager-downloads/plugin/{version}/{folder}"
# AWS's folder for each architecture of Docker.
FOLDERS = {"amd64": "ubuntu_64bit", "arm64": "ubuntu_arm64"}
PACKAGE = "session-manager-plugin.deb"
PROGRAM = Path("usr/local/sessionmanagerplugin/bin/session-manager-plugin")


def find_version(versions: Path) -> str:
    """Return the version that a versions file pins."""
    pin = re.search(r"^SESSION_MANAGER_PLUGIN=(\S+)$", versions.read_text(), re.M)
    if not pin:
        raise SystemExit(f"{versions} does not set SESSION_MANAGER_PLUGIN")
    return pin[1]


def fetch(version: str, architecture: str) -> bytes:
    """Return the verified package of a version."""
    if architecture not in FOLDERS:
        raise SystemExit(f"session-manager-plugin has no package for {architecture}")
    url = f"{PLACE.format(version=version, folder=FOLDERS[architecture])}/{PACKAGE}"
    package, signature = download(url), download(f"{url}.sig")
    if package is None or signature is None:
        name = url if package is None else f"{url}.sig"
        raise SystemExit(f"{name} does not exist; correct SESSION_MANAGER_PLUGIN in versions.env")
    verify(package, signature, KEY, f"{url} is not signed by AWS")
    return package


def unpack(package: bytes, folder: Path) -> Path:
    """Copy the program of a package into a folder, and return its path."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, PACKAGE)
        file.write_bytes(package)
        subprocess.run(["dpkg-deb", "--extract", file, scratch], check=True)
        source = Path(scratch, PROGRAM)
        if not source.is_file():
            raise SystemExit(f"{PACKAGE} has no {PROGRAM}")
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / PROGRAM.name
        shutil.copyfile(source, target)
        target.chmod(0o755)
    return target


def main() -> None:
    """Download the program that the versions file pins."""
    versions, architecture, folder = sys.argv[1:]
    version = find_version(Path(versions))
    unpack(fetch(version, architecture), Path(folder))
    sys.stdout.write(f"session-manager-plugin {version}: verified\n")


if __name__ == "__main__":
    main()
