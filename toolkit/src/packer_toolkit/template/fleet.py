"""Find out which repository, on GitHub or in a folder, is at which release of the template."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from packer_toolkit.aws.partitions import describe_answers
from packer_toolkit.errors import SetupError, ToolkitError
from packer_toolkit.git.addresses import describe_secret, remove_secrets
from packer_toolkit.git.command import Git, GitError, limit_query
from packer_toolkit.repository.answers_file import (
    DEFAULT,
    choose_answers_file,
    is_ours,
    parse_answers,
)
from packer_toolkit.template.source import (
    is_release,
    list_tags,
    match_release,
    parse_version,
    sort_releases,
)
from packer_toolkit.text.paths import show_path

NOT_CONNECTED = f"no {DEFAULT}: add one with packer-toolkit template adopt"
OTHER_TEMPLATE = (
    f"{DEFAULT} belongs to another template: add one of this template with packer-toolkit "
    "template adopt"
)
_LEAST_SECONDS = 5.0
"""Time for a git command in any case."""


@dataclass(frozen=True)
class FleetRow:
    """One repository of a fleet.

    Attributes:
        name: OWNER/NAME, or the folder.
        template: The recorded address of the template; empty without one.
        release: The release that the repository is at.
        newest: The newest release of that template; empty when it is not known.
        behind: Number of newer releases; None when it is not known.
        updated: Time of the last commit of the answers file, in ISO 8601; empty when not known.
        problem: A problem or a note; empty without one.
        failed: Whether the repository could not be read.
    """

    name: str
    template: str = ""
    release: str = ""
    newest: str = ""
    behind: int | None = None
    updated: str = ""
    problem: str = ""
    failed: bool = False


@dataclass(frozen=True)
class AnswersFile:
    """An answers file of a repository.

    Attributes:
        path: Its path in the repository.
        text: Its content.
    """

    path: str
    text: bytes


class Fleet(Protocol):
    """Repositories in one place."""

    def list_names(self) -> Sequence[str]:
        """Return the names of the repositories."""

    def read_answers(self, name: str) -> AnswersFile | None:
        """Return a repository's answers file of this template; else one of another, else None."""

    def find_update_time(self, name: str, path: str) -> str:
        """Return the time of the last commit of a file, in ISO 8601."""

    def list_tags(self, template: str) -> Mapping[str, str]:
        """Return the tags of a template, and the commit of each."""

    def find_disabled_workflows(self, name: str) -> str:
        """Return a note about workflows that GitHub has disabled; empty without any."""
        del name
        return ""


def read_fleet(
    fleet: Fleet, names: Sequence[str], *, threads: int, advance: Callable[[], None]
) -> Iterator[FleetRow]:
    """Yield a row for each repository, in the order of their names.

    Args:
        fleet: Reads the repositories.
        names: Names of repositories of the fleet.
        threads: Number of repositories to read in parallel.
        advance: Called after each repository, for a progress bar.
    """
    tags = _TagCache(fleet)

    def read_row(name: str) -> FleetRow:
        try:
            return _read_row(fleet, name, tags)
        except ToolkitError as error:
            return FleetRow(name, problem=str(error), failed=True)
        except (ValueError, RecursionError) as error:
            # The content of one repository must not stop the others.
            reason = f"its answers file cannot be used: {type(error).__name__}: {error}"
            return FleetRow(name, problem=show_path(reason)[:300], failed=True)
        finally:
            advance()

    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(read_row, names)
    finally:
        # After an interrupt, wait only for what has started.
        pool.shutdown(cancel_futures=True)


