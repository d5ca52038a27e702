"""The commit, branch and text of the pull request of an update, and how jobs pass it on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plain_project import NEW, Files, commit_all, create_project, plan, write_files

from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.repository.answers_file import DEFAULT as ANSWERS_FILE
from packer_toolkit.template import job_files
from packer_toolkit.template.project import Project
from packer_toolkit.template.pull_request import (
    ConflictNote,
    UpdatePullRequests,
    UpdateSummary,
    find_workflows,
    format_body,
    format_title,
    names_release,
    shorten,
    summarize_update,
)
from packer_toolkit.template.saved_update import (
    apply_update,
    list_changed_paths,
    read_update,
    require_current,
    require_release,
    save_update,
)
from packer_toolkit.template.update_branch import (
    BRANCH,
    UpdateBranch,
    build_authorization,
    commit_update,
    get_push_url,
    keep_conflicting_files,
    write_repository_tree,
)
from rig.repositories.template import git

WORKFLOW: Files = {**NEW, ".github/workflows/build.yml": "on: push\n"}


@pytest.fixture
def plain(tmp_path: Path) -> Project:
    """Return a project with a conflict, whose origin is a bare repository."""
    project = create_project(tmp_path / "web")
    write_files(project.folder, {"build.hcl": "one\ntwo\nours\nfour\nfive\n"})
    write_files(project.folder, {"old-name.txt": "ours, and of another length\n"})
    commit_all(project.folder)
    git(tmp_path, "clone", "--quiet", "--bare", str(project.folder), "origin.git")
    git(project.folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    return Project.read(project.folder)


def compute(project: Project, new: Files = WORKFLOW) -> tuple[UpdateSummary, str]:
    """Return the summary and the tree of an update."""
    with plan(project, new=new) as update:
        tree = write_repository_tree(update, keep_conflicting_files(update))
        return summarize_update(update, "- News for @octocat"), tree


def test_a_commit_has_no_conflict_markers(plain: Project) -> None:
    """The tree has the team's version of each conflict, and the files of the user stay."""
    _, tree = compute(plain)
    assert git(plain.folder, "show", f"{tree}:build.hcl").splitlines()[2] == "ours"
    assert git(plain.folder, "show", f"{tree}:lib/added.txt") == "added"
    commit = commit_update(plain, tree, "v1.1.0")
    author = git(plain.folder, "log", "-1", "--format=%an %P%n%B", commit)
    assert author.startswith(f"github-actions[bot] {plain.head}\nUpdate from the template: v1.0.0")
    assert "[skip ci]" in author
    assert git(plain.folder, "status", "--porcelain") == ""


def test_a_project_in_a_folder_changes_only_that(tmp_path: Path) -> None:
    """The tree of the whole repository keeps the files beside the project."""
    git(tmp_path, "init", "--quiet", "--template=", "-b", "main")
    write_files(tmp_path, {"beside.txt": "stays\n"})
    project = create_project(tmp_path / "images/web")
    _, tree = compute(project)
    names = git(tmp_path, "ls-tree", "-r", "--name-only", tree).split()
    assert "beside.txt" in names
    assert "images/web/lib/added.txt" in names
    require_release(project, tree, "v1.1.0")


def test_a_branch_is_pushed_once(
    plain: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same update is not pushed twice, and commits of others are not overwritten."""
    _, tree = compute(plain)
    commit = commit_update(plain, tree, "v1.1.0")
    branch = UpdateBranch(plain, BRANCH)
    assert branch.read_tip() == ""
    assert branch.push(commit) == commit
    assert git(tmp_path / "origin.git", "rev-parse", BRANCH) == commit
    assert git(plain.folder, "for-each-ref", "refs/packer-toolkit") == ""
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2037-01-01T00:00:00Z")
    later = commit_update(plain, tree, "v1.1.0")
    assert later != commit
    assert branch.push(later) == commit
    git(plain.folder, "checkout", "--quiet", "-b", "resolved", commit)
    git(plain.folder, "commit", "--quiet", "--allow-empty", "-m", "Resolved")
    git(plain.folder, "push", "--quiet", "origin", f"resolved:{BRANCH}")
    with pytest.raises(CommandFailedError, match="has commits of others, so it was not changed"):
        branch.push(commit)


def test_a_push_that_fails_is_one_line(plain: Project, tmp_path: Path) -> None:
    """A refusal of GitHub names the secret to create; another one names git's reason."""
    hook = tmp_path / "origin.git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho refusing to allow this to update workflow x >&2\nexit 1\n")
    hook.chmod(0o755)
    _, tree = compute(plain)
    commit = commit_update(plain, tree, "v1.1.0")
    with pytest.raises(RemoteError, match="create the secret TEMPLATE_UPDATE_TOKEN"):
        UpdateBranch(plain, BRANCH).push(commit)
    (tmp_path / "origin.git").rename(tmp_path / "gone.git")
    with pytest.raises(RemoteError, match=r"ls-remote of .* failed: .*; check the token's perm"):
        UpdateBranch(plain, BRANCH).push(commit)
    git(plain.folder, "remote", "remove", "origin")
    with pytest.raises(SetupError, match="git remote add origin URL"):
        get_push_url(plain)


