"""Pass files from one job of a workflow to the next, as outputs of a step.

Outputs need no action and no write permission, and work on every Enterprise Server; but a job's
outputs may have 1 MiB in UTF-16, and a variable of the environment, which is how the next job gets
them, 128 KiB.  So the files are compressed, encoded in base64, and cut into `PARTS` outputs.
"""

from __future__ import annotations

import base64
import binascii
import io
import lzma
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.github.actions import set_outputs

PARTS, LONGEST_PART = 4, 120_000
_LARGEST = 64 * 1024 * 1024


def pack_files(files: Mapping[str, bytes]) -> str:
    """Return files as one line of base64: a tar archive, compressed with xz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", preset=9) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return base64.b64encode(buffer.getvalue()).decode()


def unpack_files(line: str, what: str) -> dict[str, bytes]:
    """Return the files of a line that `pack_files` returned; links are left out.

    Args:
        line: The line.
        what: What it should be, for the message.

    Raises:
        SetupError: It is something else.
    """
    try:
        compressed = base64.b64decode("".join(line.split()), validate=True)
        raw = lzma.LZMADecompressor().decompress(compressed, max_length=_LARGEST)
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            return {
                entry.name: stream.read()
                for entry in archive
                if entry.isfile() and (stream := archive.extractfile(entry))
            }
    except (binascii.Error, lzma.LZMAError, tarfile.TarError, ValueError, EOFError) as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise SetupError(
            f"{what} cannot be read ({reason}); start a new run of the workflow, or create it "
            "again with the same version of packer-toolkit"
        ) from None


def write_line(line: str, file: str, what: str) -> None:
    """Write a line into a file, or with `-` into the outputs part_1, part_2, … of this step.

    Raises:
        SetupError: It is too long for outputs, or the file cannot be written.
    """
    if file != "-":
        try:
            Path(file).write_text(line + "\n")
        except OSError as error:
            raise SetupError(
                f"{file} cannot be written ({error.strerror}); choose another file"
            ) from None
        return
    require_line_fits(line, what)
    parts = [line[at : at + LONGEST_PART] for at in range(0, PARTS * LONGEST_PART, LONGEST_PART)]
    set_outputs({f"part_{number}": part for number, part in enumerate(parts, 1)})


def require_line_fits(line: str, what: str) -> None:
    """Make sure that a line fits into the outputs of a job.

    Raises:
        SetupError: It does not.
    """
    if len(line) > PARTS * LONGEST_PART:
        raise SetupError(
            f"{what} is too large to be passed from job to job: {len(line)} characters, at "
            f"most {PARTS * LONGEST_PART}; update on a developer's machine: task template-update"
        )


def read_line(file: str, what: str) -> str:
    """Return the content of a file, or with `-` of standard input.

    Raises:
        SetupError: It cannot be read, or is empty.
    """
    try:
        line = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{what} cannot be read from {file} ({error}); check the path") from None
    if not line.strip():
        raise SetupError(f"{what} is empty; check the job that writes it")
    return line
