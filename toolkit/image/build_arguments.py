#!/usr/bin/env python3
"""Print build arguments and version as outputs of a workflow's step: build_arguments.py VERSION.

An image of versions.env without a digest is refused: a tag can be moved, so that nobody could
review what the next release is made of.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

VERSIONS = Path(__file__).parents[1] / "versions.env"
_DIGEST = r"sha256:[0-9a-f]{64}"


def find_digest(image: str) -> str:
    """Return the digest that the registry has for a tag now; "" when it gives none.

    Args:
        image: Name and tag, such as debian:13-slim.
    """
    asked = subprocess.run(
        ["docker", "buildx", "imagetools", "inspect", "--format={{.Manifest.Digest}}", image],
        capture_output=True,
        text=True,
        check=False,
    )
    digest = asked.stdout.strip()
    return digest if not asked.returncode and re.fullmatch(_DIGEST, digest) else ""


def require_digest(name: str, image: str) -> None:
    """End the program when an image is not pinned by tag and digest.

    Args:
        name: Its name in versions.env, such as CINC_IMAGE.
        image: Its value.
    """
    if re.fullmatch(rf"[^\s@]+:[^\s@/:]+@{_DIGEST}", image):
        return
    tag = image.partition("@")[0]
    digest = find_digest(tag) or "DIGEST"
    raise SystemExit(
        f"{name} is {image}: it must have a tag and a digest, because a tag can be moved; write "
        f"into toolkit/versions.env: {name}={tag}@{digest}"
    )


def main() -> None:
    """Do what the command line says."""
    (asked,) = sys.argv[1:]
    lines = VERSIONS.read_text().splitlines()
    pins = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
    version = pins["TOOLKIT_VERSION"]
    if asked != version:
        raise SystemExit(f"{asked!r} is not the version of toolkit/versions.env; give {version}")
    for name, pin in pins.items():
        if name.endswith("_IMAGE"):
            require_digest(name, pin)
    arguments = "\n".join(f"{name}={pin}" for name, pin in pins.items())
    sys.stdout.write(f"version={version}\narguments<<END\n{arguments}\nEND\n")


if __name__ == "__main__":
    main()