def test_a_token_is_in_the_environment_only() -> None:
    """Git gets a token for a web address by variables, and none for other addresses."""
    found = build_authorization("https://user@git.example/a/b", "token")
    assert found["GIT_CONFIG_KEY_0"] == "http.https://git.example/.extraheader"
    assert build_authorization("git@git.example:a/b", "token") == {}
    assert build_authorization("https://git.example/a/b", "") == {}


def test_a_saved_update_is_applied_without_running_it(plain: Project) -> None:
    """The next job gets the same tree, and refuses another commit, release or result."""
    summary, tree = compute(plain)
    update = read_update(save_update(plain, tree, summary))
    assert update.summary == summary
    assert apply_update(plain, update, "v1.1.0") == tree
    assert ".github/workflows/build.yml" in list_changed_paths(plain, tree)
    require_current(plain, "main")
    for values, message in (
        ({"base": "0" * 40}, "is for commit 000000000000, and"),
        ({"tree": "1" * 40}, "results in other files than the job that computed it"),
        ({"patch": b"nonsense"}, "does not apply to|results in other files"),
        ({"summary": UpdateSummary("v1.0.0", "latest")}, "which is not v1.1.0"),
        ({"summary": UpdateSummary("v0.9.0", "v1.1.0")}, "and this repository is at v1.0.0"),
    ):
        changed = type(update)(**{**vars(update), **values})
        with pytest.raises(SetupError, match=message):
            apply_update(plain, changed, "v1.1.0")
    git(plain.folder, "push", "--quiet", "origin", f"{plain.head}:refs/heads/other")
    write_files(plain.folder, {"run.sh": "later\n"})
    commit_all(plain.folder)
    git(plain.folder, "push", "--quiet", "origin", "main")
    with pytest.raises(SetupError, match="main is no longer at"):
        require_current(plain, "main")


def test_an_update_of_another_template_is_refused(plain: Project) -> None:
    """A tree must record the release, and the address of the same template."""
    _, tree = compute(plain)
    require_release(plain, tree, "v1.1.0")
    with pytest.raises(SetupError, match=r"does not record v1.2.0 of the same template"):
        require_release(plain, tree, "v1.2.0")
    git(plain.folder, "rm", "--quiet", "--cached", ANSWERS_FILE)
    without = git(plain.folder, "write-tree")
    with pytest.raises(SetupError, match="does not record"):
        require_release(plain, without, "v1.1.0")


@pytest.mark.parametrize("update", ["{", '{"schema": 2}', '{"schema": 1, "base": "x"}', "[]"])
def test_a_line_that_is_no_update_is_refused(update: str) -> None:
    """A line of another schema, or with parts missing, is one line."""
    line = job_files.pack_files({"update.json": update.encode()})
    with pytest.raises(SetupError, match="the saved update is not valid"):
        read_update(line)


def test_a_line_is_passed_by_a_file(tmp_path: Path) -> None:
    """A line goes through a file; too long, empty and missing ones are refused."""
    file = tmp_path / "line"
    job_files.write_line("abc", str(file), "it")
    assert job_files.read_line(str(file), "it").strip() == "abc"
    file.write_text("\n")
    with pytest.raises(SetupError, match="it is empty; check the job that writes it"):
        job_files.read_line(str(file), "it")
    with pytest.raises(SetupError, match="it cannot be read from"):
        job_files.read_line(str(tmp_path / "none"), "it")
    with pytest.raises(SetupError, match="cannot be written"):
        job_files.write_line("abc", str(tmp_path), "it")
    with pytest.raises(SetupError, match="too large to be passed from job to job"):
        job_files.require_line_fits("x" * 500_000, "it")


def test_the_text_shows_conflicts_and_escapes_the_release(plain: Project) -> None:
    """The text has conflicts with their diffs, notes, workflows, and no mention."""
    summary, tree = compute(plain)
    text = format_body(summary, find_workflows(list_changed_paths(plain, tree)))
    assert format_title(summary).startswith("Update from the template to v1.1.0 (")
    assert "- `.github/workflows/build.yml`" in text
    assert "- `build.hcl`: both changed the same lines\n" in text
    assert "+THREE" in text
    assert "@octocat" not in text
    assert names_release("Another title", text, "v1.1.0")
    assert not names_release("Update to v1.1.0-rc", "", "v1.1.0")


