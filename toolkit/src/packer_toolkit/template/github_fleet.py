"""A fleet of repositories on GitHub."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from github import GithubException, UnknownObjectException

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.addresses import split_host_and_path
from packer_toolkit.github.client import translate_github_errors
from packer_toolkit.repository.answers_file import (
    DEFAULT,
    describes_other_folder,
    is_candidate,
    is_ours,
)
from packer_toolkit.template.fleet import AnswersFile, TagLister

# https://docs.github.com/en/actions/how-tos/manage-workflow-runs/disable-and-enable-workflows
_DISABLED = {
    "disabled_inactivity": "60 days without activity",
    "disabled_fork": "as in every new fork",
    "disabled_manually": "by a user",
}
# To read a file takes a request, so likely names come first.
_LIKELY = re.compile("copier|answers")
_NOT_ANSWERS = re.compile(
    r"\.github/(workflows|actions|ISSUE_TEMPLATE)/|provisioners/|inspec/|Task"
)


@dataclass
class GitHubFleet:
    """Repositories on one GitHub.

    Attributes:
        connect: Returns a client of GitHub; called once for each thread.
        api_url: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server.
        tag_lister: Lists the tags of templates that are not on this GitHub.
        organization: Owner of the repositories, an organization or a user; empty for none.
        prefix: Prefix of their names.
        listed: Further repositories, as OWNER/NAME.
        with_workflows: Whether to look for disabled workflows: one more request per repository.
        archived: Number of repositories that were left out because they are archived.
    """

    connect: Callable[[], Any]
    api_url: str
    tag_lister: TagLister
    organization: str = ""
    prefix: str = ""
    listed: Sequence[str] = ()
    with_workflows: bool = False
    archived: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._clients = threading.local()
        for name in self.listed:
            if not re.fullmatch(r"[^/\s]+/[^/\s]+", name):
                raise SetupError(f'"{name}" is not a repository; it must be OWNER/NAME')

    def _get_client(self) -> Any:
        # PyGithub does not document that its clients may be shared by threads.
        if not hasattr(self._clients, "client"):
            self._clients.client = self.connect()
        return self._clients.client

    def list_names(self) -> Sequence[str]:
        """Return the repositories whose names begin with the prefix, and those that are listed."""
        names = set(self.listed)
        if self.organization:
            owned = [item for item in self._list_owned() if item.name.startswith(self.prefix)]
            self.archived = sum(item.archived for item in owned)
            names.update(item.full_name for item in owned if not item.archived)
            if not names:
                raise SetupError(
                    f"{self.organization} has no repository whose name begins with {self.prefix}, "
                    "or the token cannot read it; choose another prefix with --prefix"
                )
        return sorted(names, key=str.lower)

    def _list_owned(self) -> Iterable[Any]:
        with translate_github_errors(f"list the repositories of {self.organization}"):
            try:
                return list(self._get_client().get_organization(self.organization).get_repos())
            except UnknownObjectException:
                return list(self._get_client().get_user(self.organization).get_repos())

    def read_answers(self, name: str) -> AnswersFile | None:
        """Return the answers file of the default branch."""
        default = self._read(name, DEFAULT)
        if default and is_ours(default.text):
            return default
        if not default and not self._exists(name):
            raise RemoteError("the repository does not exist, or the token cannot read it")
        for path in self._list_candidates(name):
            file = self._read(name, path)
            if file and is_ours(file.text):
                return file
        return default

    def _read(self, name: str, path: str) -> AnswersFile | None:
        with translate_github_errors(f"read {path}"):
            try:
                file = self._get_client().get_repo(name).get_contents(path)
            except UnknownObjectException:
                return None
        if isinstance(file, list):
            raise SetupError(f"{path} is a folder; it must be a file")
        # A link that leads out of the repository, or a submodule, has no content.
        return AnswersFile(path, file.decoded_content) if file.type == "file" else None

    def _list_candidates(self, name: str) -> Sequence[str]:
        """Return other paths that may be the answers file, likely ones first."""
        with translate_github_errors("list the files"):
            try:
                tree = self._get_client().get_repo(name).get_git_tree("HEAD", recursive=True).tree
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
        with suppress(UnknownObjectException):
            return bool(self._get_client().get_repo(name, lazy=False))
        return False

    def find_update_time(self, name: str, path: str) -> str:
        """Return the time of the last commit of a file."""
        with translate_github_errors(f"list the commits of {path}"):
            commits = self._get_client().get_repo(name).get_commits(path=path).get_page(0)
            return commits[0].commit.committer.date.isoformat() if commits else ""

    def list_tags(self, template: str) -> Mapping[str, str]:
        """Return the tags of a template, by the API if it is on the same GitHub, else by git."""
        host, path = split_host_and_path(template)
        api_host = urlsplit(self.api_url).hostname or ""
        if host not in {api_host, api_host.removeprefix("api.")}:
            return self.tag_lister.list_tags(template)
        with translate_github_errors(f"list the releases of {path}"):
            return {
                tag.name: tag.commit.sha for tag in self._get_client().get_repo(path).get_tags()
            }

    def find_disabled_workflows(self, name: str) -> str:
        """Return a note about workflows that GitHub has disabled; empty without any."""
        if not self.with_workflows:
            return ""
        try:
            with translate_github_errors("list the workflows"):
                workflows = list(self._get_client().get_repo(name).get_workflows())
        except RemoteError as error:
            return str(error)
        disabled = {
            workflow.path.rpartition("/")[2]: _DISABLED[workflow.state]
            for workflow in workflows
            if workflow.state in _DISABLED
        }
        return "; ".join(
            f"{file} is disabled ({reason}): gh workflow enable {file} --repo {name}"
            for file, reason in disabled.items()
        )
