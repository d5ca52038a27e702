"""Rows of a fleet from fakes of GitHub and of a template, and from local clones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from github import GithubException, UnknownObjectException
from plain_project import QUESTIONS, create_project, write_answers

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.template.fleet import AnswersFile, FleetRow, LocalFleet, TagLister, read_fleet
from packer_toolkit.template.github_fleet import GitHubFleet
from rig.repositories.template import git

TAGS = {"v1.0.0": "a" * 40, "v1.1.0": "b" * 40, "v2.0.0rc1": "c" * 40, "toolkit": "a" * 40}
TEMPLATE = "https://github.com/acme/t"


class FakeFleet:
    """Repositories whose answers files a test gives.

    Attributes:
        files: Text of the answers file by name; None for a repository without one.
        asked: Templates whose tags were listed.
    """

    def __init__(self, files: Mapping[str, str | None]) -> None:
        self.files = files
        self.asked: list[str] = []

    def list_names(self) -> Sequence[str]:
        """Return the names."""
        return [*self.files]

    def read_answers(self, name: str) -> AnswersFile | None:
        """Return a file."""
        text = self.files[name]
        if text == "unreadable":
            raise SetupError("it cannot be read")
        return None if text is None else AnswersFile("answers.yml", text.encode())

    def find_update_time(self, name: str, path: str) -> str:
        """Return a time."""
        del name, path
        return "2027-01-01T00:00:00+00:00"

    def list_tags(self, template: str) -> Mapping[str, str]:
        """Return the tags, or none of a template."""
        self.asked.append(template)
        if "gone" in template:
            raise RemoteError("gone")
        return {} if "empty" in template else TAGS

    def find_disabled_workflows(self, name: str) -> str:
        """Return a note for one repository."""
        return "x.yml is disabled" if name == "old" else ""


def answers(commit: str, source: str = TEMPLATE, more: str = "") -> str:
    """Return the text of an answers file."""
    return f"_commit: {commit}\n_src_path: {source}\n{QUESTIONS}{more}"


def read(fleet: FakeFleet) -> dict[str, FleetRow]:
    """Return the rows of a fleet by name."""
    progress: list[None] = []
    rows = read_fleet(fleet, fleet.list_names(), threads=2, advance=lambda: progress.append(None))
    found = {row.name: row for row in rows}
    assert len(progress) == len(found)
    return found


def test_each_repository_has_a_row() -> None:
    """Releases behind are counted, and each problem is in the row of its repository."""
    rows = read(
        FakeFleet(
            {
                "new": answers("v1.1.0"),
                "old": answers("toolkit"),
                "china": answers("v1.0.0", more="aws_region: cn-north-1\n"),
                "commit": answers("v1.0.0-3-gdddddddd"),
                "secret": answers("v1.0.0", "https://user:pw@github.com/acme/t"),
                "none": None,
                "unreadable": "unreadable",
                "yaml": "[",
                "other": "_src_path: x\n_commit: v1\n",
                "no release": answers("v1.0.0", "https://empty.example/t"),
                "gone": answers("v1.0.0", "https://gone.example/t"),
                "no commit": f"_src_path: {TEMPLATE}\n{QUESTIONS}",
                "no version": answers("main"),
            }
        )
    )
    assert [rows[name].behind for name in ("new", "old", "commit")] == [0, 1, 1]
    assert (rows["old"].release, rows["old"].newest) == ("v1.0.0", "v1.1.0")
    assert rows["old"].problem == "x.yml is disabled"
    assert "not supported" in rows["china"].problem
    assert rows["commit"].problem.startswith("created from a commit after v1.0.0")
    assert "password or token" in rows["secret"].problem
    assert rows["secret"].template == TEMPLATE
    reason = "no .copier-answers.yml: add one with packer-toolkit template adopt"
    assert rows["none"].problem == reason
    assert (rows["unreadable"].failed, rows["yaml"].failed) == (True, True)
    assert "belongs to another template" in rows["other"].problem
    assert rows["no release"].problem == "the template has no release"
    assert (rows["gone"].problem, rows["gone"].failed) == ("gone", True)
    for name in ("no commit", "no version"):
        assert rows[name].problem == "answers.yml does not name a release of a template"


def test_each_template_is_asked_once() -> None:
    """Tags of a template are listed once, also after an error."""
    sources = [TEMPLATE, TEMPLATE, "https://gone.example/t", "https://gone.example/t"]
    fleet = FakeFleet({str(n): answers("v1.0.0", source) for n, source in enumerate(sources)})
    read(fleet)
    assert sorted(fleet.asked) == [TEMPLATE, "https://gone.example/t"]


def test_local_clones_are_read(tmp_path: Path) -> None:
    """Clones whose names begin with the prefix are read from their work trees."""
    create_project(tmp_path / "web-a")
    (tmp_path / "web-b").mkdir()
    git(tmp_path / "web-b", "init", "--quiet", "--template=")
    (tmp_path / "web-no-clone").mkdir()
    announced: list[str] = []
    fleet = LocalFleet(tmp_path, "web-", TagLister(60, announced.append))
    assert fleet.list_names() == ["web-a", "web-b"]
    file = fleet.read_answers("web-a")
    assert file
    assert file.text.decode() == write_answers("v1.0.0")
    assert fleet.read_answers("web-b") is None
    assert fleet.find_update_time("web-a", file.path).startswith("20")
    assert fleet.find_disabled_workflows("web-a") == ""
    with pytest.raises(SetupError, match="git cannot read the commits of x"):
        fleet.find_update_time("web-b", "x")
    with pytest.raises(RemoteError):
        fleet.list_tags(f"file://{tmp_path}/none")
    assert announced == [f"file://{tmp_path}/none"]
    assert LocalFleet(tmp_path / "web-a", "", TagLister(1)).list_names() == ["."]
    with pytest.raises(SetupError, match="choose another prefix with --prefix"):
        LocalFleet(tmp_path, "x-", TagLister(1)).list_names()


class FakeGitHub:
    """A client of GitHub whose repositories are dictionaries of files."""

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]]) -> None:
        self.repositories = repositories

    def get_organization(self, name: str) -> Any:
        """Return an organization; "user" is not one."""
        if name == "user":
            raise UnknownObjectException(404)
        return self.get_user(name)

    def get_user(self, name: str) -> Any:
        """Return the owner of all repositories."""
        del name
        repositories = [
            SimpleNamespace(
                name=full.partition("/")[2], full_name=full, archived=full.endswith("-archived")
            )
            for full in self.repositories
        ]
        return SimpleNamespace(get_repos=lambda: repositories)

    def get_repo(self, name: str, lazy: bool = True) -> Any:
        """Return a repository."""
        if name not in self.repositories and not lazy:
            raise UnknownObjectException(404)
        files = self.repositories.get(name, {})

        def get_contents(path: str) -> Any:
            if path not in files:
                raise UnknownObjectException(404)
            if path == "folder.yml":
                return []
            return SimpleNamespace(type="file", decoded_content=files[path])

        def get_git_tree(_: str, recursive: bool) -> Any:
            if not files:
                raise GithubException(409)
            return SimpleNamespace(tree=[SimpleNamespace(path=p, type="blob") for p in files])

        date = datetime(2027, 1, 1, tzinfo=timezone.utc)
        commit = SimpleNamespace(commit=SimpleNamespace(committer=SimpleNamespace(date=date)))
        workflow = SimpleNamespace(path=".github/workflows/x.yml", state="disabled_manually")
        return SimpleNamespace(
            get_contents=get_contents,
            get_git_tree=get_git_tree,
            get_commits=lambda **_: SimpleNamespace(get_page=lambda _: [commit][: len(files)]),
            get_tags=lambda: [SimpleNamespace(name="v1.0.0", commit=SimpleNamespace(sha="a" * 40))],
            get_workflows=lambda: [workflow],
        )


def test_repositories_of_github_are_read() -> None:
    """The usual answers file is read first, then likely ones; archived repositories are counted."""
    ours = answers("v1.0.0").encode()
    client = FakeGitHub(
        {
            "acme/ami-usual": {".copier-answers.yml": ours},
            "acme/ami-other": {".copier/ami.yml": ours, "x.yml": b"x", "a.pkr.hcl": b""},
            "acme/ami-empty": {},
            "acme/ami-archived": {},
            "acme/else": {"folder.yml": b""},
        }
    )
    tags = TagLister(60)
    fleet = GitHubFleet(lambda: client, "https://api.github.com", tags, "acme", "ami-", ["b/c"])
    assert fleet.list_names() == ["acme/ami-empty", "acme/ami-other", "acme/ami-usual", "b/c"]
    assert fleet.archived == 1
    assert fleet.read_answers("acme/ami-usual") == AnswersFile(".copier-answers.yml", ours)
    assert fleet.read_answers("acme/ami-other") == AnswersFile(".copier/ami.yml", ours)
    assert fleet.read_answers("acme/ami-empty") is None
    with pytest.raises(RemoteError, match="the repository does not exist, or the token cannot"):
        fleet.read_answers("b/c")
    with pytest.raises(SetupError, match=r"folder.yml is a folder"):
        fleet.read_answers("acme/else")
    assert fleet.find_update_time("acme/ami-usual", "x").startswith("2027-01-01")
    assert fleet.find_update_time("acme/ami-empty", "x") == ""
    assert fleet.list_tags("git@github.com:acme/t.git") == {"v1.0.0": "a" * 40}
    assert fleet.find_disabled_workflows("acme/ami-usual") == ""
    fleet.with_workflows = True
    note = fleet.find_disabled_workflows("acme/ami-usual")
    assert note == "x.yml is disabled (by a user): gh workflow enable x.yml --repo acme/ami-usual"


def test_owners_without_repositories_are_refused() -> None:
    """A user without repositories and a name without an owner are one line each."""
    fleet = GitHubFleet(lambda: FakeGitHub({}), "https://api.github.com", TagLister(1), "user")
    with pytest.raises(SetupError, match="or the token cannot read it"):
        fleet.list_names()
    with pytest.raises(SetupError, match='"acme" is not a repository; it must be OWNER/NAME'):
        GitHubFleet(lambda: FakeGitHub({}), "", TagLister(1), listed=["acme"])


def test_templates_elsewhere_are_asked_by_git(tmp_path: Path) -> None:
    """Tags of a template on another host are listed by git, and the address is announced."""
    create_project(tmp_path)
    git(tmp_path, "tag", "v1.0.0")
    announced: list[str] = []
    lister = TagLister(60, announced.append)
    fleet = GitHubFleet(lambda: FakeGitHub({}), "https://api.github.com", lister)
    assert [*fleet.list_tags(str(tmp_path))] == ["v1.0.0"]
    assert announced == [str(tmp_path)]
