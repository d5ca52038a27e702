"""What the stand-in remembers: repositories with issues, releases, files, runs and statuses."""

from __future__ import annotations

import base64
import hashlib
import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

# Each thing is one second younger than the one before, so that sorting by time is the order of
# creation, as on GitHub for what was not made in the same second.
_CLOCK = itertools.count()
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_IDS = itertools.count(1000)


def now() -> str:
    """Return the next moment, as GitHub writes it."""
    return (_START + timedelta(seconds=next(_CLOCK))).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_id() -> int:
    """Return an id that nothing else has."""
    return next(_IDS)


def user(login: str = "github-actions[bot]") -> dict[str, Any]:
    """Return an account; the name tells whether it is a program's."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"login": login, "id": sum(login.encode()), "type": kind}


@dataclass
class Repository:
    """One repository; tests look into it and change it, as a person would through the pages.

    Attributes:
        full_name: owner/name.
        has_issues: issues are switched on; without them their calls answer 410.
        issues: issues and pull requests by number.
        comments: of issues and pull requests, by number.
        labels: descriptions by name.
        releases: in the order of creation, their assets inside.
        assets: contents of assets by id.
        files: contents by branch and path.
        commits: commits by SHA.
        tags: commits of releases' tags; a tag that is not listed has a commit of its own.
        statuses: of commits, the youngest first, by SHA.
        runs: workflow runs, the youngest first; `jobs` inside.
        logs: of jobs, by their ID.
        workflows: states by the name of the file, such as disabled_inactivity.
        oidc_subject: what GitHub answers about the subject of the repository's OIDC tokens.
        default_branch: as it says.
    """

    full_name: str
    has_issues: bool = True
    default_branch: str = "main"
    archived: bool = False
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    releases: list[dict[str, Any]] = field(default_factory=list)
    assets: dict[int, bytes] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[int, bytes] = field(default_factory=dict)
    workflows: dict[str, str] = field(default_factory=dict)
    oidc_subject: dict[str, Any] = field(default_factory=lambda: {"use_default": True})
    lock: threading.RLock = field(default_factory=threading.RLock)

    # --- What tests ask -----------------------------------------------------------------------

    def open_issues(self) -> list[dict[str, Any]]:
        """Return the open issues, without pull requests, the oldest first."""
        return [
            issue
            for issue in self.issues.values()
            if issue["state"] == "open" and "pull_request" not in issue
        ]

    def said(self, number: int) -> list[str]:
        """Return the comments of an issue."""
        return [comment["body"] for comment in self.comments.get(number, [])]

    def asset(self, tag: str, name: str) -> bytes:
        """Return the content of a release's asset."""
        release = next(item for item in self.releases if item["tag_name"] == tag)
        found = next(item for item in release["assets"] if item["name"] == name)
        return self.assets[found["id"]]

    # --- What tests and the API do ------------------------------------------------------------

    def add_issue(
        self,
        title: str,
        body: str = "",
        labels: Iterator[str] | list[str] | tuple[str, ...] = (),
        author: str = "github-actions[bot]",
        association: str = "NONE",
    ) -> dict[str, Any]:
        """Open an issue; labels that do not exist are made, as GitHub does for those who may.

        Args:
            title: of the issue.
            body: of the issue.
            labels: names.
            author: whose issue it is; by default that of a workflow's own token.
            association: of the author with the repository, such as MEMBER; NONE for programs too.
        """
        with self.lock:
            number = max(self.issues, default=0) + 1
            moment = now()
            self.issues[number] = {
                "id": new_id(),
                "number": number,
                "title": title,
                "body": body,
                "state": "open",
                "state_reason": None,
                "locked": False,
                "user": user(author),
                "author_association": association,
                "labels": [self.add_label(name) for name in labels],
                "created_at": moment,
                "updated_at": moment,
                "closed_at": None,
                "comments": 0,
            }
            return self.issues[number]

    def close_by_hand(self, number: int, reason: str = "completed") -> None:
        """Close an issue, as a person does."""
        self.issues[number] |= {"state": "closed", "state_reason": reason, "closed_at": now()}

    def merge_pull(self, number: int) -> None:
        """Merge a pull request; the branch is left as it is."""
        self.close_by_hand(number)
        self.issues[number]["_pull"] |= {"merged": True, "merged_at": now()}

    def add_label(self, name: str, **more: Any) -> dict[str, Any]:
        """Make a label, or return the one that exists."""
        known = {label.lower(): label for label in self.labels}
        name = known.get(name.lower(), name)
        values = {"id": new_id(), "name": name, "color": "ededed", "description": None}
        return self.labels.setdefault(name, {**values, **more})

    def add_comment(self, number: int, body: str) -> dict[str, Any]:
        """Comment on an issue or a pull request."""
        moment = now()
        comment = {
            "id": new_id(),
            "body": body,
            "user": user(),
            "created_at": moment,
            "updated_at": moment,
        }
        with self.lock:
            self.comments.setdefault(number, []).append(comment)
            self.issues[number]["comments"] += 1
        return comment

    def add_release(self, tag: str, **more: Any) -> dict[str, Any]:
        """Publish a release, or draft one."""
        release = {
            "id": new_id(),
            "tag_name": tag,
            "target_commitish": self.default_branch,
            "name": tag,
            "body": "",
            "draft": False,
            "prerelease": False,
            "created_at": now(),
            "published_at": now(),
            "author": user(),
            "assets": [],
            **more,
        }
        with self.lock:
            self.releases.append(release)
        return release

    def add_asset(self, release: Mapping[str, Any], name: str, content: bytes) -> dict[str, Any]:
        """Attach a file to a release."""
        number = new_id()
        asset = {
            "id": number,
            "name": name,
            "label": None,
            "size": len(content),
            "state": "uploaded",
            "content_type": "application/octet-stream",
            "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
            "created_at": now(),
            "updated_at": now(),
            "uploader": user(),
        }
        with self.lock:
            self.assets[number] = content
            release["assets"].append(asset)
        return asset

    def add_status(self, sha: str, state: str, context: str, **more: Any) -> dict[str, Any]:
        """Say of a commit how a check of it went."""
        status = {
            "id": new_id(),
            "state": state,
            "context": context,
            "description": None,
            "target_url": None,
            "created_at": now(),
            "updated_at": now(),
            **more,
        }
        with self.lock:
            self.statuses.setdefault(sha, []).insert(0, status)
        return status

    def add_pull(self, title: str, head: str, base: str, body: str = "") -> dict[str, Any]:
        """Open a pull request; it is an issue too, as on GitHub."""
        with self.lock:
            issue = self.add_issue(title, body)
            issue["pull_request"] = {"url": ""}
            owner = self.full_name.split("/")[0]
            issue["_pull"] = {
                "head": {"ref": head, "label": f"{owner}:{head}", "sha": sha_of(head)},
                "base": {"ref": base, "label": f"{owner}:{base}", "sha": sha_of(base)},
                "merged": False,
                "merged_at": None,
                "draft": False,
            }
            return issue

    def add_run(self, **values: Any) -> dict[str, Any]:
        """Remember a run of a workflow.

        Args:
            values: fields of the run; `path` is the workflow's file, `jobs` its jobs.
        """
        run = {
            "id": new_id(),
            "run_attempt": 1,
            "name": "Build",
            "path": ".github/workflows/push-packer-build-ami.yml",
            "event": "schedule",
            "status": "completed",
            "conclusion": "success",
            "head_branch": self.default_branch,
            "head_sha": "0" * 40,
            "created_at": now(),
            "updated_at": now(),
            "jobs": [],
            **values,
        }
        with self.lock:
            self.runs.insert(0, run)
        return run

    def write(self, path: str, content: bytes, branch: str | None = None) -> None:
        """Put a file onto a branch."""
        self.files.setdefault(branch or self.default_branch, {})[path] = content


def sha_of(text: str | bytes) -> str:
    """Return a SHA that stands for TEXT."""
    raw = text.encode() if isinstance(text, str) else text
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest()


def content_of(path: str, raw: bytes) -> dict[str, Any]:
    """Return a file as the contents API shows it."""
    return {
        "type": "file",
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha_of(raw),
        "size": len(raw),
        "encoding": "base64",
        "content": base64.encodebytes(raw).decode(),
    }
