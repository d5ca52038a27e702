"""Pack the build artifacts of this folder into the output of a job."""

from __future__ import annotations

from pathlib import Path

from packer_toolkit.github.actions import warn
from packer_toolkit.pipeline.artifacts import (
    LONGEST_BUNDLE,
    Records,
    is_packages,
    pack,
    read,
    warn_about_refused,
)


def pack_artifacts(folder: Path) -> tuple[list[str], str]:
    """Pack the build artifacts of a folder into one line.

    The package lists are left out if the line would be too long for the output of a job.

    Returns:
        The names of the packed files, and the line.
    """
    records = warn_about_refused(read(folder))
    line = pack(records)
    if len(line) > LONGEST_BUNDLE:
        warn("the package lists are too long for a job output, and are left out")
        records = Records(
            {name: raw for name, raw in records.files.items() if not is_packages(name)}
        )
        line = pack(records)
    return sorted(records.files), line