def _read_row(fleet: Fleet, name: str, known_tags: _TagCache) -> FleetRow:
    file = fleet.read_answers(name)
    if file is None:
        return FleetRow(name, problem=NOT_CONNECTED)
    answers = parse_answers(file.text, file.path)
    address, release = (str(answers.get(key) or "") for key in ("_src_path", "_commit"))
    if address and not is_ours(file.text):
        return FleetRow(name, problem=OTHER_TEMPLATE)
    row = FleetRow(
        name,
        remove_secrets(address),
        release,
        updated=fleet.find_update_time(name, file.path),
        problem=f"{file.path} does not name a release of a template",
    )
    if not address or not release:
        return row
    try:
        tags = known_tags.get(address)
    except ToolkitError as error:
        return replace(row, problem=str(error), failed=True)
    release = match_release(release, tags) or release
    row = replace(row, release=release)
    version = parse_version(release)
    if version is None:
        return row
    finished = [item for item in sort_releases(tags) if not item.version.is_prerelease]
    if not finished:
        return replace(row, problem="the template has no release")
    warning = describe_secret(address, file.path)
    if not is_release(release):
        # Whether the template has that commit is only known after a clone.
        base = release.rsplit("-", 2)[0]
        warning = warning or (
            f"created from a commit after {base}, not from a release; task template-check reports "
            "whether it can be updated"
        )
    notes = [warning or describe_answers(answers), fleet.find_disabled_workflows(name)]
    return replace(
        row,
        newest=finished[-1].tag,
        behind=sum(item.version > version for item in finished),
        problem="; ".join(filter(None, notes)),
    )


class _TagCache:
    """Tags of templates; those of each template are listed once."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._lock = threading.Lock()
        self._known: dict[str, Future[Mapping[str, str]]] = {}

    def get(self, template: str) -> Mapping[str, str]:
        """Return the tags of a template; after an error, raise it again without listing."""
        with self._lock:
            is_new = template not in self._known
            future = self._known.setdefault(template, Future())
        # Outside of the lock: a server that does not answer delays only its own repositories.
        if is_new:
            try:
                future.set_result(self._fleet.list_tags(template))
            except BaseException as error:
                future.set_exception(error)
        return future.result()


@dataclass
class TagLister:
    """Lists the tags of templates at recorded addresses with git, and prints each address first.

    Attributes:
        patience: Seconds for all of them, from now on; each gets a few in any case.
        announce: Called with each address before git reads it.
    """

    patience: float
    announce: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.patience

    def list_tags(self, template: str) -> Mapping[str, str]:
        """Return the tags of a template, as git lists them."""
        self.announce(show_path(remove_secrets(template)))
        return list_tags(template, most=self.compute_timeout())

    def compute_timeout(self) -> float:
        """Return the seconds that one git command may take."""
        return max(_LEAST_SECONDS, self._end - time.monotonic())


@dataclass(frozen=True)
class LocalFleet(Fleet):
    """Clones in a folder.

    Attributes:
        folder: The folder with the clones, or one clone.
        prefix: Prefix of their names.
        tag_lister: Lists the tags of templates.
    """

    folder: Path
    prefix: str
    tag_lister: TagLister

    def list_names(self) -> Sequence[str]:
        """Return the clones whose names begin with the prefix."""
        if (self.folder / ".git").exists():
            return ["."]
        names = sorted(
            entry.name
            for entry in self.folder.iterdir()
            if entry.name.startswith(self.prefix) and (entry / ".git").exists()
        )
        if not names:
            raise SetupError(
                f"{self.folder} has no clone whose name begins with {self.prefix}; choose another "
                "prefix with --prefix"
            )
        return names

    def read_answers(self, name: str) -> AnswersFile | None:
        """Return the answers file in the work tree."""
        folder = self.folder / name
        path = choose_answers_file(folder)
        try:
            return AnswersFile(path, (folder / path).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SetupError(f"{path} cannot be read: {error.strerror}") from None

    def find_update_time(self, name: str, path: str) -> str:
        """Return the time of the last commit of a file."""
        try:
            # A partial clone fetches what it does not have.
            git = limit_query(Git(self.folder / name), self.tag_lister.compute_timeout())
            return git.text("log", "-1", "--format=%cI", "--", f":(literal){path}")
        except GitError as error:
            raise SetupError(f"git cannot read the commits of {path}: {error.reason}") from None

    def list_tags(self, template: str) -> Mapping[str, str]:
        """Return the tags that git lists."""
        return self.tag_lister.list_tags(template)
