"""Read, check, pack and unpack the build artifacts: report, manifest and package lists.

A later job of a workflow gets them as one line of text, an output of the job that builds. This
needs no other action, works on every Enterprise Server, and the build needs no write permission.
"""

from __future__ import annotations

import base64
import binascii
import json
import lzma
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.build.manifest import (
    FILE as MANIFEST,
    RECONSTRUCTED,
    get_architecture,
    split_artifact,
)
from packer_toolkit.build.report import FILE as REPORT, SCHEMA, has_report_shape
from packer_toolkit.errors import SetupError
from packer_toolkit.github.actions import warn
from packer_toolkit.text.paths import join_paths

# An environment variable carries the line, and Linux limits a variable to 128 KiB.
LONGEST_BUNDLE = 100_000
_LARGEST = 64 * 1024 * 1024
_LARGEST_FILE = 16 * 1024 * 1024
_PACKAGES = re.compile(r"packages-(?:x86_64|arm64|local)\.txt")


@dataclass
class BuildArtifacts:
    """The files that one build wrote; a build that stopped early wrote fewer.

    Attributes:
        files: Content by name.
        rejected: What is wrong with a file that was not read, by name.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)

    @property
    def report(self) -> Mapping[str, Any]:
        """Return the build report; empty without one that this version understands."""
        report = _parse_or_empty(self.files.get(REPORT, b""))
        return report if report.get("schema") == SCHEMA and has_report_shape(report) else {}

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Return Packer's manifest; empty without one."""
        return _parse_or_empty(self.files.get(MANIFEST, b""))

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Return the builds in the manifest, each with a mapping as custom_data."""
        builds = self.manifest.get("builds")
        return [
            build if isinstance(build.get("custom_data"), dict) else {**build, "custom_data": {}}
            for build in (builds if isinstance(builds, list) else [])
            if isinstance(build, dict)
        ]

    @property
    def packages(self) -> dict[str, list[str]]:
        """Return the package list of each architecture, in lines of NAME VERSION."""
        return {
            name.removeprefix("packages-").removesuffix(".txt"): sorted(
                line for line in raw.decode(errors="replace").splitlines() if line.strip()
            )
            for name, raw in self.files.items()
            if is_package_list(name)
        }


def is_package_list(name: str) -> bool:
    """Return whether a file of this name is a package list."""
    return bool(_PACKAGES.fullmatch(name))


def find_file_error(name: str, raw: bytes) -> str:
    """Return what is wrong with a file, such as "is not UTF-8"; empty for a valid file.

    The files come from a job that runs scripts of others, and go to jobs with more permissions.

    Args:
        name: The name of the file.
        raw: Its content.
    """
    if name not in (REPORT, MANIFEST) and not is_package_list(name):
        return "is not a file that a build writes"
    if len(raw) > _LARGEST_FILE:
        return "is too large"
    try:
        if is_package_list(name):
            text = raw.decode()
            return "" if text.replace("\n", "").isprintable() else "is not a list of packages"
        parse_json(raw)
    except UnicodeDecodeError:
        return "is not UTF-8"
    except ValueError as error:
        return f"is not valid JSON ({error})"
    return ""


def parse_json(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object as strictly as the strictest of the programs that may read it later.

    Args:
        raw: The content of a file.

    Raises:
        ValueError: When it is not a JSON object.
    """

    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is not a number of JSON")

    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(pairs)
        if len(mapping) < len(pairs):
            raise ValueError("it has a key twice")
        return mapping

    try:
        value = json.loads(
            raw.decode(), parse_constant=refuse_constant, object_pairs_hook=refuse_duplicates
        )
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair") from None
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


def _parse_or_empty(raw: bytes) -> Mapping[str, Any]:
    try:
        return parse_json(raw)
    except ValueError:
        return {}


