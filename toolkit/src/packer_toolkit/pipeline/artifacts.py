"""What a build leaves behind, for those who come after it: report, manifest and package lists.

A later job of a workflow gets them as one line of text, an output of the build's job: that needs no
action of others, works on every Enterprise Server, and gives the build no right to write anything.
"""

from __future__ import annotations

import base64
import binascii
import json
import lzma
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.build.report import FILE as REPORT
from packer_toolkit.build.report import SCHEMA, has_report_shape
from packer_toolkit.errors import SetupError

MANIFEST = "manifest.json"
# True in a manifest that was not written by the build, but found again by `packer-toolkit plan`.
FOUND_AGAIN = "found_again"

# A variable of the environment, which is how the line travels, holds 128 KiB on Linux.
LONGEST_BUNDLE = 100_000
_LARGEST = 64 * 1024 * 1024
_LARGEST_FILE = 16 * 1024 * 1024
_PACKAGES = re.compile(r"packages-(?:x86_64|arm64|local)\.txt")


@dataclass
class Records:
    """The records of one build; a build that ended early has fewer.

    Attributes:
        files: content by name.
        refused: what is wrong with a file of these names that was left out, by name.
        report: the build report, or nothing.
        manifest: Packer's manifest, or nothing.
        packages: lines of `NAME VERSION` by architecture.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def report(self) -> Mapping[str, Any]:
        """Return the build report; empty when there is none that this version understands."""
        found = _json(self.files.get(REPORT, b""))
        return found if found.get("schema") == SCHEMA and has_report_shape(found) else {}

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
    return bool(_PACKAGES.fullmatch(name))


def find_fault(name: str, raw: bytes) -> str:
    """Return what is wrong with a file, such as "is not UTF-8"; empty when nothing is.

    Scripts of other people run in the job that writes these files, and jobs with more permissions
    read them.
    """
    if name not in (REPORT, MANIFEST) and not is_packages(name):
        return "is not a file that a build writes"
    if len(raw) > _LARGEST_FILE:
        return "is too large"
    try:
        if is_packages(name):
            text = raw.decode()
            return "" if text.replace("\n", "").isprintable() else "is not a list of packages"
        parse_json(raw)
    except UnicodeDecodeError:
        return "is not UTF-8"
    except ValueError as error:
        return f"is not valid JSON ({error})"
    return ""


def parse_json(raw: bytes) -> dict[str, Any]:
    """Parse an object in JSON as strictly as every other reader of it might.

    Raises:
        ValueError: when it is something else.
    """

    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is not a number of JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            raise ValueError("a name is there twice")
        return made

    try:
        loaded = json.loads(raw.decode(), parse_constant=refuse_constant, object_pairs_hook=unique)
        json.dumps(loaded, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair") from None
    if not isinstance(loaded, dict):
        raise ValueError("it is not an object")
    return loaded


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
        return parse_json(raw)
    except ValueError:
        return {}


def read(directory: Path, report: Path | None = None) -> Records:
    """Read the records that lie in a repository.

    Args:
        directory: the repository.
        report: the build report, when it lies elsewhere.
    """
    paths = {path.name: path for path in sorted(directory.glob("packages-*.txt"))}
    paths = {name: path for name, path in paths.items() if is_packages(name)}
    paths |= {REPORT: report or directory / REPORT, MANIFEST: directory / MANIFEST}
    records = Records()
    for name, path in paths.items():
        if not os.path.lexists(path):
            continue
        # A link may lead to a file that must not be published.
        if path.is_symlink() or not path.is_file():
            records.refused[name] = "is not a regular file"
            continue
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        if fault := find_fault(name, raw):
            records.refused[name] = fault
        else:
            records.files[name] = raw
    return records


def pack(records: Records) -> str:
    """Return the records as one line of letters and digits."""
    text = json.dumps({name: raw.decode(errors="replace") for name, raw in records.files.items()})
    return base64.b64encode(lzma.compress(text.encode(), preset=9)).decode()


def unpack(line: str) -> Records:
    """Return the records that `pack` made a line of; of an empty one, none.

    Raises:
        SetupError: when the line is something else, or holds what no build writes.
    """
    if not line.strip():
        return Records()
    try:
        raw = lzma.LZMADecompressor().decompress(base64.b64decode(line), max_length=_LARGEST)
        files = {name: text.encode() for name, text in parse_json(raw).items()}
    except (binascii.Error, lzma.LZMAError, ValueError, AttributeError, EOFError) as error:
        raise SetupError(
            f"the bundle of records cannot be read ({error}): hand on what "
            "`packer-toolkit bundle` printed"
        ) from error
    require_sound({name: fault for name, raw in files.items() if (fault := find_fault(name, raw))})
    return Records(files)


def require_sound(refused: Mapping[str, str]) -> None:
    """Make sure that nothing was refused.

    Args:
        refused: what is wrong with a file, by name.

    Raises:
        SetupError: when something was.
    """
    if refused:
        shown = [f"{name[:80]!r} {fault}" for name, fault in sorted(refused.items())]
        more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
        raise SetupError(
            f"the build's files are refused: {', '.join(shown[:5])}{more}; build again, and look "
            "for a script that writes them"
        )


def warn_about_refused(records: Records) -> Records:
    """Report files that were left out, for commands that can do without them."""
    from packer_toolkit.github.actions import warn

    for name, fault in sorted(records.refused.items()):
        warn(f"{name} {fault}: it is left out")
    return records
