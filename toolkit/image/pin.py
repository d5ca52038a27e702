#!/usr/bin/env python3
"""Write the version, the digest and the commit of a published image into a file.

pin.py FILE VERSION DIGEST COMMIT
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def replace_pins(text: str, version: str, digest: str, commit: str) -> str:
    """Return the text of includes/toolkit.jinja with another version, digest and commit."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise SystemExit(f"{version!r} is not a version, such as 1.2.3")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise SystemExit(f"{digest!r} is not a digest, such as sha256:0123…")
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        raise SystemExit(f"{commit!r} is not the full ID of a commit, such as 0123abc…")
    values = {"toolkit_version": version, "toolkit_digest": digest, "toolkit_commit": commit}
    for name, value in values.items():
        text, count = re.subn(rf'({name} = )"[^"]*"', rf'\g<1>"{value}"', text)
        if count != 1:
            raise SystemExit(f"{count} lines set {name}: one line must set it")
    return text


def main() -> None:
    """Pin the image that the command line names."""
    file, version, digest, commit = sys.argv[1:]
    path = Path(file)
    path.write_text(replace_pins(path.read_text(), version, digest, commit))


if __name__ == "__main__":
    main()