def test_the_text_without_conflicts_has_the_notes() -> None:
    """Answers, renamed and deleted files are notes, with a period each."""
    summary = UpdateSummary(
        "v1.0.0",
        "v1.1.0",
        new={"size": "small"},
        changed={"os": ["a", "b"]},
        gone=["old"],
        renamed={"a.txt": "b.txt"},
        kept_deleted=["c.txt"],
    )
    text = format_body(summary)
    for line in (
        "There are no conflicts.",
        "- New question `size`: `small`.",
        "- Answer `os` changed from `a` to `b`.",
        "- No longer asked: `old`.",
        "- `a.txt` was renamed to `b.txt`, with your changes in it.",
        "- `c.txt` stays deleted, although the release changes it.",
        "The changelog has no entry for this release.",
    ):
        assert line in text
    assert format_title(summary) == "Update from the template to v1.1.0"


def test_long_texts_are_cut() -> None:
    """A pull request of many conflicts stays below GitHub's limit."""
    diff = "\n".join("`````" for _ in range(1_500))
    notes = [ConflictNote(f"{number}.txt", "x", diff) for number in range(50)]
    text = format_body(UpdateSummary("v1", "v2", conflicts=notes, changelog="x\n" * 50_000))
    assert len(text) < 65_536
    assert "The changes of the other files are too long" in text
    assert shorten("a\nb\nc", 3) == "a\n… cut: too long for a pull request"


def test_a_summary_of_another_job_is_not_trusted() -> None:
    """Each part of a summary becomes a printable string of limited length."""
    summary = UpdateSummary("v1", "v2\n\x1b[31m", changed={"a": ["1", "2"]}, gone=["x"])
    data = json.loads(json.dumps(dataclasses.asdict(summary)))
    read = UpdateSummary.from_json(data)
    assert read.release == "v2 \\x1b[31m"
    for name, value in (("release", 3), ("gone", {}), ("new", [])):
        with pytest.raises(ValueError, match="validation error"):
            UpdateSummary.from_json({**data, name: value})


class FakePull:
    """A pull request, with what was changed in it."""

    def __init__(self, number: int, state: str, title: str, ref: str = BRANCH) -> None:
        self.number = number
        self.state = state
        self.title = title
        self.body = ""
        self.merged = False
        self.merged_at = None
        self.html_url = f"https://github.example/{number}"
        self.head = SimpleNamespace(ref=ref)

    def edit(self, title: str, body: str) -> None:
        """Change title and text."""
        self.title, self.body = title, body


class FakeRepository:
    """A repository on GitHub with pull requests."""

    def __init__(self, *pulls: FakePull) -> None:
        self.pulls = [*pulls]
        self.asked: list[str] = []

    def get_pulls(self, state: str, head: str, base: str) -> list[FakePull]:
        """Return the pull requests of a state."""
        self.asked.append(f"{head} -> {base}")
        return [pull for pull in self.pulls if pull.state == state]

    def create_pull(self, base: str, head: str, title: str, body: str) -> FakePull:
        """Open a pull request."""
        pull = FakePull(len(self.pulls) + 1, "open", title)
        pull.body = f"{head} -> {base}: {body}"
        self.pulls.append(pull)
        return pull


def list_pulls_of(repository: FakeRepository) -> UpdatePullRequests:
    """Return the pull requests of the branch in a repository."""
    access: Any = SimpleNamespace(repository="acme/web", connect=lambda: repository)
    return UpdatePullRequests(access, BRANCH, "main")


def test_one_pull_request_is_opened_and_edited() -> None:
    """The first update opens a pull request, and the next one changes its text."""
    repository = FakeRepository(FakePull(1, "open", "Another", ref="another"))
    pulls = list_pulls_of(repository)
    assert pulls.open_or_edit("Update to v1.1.0", "text") == "https://github.example/2"
    assert repository.asked == [f"acme:{BRANCH} -> main"]
    assert repository.pulls[1].body == f"{BRANCH} -> main: text"
    assert pulls.open_or_edit("Update to v1.2.0", "more") == "https://github.example/2"
    assert (repository.pulls[1].title, repository.pulls[1].body) == ("Update to v1.2.0", "more")


def test_a_closed_pull_request_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull request that was closed without a merge is found, unless the user asks for a new one.

    A merged one, one of another release, and a closed one beside an open one are not.
    """
    closed = FakePull(1, "closed", "Update to v1.1.0")
    pulls = list_pulls_of(FakeRepository(closed))
    assert pulls.find_closed("v1.1.0") == "https://github.example/1"
    assert pulls.find_closed("v1.2.0") == ""
    monkeypatch.setenv("GITHUB_EVENT_NAME", "workflow_dispatch")
    assert pulls.find_closed("v1.1.0") == ""
    monkeypatch.delenv("GITHUB_EVENT_NAME")
    opened = FakePull(2, "open", "Update to v1.1.0")
    assert list_pulls_of(FakeRepository(closed, opened)).find_closed("v1.1.0") == ""
    closed.merged = True
    assert pulls.find_closed("v1.1.0") == ""
