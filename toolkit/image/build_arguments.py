#!/usr/bin/env python3
"""Print build arguments and version as outputs of a workflow's step: build_arguments.py VERSION.

An image that versions.env pins by a tag only is resolved to its digest here, once, so that what is
scanned and what is published are made of the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

VERSIONS = Path(__file__).parents[1] / "versions.env"


def resolved(image: str) -> str:
    """Return an image with its digest."""
    if "@sha256:" in image:
        return image
    asked = subprocess.run(
        ["docker", "buildx", "imagetools", "inspect", "--format={{.Manifest.Digest}}", image],
        capture_output=True,
        text=True,
        check=False,
    )
    digest = asked.stdout.strip()
    if asked.returncode or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise SystemExit(f"{image} has no digest: {asked.stderr.strip() or digest}")
    sys.stderr.write(f"::notice::{image} is {digest} today; pin it in toolkit/versions.env\n")
    return f"{image}@{digest}"


def main() -> None:
    """Do what the command line says."""
    (asked,) = sys.argv[1:]
    lines = VERSIONS.read_text().splitlines()
    pins = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
    version = pins["TOOLKIT_VERSION"]
    if asked != version:
        raise SystemExit(f"{asked!r} is not the version of toolkit/versions.env; give {version}")
    pins |= {name: resolved(pin) for name, pin in pins.items() if name.endswith("_IMAGE")}
    arguments = "\n".join(f"{name}={pin}" for name, pin in pins.items())
    sys.stdout.write(f"version={version}\narguments<<END\n{arguments}\nEND\n")


if __name__ == "__main__":
    main()
