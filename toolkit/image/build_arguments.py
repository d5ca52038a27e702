#!/usr/bin/env python3
"""Print build arguments and version as outputs of a workflow's step: build_arguments.py VERSION.

An image of versions.env without a digest is refused: a tag can be moved, so that the content of the
next release could not be reviewed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

VERSIONS = Path(__file__).parents[1] / "versions.env"
_DIGEST = r"sha256:[0-9a-f]{64}"


def find_digest(image: str) -> str:
    """Return the current digest of a tag in its registry; "" if the registry returns none.

    Args:
        image: Name and tag, such as debian:13-slim.
    """
    process = subprocess.run(
        ["docker", "buildx", "imagetools", "inspect", "--format={{.Manifest.Digest}}", image],
        capture_output=True,
        text=True,
        check=False,
    )
    digest = process.stdout.strip()
    return digest if not process.returncode and re.fullmatch(_DIGEST, digest) else ""


def require_digest(name: str, image: str) -> None:
    """End the program if an image is not pinned by tag and digest.

    Args:
        name: Name of the image in versions.env, such as CINC_IMAGE.
        image: Value of that name.
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
    """Print the build arguments and the version."""
    (requested,) = sys.argv[1:]
    lines = VERSIONS.read_text().splitlines()
    pins = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
    version = pins["TOOLKIT_VERSION"]
    if requested != version:
        raise SystemExit(
            f"{requested!r} is not the version of toolkit/versions.env; give {version}"
        )
    for name, pin in pins.items():
        if name.endswith("_IMAGE"):
            require_digest(name, pin)
    arguments = "\n".join(f"{name}={pin}" for name, pin in pins.items())
    sys.stdout.write(f"version={version}\narguments<<END\n{arguments}\nEND\n")


if __name__ == "__main__":
    main()
