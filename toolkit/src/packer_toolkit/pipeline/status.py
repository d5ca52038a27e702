"""The memory of daily builds: a status of the commit that was built, with its parent images.

A status costs one call, needs no file and no branch, and shows beside the commit.  What is kept is
what `packer-toolkit plan` compares with, and what a first failure is compared with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from github.CommitStatus import CommitStatus
from github.Repository import Repository

from packer_toolkit.github.client import speaking
from packer_toolkit.pipeline.outcome import Facts

_CONTEXT = "packer-ami/"
_COMMITS = 10  # that are looked at for the last good build
_LONGEST = 140  # characters of a description


@dataclass(frozen=True)
class Remembered:
    """A build of a commit: whether it was good, its parent images by architecture, its run."""

    good: bool
    parents: Mapping[str, str]
    url: str
    commit: str


def remember(repository: Repository, sha: str, facts: Facts, *, good: bool) -> None:
    """Write the status of a build.

    Args:
        repository: on GitHub.
        sha: the commit, whole.
        facts: of the run.
        good: whether it was.
    """
    parents = " ".join(f"{name}={facts.parents[name]['id']}" for name in sorted(facts.parents))
    state = "success" if good else "failure"
    # Built by hand, because `get_commit` would ask for the whole commit first.
    values = {
        "state": state,
        "context": f"{_CONTEXT}{facts.kind}",
        "description": f"{'good' if good else 'failed'} {parents}".strip()[:_LONGEST],
    }
    if facts.run_url:
        values["target_url"] = facts.run_url
    with speaking("write the commit's status"):
        repository.requester.requestJsonAndCheck(
            "POST", f"{repository.url}/statuses/{sha}", input=values
        )


def of_commit(repository: Repository, sha: str) -> Remembered | None:
    """Return the last build of a commit that is remembered."""
    with speaking("read the commit's statuses"):
        statuses = repository.get_commit(sha).get_statuses()
        return _first(statuses, sha)


def last_good(repository: Repository) -> Remembered | None:
    """Return the last good build of the default branch, if it is among the last few commits."""
    with speaking("look for the last good build"):
        for number, commit in enumerate(repository.get_commits()):
            if number >= _COMMITS:
                break
            found = _first(commit.get_statuses(), commit.sha, only_good=True)
            if found:
                return found
    return None


def _first(
    statuses: Iterable[CommitStatus], sha: str, *, only_good: bool = False
) -> Remembered | None:
    for status in statuses:
        if not status.context.startswith(_CONTEXT):
            continue
        good = status.state == "success"
        if only_good and not good:
            continue
        parents = dict(re.findall(r"(\w+)=(ami-[0-9a-f]+)", status.description or ""))
        return Remembered(good, parents, status.target_url or "", sha)
    return None
