"""Read from the log of a job why it failed, for a build that left no report."""

from __future__ import annotations

import re
from collections.abc import Sequence

from github.WorkflowJob import WorkflowJob

from packer_toolkit.github.client import translate_github_errors

_LARGEST = 5_000_000  # bytes that are read of a log
_LINES_BEFORE = 10
_SECONDS = 15

_TIME = re.compile(r"^\ufeff?\d{4}-\d{2}-\d{2}T[\d:.]+Z ")
_ERROR = "##[error]"
# The runner's own marks, other than errors, and colors.
_MARKS = re.compile(r"##\[(?:group|endgroup|debug|command|section)\]|\x1b\[[0-9;]*m")


def read_failure(job: WorkflowJob) -> list[str]:
    """Read the lines of a job's log up to its first error, and further errors.

    Args:
        job: A job that has ended.

    Raises:
        RemoteError: When GitHub cannot be reached, or has no log of the job.
    """
    import requests

    with translate_github_errors("read the log of the failed job"):
        # The URL is short-lived, points to another server, and must not get the token.
        answer = requests.get(job.logs_url(), timeout=_SECONDS, stream=True)
        with answer:
            answer.raise_for_status()
            text = answer.raw.read(_LARGEST, decode_content=True).decode(errors="replace")
    return extract_failure(text.splitlines())


def extract_failure(log: Sequence[str]) -> list[str]:
    """Return the lines up to the first error, and further errors; nothing without an error.

    The first error is the cause: steps that run after a failure often fail because of it.

    Args:
        log: The lines of a job's log.
    """
    lines = [_MARKS.sub("", _TIME.sub("", line)).rstrip() for line in log]
    errors = [number for number, line in enumerate(lines) if _ERROR in line]
    if not errors:
        return []
    first = errors[0]
    failure: list[str] = []
    for number in [*range(max(0, first - _LINES_BEFORE), first), *errors]:
        line = lines[number].replace(_ERROR, "").strip()
        if line and line not in failure[-1:]:  # the action prints the same for each attempt
            failure.append(line)
    return failure
