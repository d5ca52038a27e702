"""The errors that end a command, one class for each exit code.

| code | meaning |
|---|---|
| 0 | the command succeeded |
| 1 | the command ran and reports a failure: of a build, of a check, or conflicts of an update |
| 2 | the command line is wrong (Click's own code) |
| 3 | something is missing or wrong on this machine or in this repository: nothing was started |
| 4 | AWS, GitHub, Galaxy, the registry or the template cannot be reached, or refused the request |
| 70 | a bug in the toolkit |
| 128 + N | interrupted by signal N, after cleaning up |
"""

from __future__ import annotations


class ToolkitError(Exception):
    """End the command with one line on stderr: the thing, the reason and the next step.

    Attributes:
        code: The exit code.  An instance may have another one than its class, such as Packer's.
    """

    code: int = 70


class CommandFailedError(ToolkitError):
    """The command ran and reports a failure: of a build, of a check, or conflicts of an update."""

    code = 1


class SetupError(ToolkitError):
    """Something is missing or wrong on this machine or in this repository; nothing was started."""

    code = 3


class RemoteError(ToolkitError):
    """A service could not be reached, or refused the request."""

    code = 4


class InterruptedBySignalError(ToolkitError):
    """A signal interrupted the build.

    Args:
        message: The line for the user.
        code: The exit code: 128 + the number of the signal.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
