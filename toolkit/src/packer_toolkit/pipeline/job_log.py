"""The lines of a job's log that show why it failed, for a build that left no report."""

from __future__ import annotations

import re
from collections.abc import Sequence

from github.WorkflowJob import WorkflowJob

from packer_toolkit.github.client import speaking

_LARGEST = 5_000_000  # bytes; the rest of a longer log is not read
_LINES_BEFORE = 10
_SECONDS = 15

_TIME = re.compile(r"^\ufeff?\d{4}-\d{2}-\d{2}T[\d:.]+Z ")
_ERROR = "##[error]"
# The runner's own marks, other than errors, and colors.
_MARKS = re.compile(r"##\[(?:group|endgroup|debug|command|section)\]|\x1b\[[0-9;]*m")


def read_failure(job: WorkflowJob) -> list[str]:
    """Return the lines of a job's log up to its first error, and further errors.

    The first error is the cause: steps that run after a failure often fail because of it.

    Args:
        job: that has ended.

    Raises:
        RemoteError: when GitHub cannot be reached, or has no log of it.
    """
    import requests

    with speaking("read the log of the failed job"):
        # GitHub answers with a short-lived address elsewhere, which wants no token.
        answer = requests.get(job.logs_url(), timeout=_SECONDS, stream=True)
        with answer:
            answer.raise_for_status()
            text = answer.raw.read(_LARGEST, decode_content=True).decode(errors="replace")
    return failure_in(text.splitlines())


def failure_in(log: Sequence[str]) -> list[str]:
    """Return the lines of a log up to its first error, and further errors; none without one."""
    lines = [_MARKS.sub("", _TIME.sub("", line)).rstrip() for line in log]
    errors = [number for number, line in enumerate(lines) if _ERROR in line]
    if not errors:
        return []
    first = errors[0]
    chosen = [*range(max(0, first - _LINES_BEFORE), first), *errors]
    shown: list[str] = []
    for number in chosen:
        line = lines[number].replace(_ERROR, "").strip()
        if line and line not in shown[-1:]:  # the action repeats itself with each attempt
            shown.append(line)
    return shown