def explain_unfinished(artifacts: BuildArtifacts) -> str:
    """Explain why the images of a manifest cannot be finished; empty when they can be.

    Without access to AWS nothing more can be known: the build itself verifies its images.

    Args:
        artifacts: The artifacts of one build, or a reconstructed manifest.
    """
    manifest = artifacts.manifest
    code = artifacts.report.get("exit_code", 0)
    if code and not manifest.get(RECONSTRUCTED):
        return f"{REPORT} is from a build that failed with exit code {code}"
    regions = {
        get_architecture(entry): set(split_artifact(entry))
        for entry in artifacts.entries
        if entry.get("builder_type") == "amazon-ebs"
        # Plain Packer keeps the entries of earlier builds.
        and entry.get("packer_run_uuid") == manifest.get("last_run_uuid")
    }
    all_regions: set[str] = set().union(*regions.values())
    for name, with_image in regions.items():
        if not with_image:
            return f"{MANIFEST} names no image for {name}"
        if missing := sorted(all_regions - with_image):
            return f"{MANIFEST} names no image for {name} in {', '.join(missing)}"
    return ""


def read_artifacts(directory: Path, report: Path | None = None) -> BuildArtifacts:
    """Read the build artifacts of a repository.

    Args:
        directory: The repository.
        report: The build report, if it is not in the repository.
    """
    paths = {REPORT: report or directory / REPORT, MANIFEST: directory / MANIFEST}
    paths |= {path.name: path for path in directory.glob("*.txt") if is_package_list(path.name)}
    artifacts = BuildArtifacts()
    for name, path in paths.items():
        # A link may lead to a file that must not be published.
        if path.is_symlink() or (path.exists() and not path.is_file()):
            artifacts.rejected[name] = "is not a regular file"
        elif path.exists():
            with path.open("rb") as file:
                raw = file.read(_LARGEST_FILE + 1)
            if reason := find_file_error(name, raw):
                artifacts.rejected[name] = reason
            else:
                artifacts.files[name] = raw
    return artifacts


def pack_folder(folder: Path) -> tuple[list[str], str]:
    """Pack the build artifacts of a folder into one line.

    The package lists are left out if the line would be too long for the output of a job.

    Returns:
        The names of the packed files, and the line.
    """
    artifacts = warn_about_rejected(read_artifacts(folder))
    line = pack_artifacts(artifacts)
    if len(line) > LONGEST_BUNDLE:
        warn("the package lists are left out: they are too long for a job output")
        files = {name: raw for name, raw in artifacts.files.items() if not is_package_list(name)}
        artifacts = BuildArtifacts(files)
        line = pack_artifacts(artifacts)
    return sorted(artifacts.files), line


def pack_artifacts(artifacts: BuildArtifacts) -> str:
    """Return the artifacts as one line of letters and digits."""
    texts = {name: raw.decode(errors="replace") for name, raw in artifacts.files.items()}
    return base64.b64encode(lzma.compress(json.dumps(texts).encode(), preset=9)).decode()


def unpack_artifacts(line: str) -> BuildArtifacts:
    """Return the artifacts that `pack_artifacts` packed; none for an empty line.

    Raises:
        SetupError: When the line is not such a line, or has a file that a build does not write.
    """
    if not line.strip():
        return BuildArtifacts()
    try:
        raw = lzma.LZMADecompressor().decompress(base64.b64decode(line), max_length=_LARGEST)
        files = {name: text.encode() for name, text in parse_json(raw).items()}
    except (binascii.Error, lzma.LZMAError, ValueError, AttributeError, EOFError) as error:
        raise SetupError(
            f"the packed build artifacts cannot be read ({error}): pass the output of "
            "`packer-toolkit pipeline pack`"
        ) from error
    reasons = {name: find_file_error(name, raw) for name, raw in files.items()}
    require_valid_files({name: reason for name, reason in reasons.items() if reason})
    return BuildArtifacts(files)


def require_valid_files(rejected: Mapping[str, str]) -> None:
    """Make sure that no file was rejected.

    Args:
        rejected: What is wrong with a file, by name.

    Raises:
        SetupError: When there is such a file.
    """
    if rejected:
        files = [f"{name[:80]!r} {reason}" for name, reason in sorted(rejected.items())]
        raise SetupError(
            f"the build artifacts are refused: {join_paths(files, most=5)}; build again, and "
            "remove what writes these files from the scripts and roles of the image"
        )


def warn_about_rejected(artifacts: BuildArtifacts) -> BuildArtifacts:
    """Warn about rejected files, for commands that work without them; return the artifacts."""
    for name, reason in sorted(artifacts.rejected.items()):
        warn(f"{name} {reason}: it is ignored")
    return artifacts
