"""Read and write what the issue about failed builds stores for the next run.

It is JSON in a hidden comment, the first line of the issue's body, with the keys of `IssueState`.
Toolkits since 1.0.0 read and write the same keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

# GitHub refuses a body or a comment of more than 65536 characters.
LONGEST = 60_000

_MARKER = re.compile(r"\A\s*<!-- packer-toolkit:build-failure (\{.*?\}) -->", re.S)


@dataclass(frozen=True)
class LastSuccess:
    """The last successful build, with which a failure is compared.

    Attributes:
        parents: ID and, if known, name of the base image, by architecture.
        url: URL of the run; empty when no successful build is known.
        commit: The first digits of the commit's SHA.
    """

    parents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    url: str = ""
    commit: str = ""


@dataclass(frozen=True)
class IssueState:
    """The state of the issue.

    Attributes:
        open: Whether the last run failed; if so and the issue is closed, a user closed it.
        duplicate_of: Number of the issue that another run opened at the same time; 0 without one.
        kind: Kind of the last failed build: daily or release.
        version: Version of the last failed build.
        failures: How many runs have failed in a row.
        good: The last successful build.
    """

    open: bool = False
    duplicate_of: int = 0
    kind: str = ""
    version: str = ""
    failures: int = 1
    good: LastSuccess = field(default_factory=LastSuccess)


def read_state(body: str | None) -> IssueState | None:
    """Return the state in the body of an issue.

    Returns:
        The state; None when the body has no such comment.  A comment that an edit made
        invalid counts as a state of an issue that is not open.
    """
    from pydantic import TypeAdapter, ValidationError

    match = _MARKER.match(body or "")
    if not match:
        return None
    try:
        return TypeAdapter(IssueState).validate_json(match[1])
    except ValidationError:
        return IssueState()


def write_body(state: IssueState, text: str) -> str:
    """Return the body of an issue: the hidden comment and the text."""
    # Older toolkits expect that unknown values are left out.
    empty = asdict(LastSuccess())
    values = {name: value for name, value in asdict(state).items() if value and value != empty}
    # No value may end the comment.
    hidden = json.dumps(values, sort_keys=True).replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<!-- packer-toolkit:build-failure {hidden} -->\n{text[:LONGEST]}"


def replace_state(body: str | None, state: IssueState) -> str:
    """Return the body of an issue with another state and the same text."""
    return write_body(state, _MARKER.sub("", body or "", count=1).lstrip("\n"))
