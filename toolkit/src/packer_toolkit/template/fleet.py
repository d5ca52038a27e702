"""Which repository is at which release of the template: of an organisation, or of local clones."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from packer_toolkit.aws.partitions import describe_answers
from packer_toolkit.errors import RemoteError, SetupError, ToolkitError
from packer_toolkit.git.addresses import describe_secret, split_place, without_secret
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.git.network import limit_question
from packer_toolkit.github.client import create_client, translate_github_errors
from packer_toolkit.repository.answers_file import (
    DEFAULT,
    choose_answers_file,
    describes_other_folder,
    is_candidate,
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

NOT_ADOPTED = f"no {DEFAULT}: packer-toolkit adopt adds one"
OF_ANOTHER = f"{DEFAULT} is of another template: packer-toolkit adopt adds one of this template"


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


@dataclass(frozen=True)
class AnswersFile:
    """An answers file of a repository.

    Attributes:
        path: its path in the repository.
        text: its content.
    """

    path: str
    text: bytes


class Fleet(Protocol):
    """Where repositories are read."""

    def names(self) -> Sequence[str]:
        """Return the repositories to look at."""

    def answers(self, name: str) -> AnswersFile | None:
        """Return a repository's answers file of this template; else one of another, else None."""

    def updated(self, name: str, path: str) -> str:
        """Return when a file was last committed, in ISO 8601."""

    def tags(self, template: str) -> Mapping[str, str]:
        """Return the tags of a template, and the commit of each."""

    def find_disabled(self, name: str) -> str:
        """Return a remark about workflows that GitHub does not run; empty without any."""


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
    known = _Tags(fleet)

    def one(name: str) -> Row:
        try:
            return _row(fleet, name, known)
        except ToolkitError as error:
            return Row(name, problem=str(error), failed=True)
        except (ValueError, RecursionError) as error:
            # What one repository has written must not stop the others.
            reason = f"its answers file cannot be used: {type(error).__name__}: {error}"
            return Row(name, problem=show_path(reason)[:300], failed=True)
        finally:
            done()

    pool = ThreadPoolExecutor(at_once)
    try:
        yield from pool.map(one, names)
    finally:
        # Whoever interrupts waits for what is under way, and for nothing else.
        pool.shutdown(cancel_futures=True)


def _row(fleet: Fleet, name: str, known: _Tags) -> Row:
    file = fleet.answers(name)
    if file is None:
        return Row(name, problem=NOT_ADOPTED)
    answers = parse_answers(file.text, file.path)
    template, release = (str(answers.get(key) or "") for key in ("_src_path", "_commit"))
    if template and not is_ours(file.text):
        return Row(name, problem=OF_ANOTHER)
    updated = fleet.updated(name, file.path)
    warning = describe_secret(template, file.path)
    address, template = template, without_secret(template)
    problem = f"{file.path} names no release of a template"
    if not template or not release:
        return Row(name, template, release, updated=updated, problem=problem)
    try:
        tags = known.of(address)
    except ToolkitError as error:
        return Row(name, template, release, updated=updated, problem=str(error), failed=True)
    release = match_release(release, tags) or release
    version = parse_version(release)
    if version is None:
        return Row(name, template, release, updated=updated, problem=problem)
    finished = [item for item in sort_releases(tags) if not item.version.is_prerelease]
    newer = [item for item in finished if item.version > version]
    if not finished:
        problem = "the template has no release"
        return Row(name, template, release, updated=updated, problem=problem)
    if not is_release(release):
        # Whether the template has that commit is only known after it was fetched.
        before = release.rsplit("-", 2)[0]
        warning = warning or (
            f"made from a commit after {before}, not from a release; task template-check reports "
            "whether it can be updated"
        )
    remarks = [warning or describe_answers(answers), fleet.find_disabled(name)]
    problem = "; ".join(filter(None, remarks))
    return Row(name, template, release, finished[-1].tag, len(newer), updated, problem)


