"""Payloads of events, as far as the workflow reads them."""

from __future__ import annotations

from typing import Any

from rig.repositories.build_reports import REPOSITORY, SHA

HOME: dict[str, Any] = {
    "full_name": REPOSITORY,
    "default_branch": "main",
    "fork": False,
    "owner": {"login": REPOSITORY.split("/", maxsplit=1)[0]},
    "name": REPOSITORY.split("/")[1],
}


def pull_request(
    *, repository: str = REPOSITORY, title: str = "Change", branch: str = "change"
) -> dict[str, Any]:
    """Return a pull request, by default from a branch of the repository itself."""
    head = {"ref": branch, "sha": SHA, "repo": {**HOME, "full_name": repository}}
    base = {"ref": "main", "sha": SHA, "repo": HOME}
    return {
        "action": "opened",
        "number": 7,
        "repository": HOME,
        "pull_request": {
            "number": 7,
            "title": title,
            "body": title,
            "head": head,
            "base": base,
            "user": {"login": title},
        },
    }


def push(branch: str = "main") -> dict[str, Any]:
    """Return a push to a branch."""
    return {
        "ref": f"refs/heads/{branch}",
        "before": SHA,
        "after": SHA,
        "repository": HOME,
        "head_commit": {"id": SHA, "message": branch},
    }


def schedule(*, fork: bool = False) -> dict[str, Any]:
    """Return what a schedule brings."""
    return {"repository": {**HOME, "fork": fork}, "schedule": "1 1 * * *", "ref": "refs/heads/main"}


def release(tag: str = "v1.2.3") -> dict[str, Any]:
    """Return a release that was published."""
    return {
        "action": "published",
        "ref": f"refs/tags/{tag}",
        "repository": HOME,
        "release": {"tag_name": tag, "name": tag, "body": tag, "draft": False},
    }


def by_hand(ref: str = "refs/heads/main", **inputs: str) -> dict[str, Any]:
    """Return what a person started."""
    return {"ref": ref, "repository": HOME, "inputs": {"kind": "test", "always": False, **inputs}}
