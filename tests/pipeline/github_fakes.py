"""A small GitHub in memory, with the attributes and methods of PyGithub that the toolkit uses."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from github import GithubException, UnknownObjectException

from rig.repositories.build_reports import SHA


class FakeIssue:
    """An issue that a program opened."""

    pull_request = None
    author_association = "NONE"

    def __init__(self, number: int, title: str, body: str, labels: list[str]) -> None:
        self.number, self.title, self.body, self.labels = number, title, body, labels
        self.state, self.state_reason = "open", ""
        self.user = SimpleNamespace(type="Bot")
        self.html_url = f"https://github.example/issues/{number}"
        self.comments: list[str] = []

    def create_comment(self, body: str) -> None:
        """Add a comment."""
        self.comments.append(body)

    def edit(self, **values: str) -> None:
        """Change the body or the state."""
        self.__dict__.update(values)


class FakeAsset:
    """A file of a release."""

    id = 1

    def __init__(self, release: FakeRelease, name: str, content: bytes) -> None:
        self.release, self.name, self.content = release, name, content
        self.status = 200

    def download_asset(self, chunk_size: int) -> tuple[int, dict[str, str], list[bytes]]:
        """Return status, headers and parts of the content."""
        return self.status, {}, [self.content[:chunk_size], self.content[chunk_size:]]

    def delete_asset(self) -> None:
        """Remove the file from its release."""
        self.release.assets.remove(self)


class FakeRelease:
    """A published release."""

    draft = False

    def __init__(self, tag: str, files: dict[str, bytes]) -> None:
        self.tag_name, self.html_url = tag, f"https://github.example/releases/{tag}"
        self.assets = [FakeAsset(self, name, content) for name, content in files.items()]

    def get_assets(self) -> list[FakeAsset]:
        """Return the files."""
        return list(self.assets)

    def upload_asset_from_memory(
        self, file: Any, size: int, name: str, *, content_type: str
    ) -> FakeAsset:
        """Add a file."""
        content = file.read()
        assert len(content) == size
        assert content_type in ("application/json", "text/plain")
        self.assets.append(FakeAsset(self, name, content))
        return self.assets[-1]

    @property
    def files(self) -> dict[str, bytes]:
        """The content by name."""
        return {asset.name: asset.content for asset in self.assets}


class FakeRepository:
    """A repository.

    Attributes:
        statuses: Commit statuses by SHA, the newest first.
        refused: Names of methods that answer with this status.
    """

    url = "https://api.github.example/repos/globex/packer-ami-web-server"

    def __init__(self) -> None:
        self.issues: list[FakeIssue] = []
        self.statuses: dict[str, list[Any]] = {SHA: []}
        self.releases: list[FakeRelease] = []
        self.jobs: list[Any] = []
        self.subject: Any = {}
        self.refused: dict[str, int] = {}
        self.requester = SimpleNamespace(requestJsonAndCheck=self._request)

    def _refuse(self, method: str) -> None:
        if status := self.refused.get(method):
            raise GithubException(status, {"message": f"no {method}"}, {})

    def _request(self, verb: str, path: str, **options: Any) -> tuple[dict[str, str], Any]:
        self._refuse(verb)
        if verb == "GET":
            assert path.endswith("/actions/oidc/customization/sub")
            return {}, self.subject
        values = {"target_url": None, **options["input"]}
        self.statuses[path.rpartition("/")[2]].insert(0, SimpleNamespace(**values))
        return {}, {}

    def get_issues(self, labels: list[str], state: str) -> Iterator[FakeIssue]:
        """Yield the issues with a label, the newest first."""
        self._refuse("get_issues")
        for issue in reversed(self.issues):
            if issue.state == state and set(labels) <= set(issue.labels):
                yield issue

    def create_issue(self, title: str, *, body: str, labels: list[str]) -> FakeIssue:
        """Open an issue."""
        self._refuse("create_issue")
        self.issues.append(FakeIssue(len(self.issues) + 1, title, body, labels))
        return self.issues[-1]

    def create_label(self, name: str, color: str, description: str) -> None:
        """Create a label."""
        assert name
        assert color
        assert description
        self._refuse("create_label")

    def get_commit(self, sha: str) -> Any:
        """Return a commit."""
        self._refuse("get_commit")
        return SimpleNamespace(sha=sha, get_statuses=lambda: self.statuses[sha])

    def get_commits(self) -> Iterator[Any]:
        """Yield the commits of the default branch."""
        self._refuse("get_commits")
        yield from map(self.get_commit, self.statuses)

    def get_workflow_run(self, number: int) -> Any:
        """Return a run."""
        assert number == 77
        self._refuse("get_workflow_run")
        return SimpleNamespace(jobs=lambda: self.jobs)

    def get_release(self, tag: str) -> FakeRelease:
        """Return the release of a tag."""
        for release in self.releases:
            if release.tag_name == tag:
                return release
        raise UnknownObjectException(404, {"message": "Not Found"}, {})

    def get_releases(self) -> Iterator[FakeRelease]:
        """Yield the releases, the newest first."""
        yield from reversed(self.releases)
