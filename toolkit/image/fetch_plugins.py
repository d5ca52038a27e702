#!/usr/bin/env python3
"""Download Packer's plugins: fetch_plugins.py VERSIONS_ENV ARCHITECTURE FOLDER.

Each release has a list of checksums that HashiCorp signs.  sqv, which is part of apt since Debian
13, checks the signature with the key beside this file, and the download is compared with the list:
a new version needs one line in versions.env.  The folder gets the layout that PACKER_PLUGIN_PATH
requires, as `packer plugins install` creates it.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

KEY = Path(__file__).with_name("hashicorp.asc")
# The first one has the releases since August 2025; older ones are only on the second one.
PLACES = (
    ("https://releases.hashicorp.com/packer-plugin-{name}/{version}", "{version}"),
    (
        "https://github.com/hashicorp/packer-plugin-{name}/releases/download/v{version}",
        "v{version}",
    ),
)


def read_plugins(versions: Path) -> dict[str, str]:
    """Return the versions of the plugins that a versions file pins, by name."""
    pins = re.findall(r"^PACKER_PLUGIN_([A-Z]+)=(\S+)$", versions.read_text(), re.M)
    return {name.lower(): version for name, version in pins}


def download(url: str) -> bytes | None:
    """Return the content of a URL; None if it does not exist."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - PLACES are https
            data: bytes = response.read()
            return data
    except urllib.error.HTTPError as error:
        with error:
            # S3 returns 403 for a file that does not exist.
            if error.code in (403, 404):
                return None
        raise SystemExit(f"{url}: {error}") from None
    except OSError as error:
        raise SystemExit(f"{url}: {error}") from None


def verify(content: bytes, signature: bytes, key: Path, problem: str) -> None:
    """Check a signature; end the program with the problem if another key made it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("content", content), ("content.sig", signature)):
            (Path(folder) / name).write_bytes(data)
        process = subprocess.run(
            ["sqv", f"--keyring={key}", f"{folder}/content.sig", f"{folder}/content"],
            capture_output=True,
            text=True,
            check=False,
        )
    if process.returncode:
        raise SystemExit(f"{problem}:\n{process.stderr}")


def fetch(name: str, version: str, architecture: str) -> tuple[str, bytes]:
    """Return the file name and the verified binary of a plugin."""
    for place, mark in PLACES:
        base = place.format(name=name, version=version)
        stem = f"{base}/packer-plugin-{name}_{mark.format(version=version)}"
        sums = download(f"{stem}_SHA256SUMS")
        if sums is None:
            continue
        signature = download(f"{stem}_SHA256SUMS.sig")
        if signature is None:
            raise SystemExit(f"{stem}_SHA256SUMS.sig does not exist")
        verify(sums, signature, KEY, "the list of checksums is not signed by HashiCorp")
        line = re.compile(
            rf"^([0-9a-f]{{64}}) [ *](packer-plugin-{name}_\S*_linux_{architecture}\.zip)$", re.M
        )
        entry = line.search(sums.decode())
        if not entry:
            raise SystemExit(f"{stem}_SHA256SUMS lists nothing for linux_{architecture}")
        archive = download(f"{base}/{entry[2]}")
        if archive is None or hashlib.sha256(archive).hexdigest() != entry[1]:
            raise SystemExit(f"{base}/{entry[2]} does not match the signed list of checksums")
        return unpack(archive, f"packer-plugin-{name}_v{version}_")
    raise SystemExit(f"the plugin {name} has no release {version}")


def unpack(archive: bytes, prefix: str) -> tuple[str, bytes]:
    """Return the file of an archive whose name starts with a prefix."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        for member in file.namelist():
            if member.startswith(prefix):
                return member, file.read(member)
        raise SystemExit(f"the archive has no file {prefix}…, only {', '.join(file.namelist())}")


def main() -> None:
    """Download the plugins that the versions file pins."""
    versions, architecture, target = sys.argv[1:]
    for name, version in read_plugins(Path(versions)).items():
        file, binary = fetch(name, version, architecture)
        folder = Path(target, "github.com", "hashicorp", name)
        folder.mkdir(parents=True)
        (folder / file).write_bytes(binary)
        (folder / file).chmod(0o755)
        (folder / f"{file}_SHA256SUM").write_text(hashlib.sha256(binary).hexdigest())
        sys.stdout.write(f"{name} {version}: verified\n")


if __name__ == "__main__":
    main()
