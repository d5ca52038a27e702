#!/usr/bin/env python3
"""Write the version and the digest of a published image into a file: pin.py FILE VERSION DIGEST."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def pinned(text: str, version: str, digest: str) -> str:
    """Return the text of includes/toolkit.jinja with another version and digest."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise SystemExit(f"{version!r} is no version, such as 1.2.3")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise SystemExit(f"{digest!r} is no digest, such as sha256:0123…")
    for name, value in (("toolkit_version", version), ("toolkit_digest", digest)):
        text, found = re.subn(rf'({name} = )"[^"]*"', rf'\g<1>"{value}"', text)
        if found != 1:
            raise SystemExit(f"{found} lines set {name}, instead of one")
    return text


def main() -> None:
    """Do what the command line says."""
    file, version, digest = sys.argv[1:]
    path = Path(file)
    path.write_text(pinned(path.read_text(), version, digest))


if __name__ == "__main__":
    main()
