"""What can go wrong, one class for each exit code.

| code | meaning |
|---|---|
| 0 | done, and all is well |
| 1 | done, and the answer is no: a build failed, a check found something, an update has conflicts |
| 2 | the command line is wrong (Click's own code) |
| 3 | something is missing or wrong on this machine or in this repository: nothing was started |
| 4 | AWS, GitHub, Galaxy, the registry or the template could not be reached, or refused |
| 70 | a defect of the toolkit |
| 128 + N | ended by signal N, after cleaning up |
"""

from __future__ import annotations

from typing import ClassVar


class ToolkitError(Exception):
    """Ends the command with one line on stderr: the thing, the reason and the next step."""

    code: ClassVar[int] = 70


class NotGoodError(ToolkitError):
    """What was asked for was done, and its answer is no."""

    code = 1


class SetupError(ToolkitError):
    """Something is missing on this machine or in this repository; nothing was started."""

    code = 3


class RemoteError(ToolkitError):
    """A service could not be reached, or refused."""

    code = 4