class _Tags:
    """Tags of templates, each asked for once."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._lock = threading.Lock()
        self._known: dict[str, Future[Mapping[str, str]]] = {}

    def of(self, template: str) -> Mapping[str, str]:
        """Return the tags of a template; what failed once fails again, without asking."""
        with self._lock:
            is_new = template not in self._known
            future = self._known.setdefault(template, Future())
        # Outside of the lock: a server that does not answer holds up its own repositories only.
        if is_new:
            try:
                future.set_result(self._fleet.tags(template))
            except BaseException as error:
                future.set_exception(error)
        return future.result()


@dataclass
class Questions:
    """Questions to addresses that repositories have recorded, by git: announced, and limited.

    Attributes:
        patience: seconds for all of them, from now on; each gets a few in any case.
        announce: called with each address before it is asked.
    """

    patience: float
    announce: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.patience

    def list_tags(self, template: str) -> Mapping[str, str]:
        """Return the tags of a template, as git lists them."""
        self.announce(show_path(without_secret(template)))
        return list_tags(template, most=self.seconds_left())

    def seconds_left(self) -> float:
        """Return how many seconds a question may take."""
        return max(_SECONDS_IN_ANY_CASE, self._end - time.monotonic())


_SECONDS_IN_ANY_CASE = 5.0


# ----------------------------------------------------------------------------------- local clones


@dataclass(frozen=True)
class LocalFleet:
    """Clones in a folder.

    Attributes:
        folder: the folder with the clones, or one clone.
        prefix: how their names begin.
        questions: to the addresses of templates.
    """

    folder: Path
    prefix: str
    questions: Questions

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

    def answers(self, name: str) -> AnswersFile | None:
        """Return the answers file in the work tree."""
        folder = self.folder / name
        path = choose_answers_file(folder)
        try:
            return AnswersFile(path, (folder / path).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SetupError(f"{path} cannot be read: {error.strerror}") from None

    def updated(self, name: str, path: str) -> str:
        """Return when a file was last committed."""
        try:
            # A partial clone fetches what it does not have.
            git = limit_question(Git.at(self.folder / name), self.questions.seconds_left())
            return git.text("log", "-1", "--format=%cI", "--", f":(literal){path}")
        except GitError as error:
            raise SetupError(f"git cannot read it: {error.reason}") from None

    def tags(self, template: str) -> Mapping[str, str]:
        """Return the tags that git lists."""
        return self.questions.list_tags(template)

    def find_disabled(self, name: str) -> str:
        """Return nothing: a clone does not show it."""
        del name
        return ""


# ----------------------------------------------------------------------------------------- GitHub

# https://docs.github.com/en/actions/how-tos/manage-workflow-runs/disable-and-enable-workflows
_DISABLED = {
    "disabled_inactivity": "60 days without activity",
    "disabled_fork": "as in every new fork",
    "disabled_manually": "by a user",
}
# Each file that is read is a request.
_LIKELY = re.compile("copier|answers")
_NOT_ANSWERS = re.compile(
    r"\.github/(workflows|actions|ISSUE_TEMPLATE)/|provisioners/|inspec/|Task"
)


@dataclass
class GitHubFleet:
    """Repositories on one GitHub.

    Attributes:
        token: of a job or of a person; it reads.
        api_url: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server.
        patience: seconds after which nothing is tried again, waiting for rate limits included.
        questions: to the addresses of templates elsewhere.
        organization: whose repositories are looked at, an organisation or a person; "" for none.
        prefix: how their names begin.
        listed: further ones, as owner/name.
        archived: counts those that were left out because they are archived.
        with_workflows: whether disabled workflows are looked for, which takes one more request for
            each repository.
    """

    token: str
    api_url: str
    patience: float
    questions: Questions
    organization: str = ""
    prefix: str = ""
    listed: Sequence[str] = ()
    archived: int = 0
    with_workflows: bool = False

    def __post_init__(self) -> None:
        self._clients = threading.local()
        for name in self.listed:
            if not re.fullmatch(r"[^/\s]+/[^/\s]+", name):
                raise SetupError(f'"{name}" is no repository: it takes OWNER/NAME')

    def _client(self) -> Any:
        # PyGithub promises nothing about threads.
        if not hasattr(self._clients, "client"):
            self._clients.client = create_client(self.token, self.api_url, self.patience)
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
        with translate_github_errors(f"list the repositories of {self.organization}"):
            from github import UnknownObjectException

            try:
                return list(self._client().get_organization(self.organization).get_repos())
            except UnknownObjectException:
                return list(self._client().get_user(self.organization).get_repos())

    def answers(self, name: str) -> AnswersFile | None:
        """Return the answers file of the default branch."""
        default = self._read(name, DEFAULT)
        if default and is_ours(default.text):
            return default
        if not default and not self._exists(name):
            raise RemoteError("there is no such repository, or the token may not see it")
        for path in self._candidates(name):
            file = self._read(name, path)
            if file and is_ours(file.text):
                return file
        return default

    def _read(self, name: str, path: str) -> AnswersFile | None:
        from github import UnknownObjectException

        with translate_github_errors(f"read {path}"):
            try:
                file = self._client().get_repo(name).get_contents(path)
            except UnknownObjectException:
                return None
        if isinstance(file, list):
            raise SetupError(f"{path} is a folder")
        # A link that leads out of the repository, or a submodule, has no content.
        return AnswersFile(path, file.decoded_content) if file.type == "file" else None

    def _candidates(self, name: str) -> Sequence[str]:
        """Return where else the answers file may be, the likely places first."""
        from github import GithubException

        with translate_github_errors("list the files"):
            try:
                tree = self._client().get_repo(name).get_git_tree("HEAD", recursive=True).tree
            except GithubException as error:
                if error.status in {404, 409}:  # A repository without a commit.
                    return []
                raise
        paths = [item.path for item in tree if item.type == "blob" and is_candidate(item.path)]
        builds = {item.path.rpartition("/")[0] for item in tree if item.path.endswith(".pkr.hcl")}
        others = [
            path
            for path in paths
            if path != DEFAULT
            and not _NOT_ANSWERS.match(path)
            and not describes_other_folder(path, builds.__contains__)
        ]
        return sorted(others, key=lambda path: (not _LIKELY.search(path), path.count("/"), path))

    def _exists(self, name: str) -> bool:
        from github import UnknownObjectException

        try:
            self._client().get_repo(name, lazy=False)
        except UnknownObjectException:
            return False
        return True

    def updated(self, name: str, path: str) -> str:
        """Return when a file was last committed."""
        with translate_github_errors(f"ask for the commits of {path}"):
            commits = self._client().get_repo(name).get_commits(path=path).get_page(0)
            return commits[0].commit.committer.date.isoformat() if commits else ""

    def tags(self, template: str) -> Mapping[str, str]:
        """Return the tags of a template on the same GitHub; git lists those of one elsewhere."""
        host, path = split_place(template)
        ours = urlsplit(self.api_url).hostname or ""
        if host not in {ours, ours.removeprefix("api.")}:
            return self.questions.list_tags(template)
        with translate_github_errors(f"list the releases of {path}"):
            return {tag.name: tag.commit.sha for tag in self._client().get_repo(path).get_tags()}

    def find_disabled(self, name: str) -> str:
        """Return a remark about workflows that GitHub does not run; empty without any."""
        if not self.with_workflows:
            return ""
        try:
            with translate_github_errors("list the workflows"):
                found = list(self._client().get_repo(name).get_workflows())
        except RemoteError as error:
            return str(error)
        remarks = []
        for workflow in found:
            file = workflow.path.rpartition("/")[2]
            if workflow.state in _DISABLED:
                command = f"gh workflow enable {file} --repo {name}"
                remarks.append(f"{file} is disabled ({_DISABLED[workflow.state]}): {command}")
        return "; ".join(remarks)


__all__ = ["NOT_ADOPTED", "Fleet", "GitHubFleet", "LocalFleet", "Questions", "Row", "rows"]
