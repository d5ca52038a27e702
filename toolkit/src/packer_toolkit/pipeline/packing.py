"""Pack the build artifacts of this folder into the output of a job."""

from __future__ import annotations

from pathlib import Path

from packer_toolkit.github.actions import warn
from packer_toolkit.pipeline.artifacts import (
    LONGEST_BUNDLE,
    BuildArtifacts,
    is_package_list,
    pack_artifacts,
    read_artifacts,
    warn_about_rejected,
)


def pack_folder(folder: Path) -> tuple[list[str], str]:
    """Pack the build artifacts of a folder into one line.

    The package lists are left out if the line would be too long for the output of a job.

    Returns:
        The names of the packed files, and the line.
    """
    artifacts = warn_about_rejected(read_artifacts(folder))
    line = pack_artifacts(artifacts)
    if len(line) > LONGEST_BUNDLE:
        warn("the package lists are too long for a job output, and are left out")
        artifacts = BuildArtifacts(
            {name: raw for name, raw in artifacts.files.items() if not is_package_list(name)}
        )
        line = pack_artifacts(artifacts)
    return sorted(artifacts.files), line
