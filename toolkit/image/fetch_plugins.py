#!/usr/bin/env python3
"""Download Packer's plugins: fetch_plugins.py VERSIONS_ENV ARCHITECTURE FOLDER.

Each release has a list of checksums that HashiCorp signs.  The signature is checked against the key
beside this file (by sqv, which apt brings along since Debian 13), the download against the list; so
a new version is one line in versions.env.
The folder becomes what PACKER_PLUGIN_PATH wants, as `packer plugins install` would make it.
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
# The first since August 2025; older releases are only on the second.
PLACES = (
    ("https://releases.hashicorp.com/packer-plugin-{name}/{version}", "{version}"),
    (
        "https://github.com/hashicorp/packer-plugin-{name}/releases/download/v{version}",
        "v{version}",
    ),
)


def plugins(versions: Path) -> dict[str, str]:
    """Return the plugins that a versions file pins: name -> version."""
    found = re.findall(r"^PACKER_PLUGIN_([A-Z]+)=(\S+)$", versions.read_text(), re.M)
    return {name.lower(): version for name, version in found}


def download(url: str) -> bytes | None:
    """Return what is at a URL, None when there is nothing."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - PLACES are https
            data: bytes = answer.read()
            return data
    except urllib.error.HTTPError as error:
        with error:
            # S3 answers 403 for what does not exist.
            if error.code in (403, 404):
                return None
        raise SystemExit(f"{url}: {error}") from None
    except OSError as error:
        raise SystemExit(f"{url}: {error}") from None


def verify(content: bytes, signature: bytes, key: Path, problem: str) -> None:
    """Check a signature; the program ends with the problem when it is not of the key."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("content", content), ("content.sig", signature)):
            (Path(folder) / name).write_bytes(data)
        checked = subprocess.run(
            ["sqv", f"--keyring={key}", f"{folder}/content.sig", f"{folder}/content"],
            capture_output=True,
            text=True,
            check=False,
        )
    if checked.returncode:
        raise SystemExit(f"{problem}:\n{checked.stderr}")


def fetch(name: str, version: str, architecture: str) -> tuple[str, bytes]:
    """Return the file name and the binary of a plugin, verified."""
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
        wanted = re.compile(
            rf"^([0-9a-f]{{64}}) [ *](packer-plugin-{name}_\S*_linux_{architecture}\.zip)$", re.M
        )
        found = wanted.search(sums.decode())
        if not found:
            raise SystemExit(f"{stem}_SHA256SUMS lists nothing for linux_{architecture}")
        archive = download(f"{base}/{found[2]}")
        if archive is None or hashlib.sha256(archive).hexdigest() != found[1]:
            raise SystemExit(f"{base}/{found[2]} is not what the signed list of checksums says")
        return unpack(archive, f"packer-plugin-{name}_v{version}_")
    raise SystemExit(f"the plugin {name} has no release {version}")


def unpack(archive: bytes, prefix: str) -> tuple[str, bytes]:
    """Return the file of an archive whose name starts with a prefix."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for member in opened.namelist():
            if member.startswith(prefix):
                return member, opened.read(member)
        raise SystemExit(f"there is no {prefix}… among {opened.namelist()}")


def main() -> None:
    """Do what the command line says."""
    versions, architecture, target = sys.argv[1:]
    for name, version in plugins(Path(versions)).items():
        file, binary = fetch(name, version, architecture)
        folder = Path(target, "github.com", "hashicorp", name)
        folder.mkdir(parents=True)
        (folder / file).write_bytes(binary)
        (folder / file).chmod(0o755)
        (folder / f"{file}_SHA256SUM").write_text(hashlib.sha256(binary).hexdigest())
        sys.stdout.write(f"{name} {version}: verified\n")


if __name__ == "__main__":
    main()
