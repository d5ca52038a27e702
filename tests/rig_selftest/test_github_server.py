"""The stand-in answers as GitHub does, to the client that the toolkit uses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from github import Auth, Github, GithubException

from rig.github import GitHub

NAME = "globex/packer-ami-web"


@pytest.fixture(params=["url", "enterprise_url"])
def client(request: pytest.FixtureRequest, github: GitHub) -> Github:
    """Return a client, for each form of the address."""
    github.repository(NAME)
    base = getattr(github, request.param)
    return Github(
        base_url=base,
        auth=Auth.Token("t"),
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )


def test_issues_are_opened_found_commented_closed(client: Github, github: GitHub) -> None:
    """And pull requests are among them."""
    repository = client.get_repo(NAME)
    github.repository(NAME).add_pull("Update", "update", "main")
    issue = repository.create_issue("Fails", body="b", labels=["x"])
    repository.create_issue("Other")
    assert [found.number for found in repository.get_issues(labels=["x"])] == [issue.number]
    assert {i.number: bool(i.pull_request) for i in repository.get_issues()} == {
        1: True,
        2: False,
        3: False,
    }
    issue.create_comment("again")
    issue.edit(state="closed", state_reason="completed")
    assert github.repository(NAME).said(2) == ["again"]
    assert [found.number for found in repository.get_issues(state="closed")] == [2]
    assert [found.title for found in client.search_issues(f"repo:{NAME} fails")] == ["Fails"]


def test_lists_come_in_pages(client: Github, github: GitHub) -> None:
    """The client follows the Link header to the last one."""
    for number in range(250):
        github.repository(NAME).add_issue(f"number {number}", labels=["x"])
    assert len(list(client.get_repo(NAME).get_issues(labels=["x"]))) == 250
    pages = [request.query.get("page") for request in github.asked("GET", "/issues$")]
    assert len(pages) == 9  # of 30 each


def test_releases_have_assets(client: Github, github: GitHub, tmp_path: Path) -> None:
    """They go up and come back, and a second one of the same name is refused."""
    github.repository(NAME).add_release("v1.0.0")
    release = client.get_repo(NAME).get_release("v1.0.0")
    file = tmp_path / "manifest.json"
    file.write_bytes(b'{"a": 1}')
    asset = release.upload_asset(str(file))
    assert github.repository(NAME).asset("v1.0.0", "manifest.json") == b'{"a": 1}'
    with pytest.raises(GithubException) as refused:
        release.upload_asset(str(file))
    assert refused.value.status == 422
    assert client.get_repo(NAME).get_latest_release().get_assets()[0].name == "manifest.json"
    asset.delete_asset()
    assert not list(release.get_assets())


def test_files_pulls_runs_and_statuses(client: Github, github: GitHub) -> None:
    """What updating and watching repositories asks for."""
    stored = github.repository(NAME)
    stored.write("a/b.txt", b"old")
    repository = client.get_repo(NAME)
    content = repository.get_contents("a/b.txt")
    assert not isinstance(content, list)
    assert content.decoded_content == b"old"
    repository.update_file("a/b.txt", "change", "new", content.sha)
    assert stored.files["main"]["a/b.txt"] == b"new"
    pull = repository.create_pull(base="main", head="update", title="T", body="B")
    assert [p.number for p in repository.get_pulls(head="globex:update")] == [pull.number]
    run = stored.add_run(jobs=[{"name": "build", "conclusion": "failure", "steps": []}])
    assert [job.name for job in repository.get_workflow_run(run["id"]).jobs()] == ["build"]
    commit = repository.get_commit("0" * 40)
    commit.create_status("success", description="good", context="x")
    assert [s.description for s in commit.get_statuses()] == ["good"]


@pytest.mark.parametrize("status", [403, 404, 410, 422, 429, 500])
def test_faults_are_answered_as_ordered(client: Github, github: GitHub, status: int) -> None:
    """Once, when one is ordered; the request is not carried out."""
    fault = github.fault("POST", "/issues$", status, first=1, headers={"Retry-After": "7"})
    repository = client.get_repo(NAME)
    with pytest.raises(GithubException) as refused:
        repository.create_issue("Fails")
    assert refused.value.status == status
    assert (refused.value.headers or {}).get("retry-after") == "7"
    assert repository.create_issue("Fails").number == 1
    assert fault.hits == 1


def test_answer_can_be_lost(client: Github, github: GitHub) -> None:
    """The issue is there, and the client does not know."""
    github.fault("POST", "/issues$", 500, first=1, after=True)
    with pytest.raises(GithubException):
        client.get_repo(NAME).create_issue("Fails")
    assert len(github.repository(NAME).open_issues()) == 1


def test_issues_can_be_switched_off(client: Github, github: GitHub) -> None:
    """410, as GitHub answers."""
    github.repository(NAME).has_issues = False
    with pytest.raises(GithubException) as refused:
        client.get_repo(NAME).create_issue("Fails")
    assert refused.value.status == 410


def test_token_may_only_what_it_is_granted(client: Github, github: GitHub) -> None:
    """As a job's token, by its permissions."""
    github.permissions["t"] = {"issues": "read", "metadata": "read"}
    repository = client.get_repo(NAME)
    assert list(repository.get_issues()) == []
    with pytest.raises(GithubException) as refused:
        repository.create_issue("Fails")
    assert refused.value.status == 403


def test_requests_are_answered_side_by_side(client: Github, github: GitHub) -> None:
    """A slow one holds up none of the others."""
    github.fault("GET", "/labels$", 500, first=1, delay=1)
    repository = client.get_repo(NAME)
    done: list[str] = []

    def ask(name: str, what: Callable[[], object]) -> None:
        try:
            what()
        except GithubException:
            pass
        finally:
            done.append(name)

    slow = threading.Thread(target=ask, args=("slow", lambda: list(repository.get_labels())))
    slow.start()
    ask("fast", lambda: client.get_repo(NAME))
    slow.join()
    assert done == ["fast", "slow"]
