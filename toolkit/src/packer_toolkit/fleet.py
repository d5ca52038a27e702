"""Which repository is at which release of the template: of an organisation, or of local clones."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from packer_toolkit.errors import RemoteError, SetupError, ToolkitError
from packer_toolkit.github_api import client, speaking
from packer_toolkit.template.addresses import describe_secret, without_secret
from packer_toolkit.template.git import Git, GitError
from packer_toolkit.template.project import ANSWERS_FILE, parse_answers
from packer_toolkit.template.source import Release, git_url, parse_version, releases

NOT_ADOPTED = f"no {ANSWERS_FILE}: packer-toolkit adopt adds one"


@dataclass(frozen=True)
class Row:
    """One repository.

    Attributes:
        name: owner/name, or the folder.
        template: the template's address as recorded, "" when there is none.
        release: the release of it that the repository is at, as recorded.
        newest: the newest release of that template, "" when it is not known.
        behind: how many releases are newer, None when that is not known.
        updated: when the answers file was last committed, in ISO 8601; "" when it is not known.
        problem: what is wrong, "" for nothing.
        failed: whether it could not be read.
    """

    name: str
    template: str = ""
    release: str = ""
    newest: str = ""
    behind: int | None = None
    updated: str = ""
    problem: str = ""
    failed: bool = False


class Fleet(Protocol):
    """Where repositories are read."""

    def names(self) -> Sequence[str]:
        """Return the repositories to look at."""

    def answers(self, name: str) -> bytes | None:
        """Return a repository's answers file, None when it has none."""

    def updated(self, name: str) -> str:
        """Return when its answers file was last committed, in ISO 8601."""

    def releases(self, template: str) -> Sequence[Release]:
        """Return the releases of a template, the oldest first."""


def rows(
    fleet: Fleet, names: Sequence[str], *, at_once: int, done: Callable[[], None]
) -> Iterator[Row]:
    """Yield a row for each repository, in the order of their names.

    Args:
        fleet: where they are read.
        names: from it.
        at_once: how many at the same time.
        done: called after each, for a progress bar.
    """
    known = _Releases(fleet)

    def one(name: str) -> Row:
        try:
            return _row(fleet, name, known)
        except ToolkitError as error:
            return Row(name, problem=str(error), failed=True)
        finally:
            done()

    pool = ThreadPoolExecutor(at_once)
    try:
        yield from pool.map(one, names)
    finally:
        # Whoever interrupts waits for what is under way, and for nothing else.
        pool.shutdown(cancel_futures=True)


def _row(fleet: Fleet, name: str, known: _Releases) -> Row:
    text = fleet.answers(name)
    if text is None:
        return Row(name, problem=NOT_ADOPTED)
    answers = parse_answers(text, ANSWERS_FILE)
    template, release = (str(answers.get(key) or "") for key in ("_src_path", "_commit"))
    updated = fleet.updated(name)
    version = parse_version(release)
    shown, warning = without_secret(template), describe_secret(template, ANSWERS_FILE)
    if not template or version is None:
        problem = f"{ANSWERS_FILE} names no release of a template"
        return Row(name, shown, release, updated=updated, problem=problem)
    try:
        finished = [item for item in known.of(template) if not item.version.is_prerelease]
        newer = [item for item in finished if item.version > version]
        newest = finished[-1].tag if finished else ""
    except ToolkitError as error:
        return Row(name, shown, release, updated=updated, problem=str(error), failed=True)
    if not newest:
        problem = "the template has no release"
        return Row(name, shown, release, updated=updated, problem=problem)
    return Row(name, shown, release, newest, len(newer), updated, warning)


