"""How a command ended: the one result of all functions of the rig that run something."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

# Lines on stderr that are not from the program that a test runs: Copier's progress, and the last
# line of Task.
_STATUS_LINE = re.compile(
    r"(?:Updating to|Keeping|Copying from) template version \S+|task: Failed.*"
)
_TOOLKIT_PREFIX = "packer-toolkit: "


@dataclass(frozen=True)
class Result:
    """How a command ended.

    Attributes:
        code: Exit code; a negative number is the signal that terminated the process.
        stdout: Standard output.
        stderr: Standard error; empty where both go to one pipe, as in `Ec2.run`.
        seconds: How long the command ran, where that is measured.
        line_times: When each line of the output came, in seconds after the start, where that is
            measured.
    """

    code: int
    stdout: str
    stderr: str = ""
    seconds: float = 0
    line_times: tuple[float, ...] = ()

    @property
    def output(self) -> str:
        """Standard output and standard error."""
        return self.stdout + self.stderr

    @property
    def json(self) -> Any:
        """Standard output, read as JSON."""
        return json.loads(self.stdout)

    @property
    def errors(self) -> str:
        """Standard error without status lines of Copier and Task."""
        lines = self.stderr.splitlines()
        return "\n".join(line for line in lines if not _STATUS_LINE.fullmatch(line))

    @property
    def error_lines(self) -> list[str]:
        """The lines of `errors` that are not empty."""
        return [line for line in self.errors.split("\n") if line.strip()]

    @property
    def error(self) -> str:
        """The error that packer-toolkit printed, without its name; "" without an error."""
        last = self.stderr.strip().rpartition("\n")[2]
        return last.removeprefix(_TOOLKIT_PREFIX) if last.startswith(_TOOLKIT_PREFIX) else ""
