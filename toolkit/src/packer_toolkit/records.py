"""What a build leaves behind, for those who come after it: report, manifest and package lists.

A later job of a workflow gets them as one line of text, an output of the build's job: that needs no
action of others, works on every Enterprise Server, and gives the build no right to write anything.
"""

from __future__ import annotations

import base64
import binascii
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.build_report import FILE as REPORT
from packer_toolkit.build_report import SCHEMA, fits
from packer_toolkit.errors import SetupError

MANIFEST = "manifest.json"
# True in a manifest that was not written by the build, but found again by `packer-toolkit plan`.
FOUND_AGAIN = "found_again"

# A variable of the environment, which is how the line travels, holds 128 KiB on Linux.
LONGEST_BUNDLE = 100_000
_LARGEST = 64 * 1024 * 1024


@dataclass
class Records:
    """The records of one build; a build that ended early has fewer.

    Attributes:
        files: content by name.
        report: the build report, or nothing.
        manifest: Packer's manifest, or nothing.
        packages: lines of `NAME VERSION` by architecture.
    """

    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def report(self) -> Mapping[str, Any]:
        """Return the build report; empty when there is none that this version understands."""
        found = _json(self.files.get(REPORT, b""))
        return found if found.get("schema") == SCHEMA and fits(found) else {}

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Return Packer's manifest; empty when there is none."""
        return _json(self.files.get(MANIFEST, b""))

    @property
    def packages(self) -> dict[str, list[str]]:
        """Return the package list of each architecture."""
        return {
            name.removeprefix("packages-").removesuffix(".txt"): sorted(
                line for line in raw.decode(errors="replace").splitlines() if line.strip()
            )
            for name, raw in self.files.items()
            if is_packages(name)
        }


def is_packages(name: str) -> bool:
    """Tell whether a file of this name is a package list."""
    return name.startswith("packages-") and name.endswith(".txt")


def explain_unfinished(records: Records) -> str:
    """Explain why the images of a manifest cannot be finished; empty when nothing speaks for it.

    Without access to AWS this is all that can be known: the build itself verifies its images.

    Args:
        records: Of one build, or those that were reconstructed.
    """
    manifest = records.manifest
    code = records.report.get("exit_code", 0)
    if code and not manifest.get(FOUND_AGAIN):
        return f"{REPORT} is that of a build that failed with exit code {code}"
    builds = manifest.get("builds")
    regions: dict[str, set[str]] = {}
    for build in builds if isinstance(builds, list) else []:
        if not isinstance(build, dict) or build.get("builder_type") != "amazon-ebs":
            continue
        if build.get("packer_run_uuid") != manifest.get("last_run_uuid"):
            continue  # of an earlier build
        facts = build.get("custom_data")
        name = facts.get("architecture") if isinstance(facts, dict) else build.get("name")
        pairs = str(build.get("artifact_id") or "").split(",")
        regions[str(name)] = {pair.partition(":")[0] for pair in pairs if ":ami-" in pair}
    everywhere = set().union(*regions.values())
    for name, found in regions.items():
        if not found:
            return f"{MANIFEST} names no image for {name}"
        if missing := sorted(everywhere - found):
            return f"{MANIFEST} names no image for {name} in {', '.join(missing)}"
    return ""


def _json(raw: bytes) -> Mapping[str, Any]:
    try:
        loaded = json.loads(raw)
    except ValueError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def read(directory: Path, report: Path | None = None) -> Records:
    """Read the records that lie in a repository.

    Args:
        directory: the repository.
        report: the build report, when it lies elsewhere.
    """
    paths = [directory / REPORT, directory / MANIFEST, *sorted(directory.glob("packages-*.txt"))]
    files = {path.name: path.read_bytes() for path in paths if path.is_file()}
    if report is not None:
        files.pop(REPORT, None)
        if report.is_file():
            files[REPORT] = report.read_bytes()
    return Records(files)


def pack(records: Records) -> str:
    """Return the records as one line of letters and digits."""
    text = json.dumps({name: raw.decode(errors="replace") for name, raw in records.files.items()})
    return base64.b64encode(lzma.compress(text.encode(), preset=9)).decode()


def unpack(line: str) -> Records:
    """Return the records that `pack` made a line of; of an empty one, none.

    Raises:
        SetupError: when the line is something else.
    """
    if not line.strip():
        return Records()
    try:
        raw = lzma.LZMADecompressor().decompress(base64.b64decode(line), max_length=_LARGEST)
        loaded = json.loads(raw)
        return Records({str(name): str(text).encode() for name, text in loaded.items()})
    except (binascii.Error, lzma.LZMAError, ValueError, AttributeError, EOFError) as error:
        raise SetupError(
            f"the bundle of records cannot be read ({error}): hand on what "
            "`packer-toolkit bundle` printed"
        ) from error