class _Releases:
    """Releases of templates, each asked for once."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._lock = threading.Lock()
        self._known: dict[str, Sequence[Release] | ToolkitError] = {}

    def of(self, template: str) -> Sequence[Release]:
        """Return the releases of a template; what failed once fails again, without asking."""
        with self._lock:
            if template not in self._known:
                try:
                    self._known[template] = self._fleet.releases(template)
                except ToolkitError as error:
                    self._known[template] = error
            known = self._known[template]
        if isinstance(known, ToolkitError):
            raise type(known)(str(known))
        return known


# ----------------------------------------------------------------------------------- local clones


@dataclass(frozen=True)
class LocalFleet:
    """Clones in a folder.

    Attributes:
        folder: the folder with the clones, or one clone.
        prefix: how their names begin.
    """

    folder: Path
    prefix: str

    def names(self) -> Sequence[str]:
        """Return the clones whose names begin with the prefix."""
        if (self.folder / ".git").exists():
            return ["."]
        found = sorted(
            entry.name
            for entry in self.folder.iterdir()
            if entry.name.startswith(self.prefix) and (entry / ".git").exists()
        )
        if not found:
            raise SetupError(
                f"{self.folder} has no clone whose name begins with {self.prefix}; "
                "--prefix takes another beginning"
            )
        return found

    def answers(self, name: str) -> bytes | None:
        """Return the answers file as it lies there."""
        try:
            return (self.folder / name / ANSWERS_FILE).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SetupError(f"{ANSWERS_FILE} cannot be read: {error.strerror}") from None

    def updated(self, name: str) -> str:
        """Return when it was last committed."""
        try:
            git = Git.at(self.folder / name)
            return git.text("log", "-1", "--format=%cI", "--", ANSWERS_FILE)
        except GitError as error:
            raise SetupError(f"git cannot read it: {error.reason}") from None

    def releases(self, template: str) -> Sequence[Release]:
        """Return what git says."""
        return releases(template)


# ----------------------------------------------------------------------------------------- GitHub


@dataclass
class GitHubFleet:
    """Repositories on one GitHub.

    Attributes:
        token: of a job or of a person; it reads.
        api_url: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server.
        patience: seconds after which nothing is tried again, waiting for rate limits included.
        organization: whose repositories are looked at, an organisation or a person; "" for none.
        prefix: how their names begin.
        listed: further ones, as owner/name.
        archived: counts those that were left out because they are archived.
    """

    token: str
    api_url: str
    patience: float
    organization: str = ""
    prefix: str = ""
    listed: Sequence[str] = ()
    archived: int = 0

    def __post_init__(self) -> None:
        self._clients = threading.local()
        for name in self.listed:
            if not re.fullmatch(r"[^/\s]+/[^/\s]+", name):
                raise SetupError(f'"{name}" is no repository: it takes OWNER/NAME')

    def _client(self) -> Any:
        # PyGithub promises nothing about threads.
        if not hasattr(self._clients, "client"):
            self._clients.client = client(self.token, self.api_url, self.patience)
        return self._clients.client

    def names(self) -> Sequence[str]:
        """Return the repositories whose names begin with the prefix, and those that are listed."""
        found = set(self.listed)
        if self.organization:
            for repository in self._owned():
                if repository.name.startswith(self.prefix):
                    if repository.archived:
                        self.archived += 1
                    else:
                        found.add(repository.full_name)
            if not found:
                raise SetupError(
                    f"{self.organization} has no repository whose name begins with {self.prefix}, "
                    "or the token may not see it"
                )
        return sorted(found, key=str.lower)

    def _owned(self) -> Iterable[Any]:
        with speaking(f"list the repositories of {self.organization}"):
            from github import UnknownObjectException

            try:
                return list(self._client().get_organization(self.organization).get_repos())
            except UnknownObjectException:
                return list(self._client().get_user(self.organization).get_repos())

    def answers(self, name: str) -> bytes | None:
        """Return the answers file of the default branch."""
        from github import UnknownObjectException

        with speaking(f"read {ANSWERS_FILE}"):
            try:
                file = self._client().get_repo(name).get_contents(ANSWERS_FILE)
            except UnknownObjectException as error:
                # The same answer as for a repository that is not there.
                if not self._exists(name):
                    raise RemoteError(
                        "there is no such repository, or the token may not see it"
                    ) from error
                return None
        if isinstance(file, list):
            raise SetupError(f"{ANSWERS_FILE} is a folder")
        content: bytes = file.decoded_content
        return content

    def _exists(self, name: str) -> bool:
        from github import UnknownObjectException

        try:
            self._client().get_repo(name, lazy=False)
        except UnknownObjectException:
            return False
        return True

    def updated(self, name: str) -> str:
        """Return when it was last committed."""
        with speaking(f"ask for the commits of {ANSWERS_FILE}"):
            commits = self._client().get_repo(name).get_commits(path=ANSWERS_FILE).get_page(0)
            return commits[0].commit.committer.date.isoformat() if commits else ""

    def releases(self, template: str) -> Sequence[Release]:
        """Return what the same GitHub says of its own, and git of a template elsewhere."""
        host, path = place_of(template)
        ours = urlsplit(self.api_url).hostname or ""
        if host not in {ours, ours.removeprefix("api.")}:
            return releases(template)
        with speaking(f"list the releases of {path}"):
            tags = [tag.name for tag in self._client().get_repo(path).get_tags()]
        found = [(parse_version(tag), tag) for tag in tags]
        return sorted(Release(version, tag) for version, tag in found if version is not None)


def place_of(template: str) -> tuple[str, str]:
    """Return host and owner/name of a template's address, empty when it is none of a host.

    Addresses are https://HOST/OWNER/NAME.git, ssh://git@HOST/…, git@HOST:OWNER/NAME.git, gh:….
    """
    url = git_url(template)
    split = urlsplit(url)
    if split.hostname:
        host, path = split.hostname, split.path
    else:
        match = re.fullmatch(r"(?:[^@/]+@)?([A-Za-z0-9.-]{2,}):(?!/)(.+)", url)
        if not match:
            return "", ""
        host, path = match[1], match[2]
    return host.lower(), path.strip("/").removesuffix(".git")


__all__ = ["NOT_ADOPTED", "Fleet", "GitHubFleet", "LocalFleet", "Row", "place_of", "rows"]
