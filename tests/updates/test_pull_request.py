"""`packer-toolkit template-pr`: one pull request, without a marker in any commit."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.template.source import list_releases
from packer_toolkit.template.update_branch import build_authorization
from rig.github import GitHub, Repository
from rig.repositories.template import git
from rig.run.toolkit_process import Said, Toolkit

pytestmark = pytest.mark.integration

NAME = "globex/packer-ami-web"
TOKEN = "ghs_0123456789abcdefghij0123456789abcdef"  # noqa: S105 - nobody's
BRANCH = "update-from-template"


@pytest.fixture
def hub(github: GitHub) -> Repository:
    """Return the repository on the stand-in of GitHub."""
    return github.repository(NAME)


@pytest.fixture
def remote(project: Path, tmp_path: Path) -> Path:
    """Return the bare repository that the project was checked out from."""
    bare = tmp_path / "remote.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(project), str(bare))
    git(project, "remote", "add", "origin", str(bare))
    return bare


@pytest.fixture
def run(project: Path, remote: Path, github: GitHub, hub: Repository) -> Callable[..., Said]:
    """Return the command as the job of the workflow calls it."""
    toolkit = Toolkit(
        project,
        {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_REF_NAME": "main",
            "GITHUB_TOKEN": TOKEN,
            "GIT_CONFIG_GLOBAL": "/dev/null",
        },
    )
    return lambda *arguments, **more: toolkit.run("template-pr", *arguments, **more)


def pulls(hub: Repository) -> list[dict[str, Any]]:
    """Return the open pull requests."""
    return [{**item, **item["_pull"]} for item in hub.issues.values() if "_pull" in item]


def commit(repository: Path, path: str, text: str) -> None:
    """Write a file, commit it and push it to main."""
    (repository / path).write_text(text)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", f"Change {path}")
    git(repository, "push", "--quiet", "origin", "main")


def marked(remote: Path) -> list[bytes]:
    """Return the markers of conflicts in all commits of a repository."""
    command = ["git", "-C", str(remote), "log", "-p", "--all"]
    log = subprocess.run(command, check=True, capture_output=True).stdout
    return re.findall(rb"^[+ -](?:<<<<<<<|>>>>>>>).*$", log, re.MULTILINE)


def text(remote: Path, path: str) -> str:
    """Return a file of the pull request's branch."""
    return git(remote, "show", f"{BRANCH}:{path}")


def test_the_branch_is_the_update_and_the_text_its_changelog(
    run: Callable[..., Said], remote: Path, hub: Repository, made_by: dict[str, Path]
) -> None:
    """One commit on top of main; what is checked out stays as it is."""
    said = run()
    (pull,) = pulls(hub)
    assert pull["title"] == "Update from the template to v2.1.0"
    assert "There are no conflicts." in pull["body"]
    assert "- Change of v1.1.0." in pull["body"]
    assert (pull["head"]["ref"], pull["base"]["ref"]) == (BRANCH, "main")
    assert git(remote, "rev-parse", f"{BRANCH}^") == git(remote, "rev-parse", "main")
    assert git(remote, "rev-parse", f"{BRANCH}^{{tree}}") == git(
        made_by["v2.1.0"], "rev-parse", "HEAD^{tree}"
    )
    assert f"commit={git(remote, 'rev-parse', BRANCH)}" in said.stdout
    assert "updated=true" in said.stdout


def test_no_workflow_of_the_release_starts_before_a_review(
    run: Callable[..., Said], project: Path, remote: Path
) -> None:
    """The branch is created without the update, whose commit then skips workflows (review C3)."""
    hook = remote / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncat >>pushes\n")
    hook.chmod(0o755)
    run()
    pushes = [line.split()[:2] for line in (remote / "pushes").read_text().splitlines()]
    head, update = git(project, "rev-parse", "HEAD"), git(remote, "rev-parse", BRANCH)
    assert pushes == [["0" * 40, head], [head, update]]
    assert git(remote, "log", "-1", "--format=%b", BRANCH) == "[skip ci]"


def test_dry_run_opens_nothing(
    run: Callable[..., Said], remote: Path, hub: Repository, github: GitHub
) -> None:
    """It shows title and text; GitHub is not even asked."""
    said = run("--dry-run").stdout
    assert said.startswith("would open: Update from the template to v2.1.0\n\n")
    assert "- Change of v1.1.0." in said
    as_json = json.loads(run("--dry-run", "--json").stdout)
    assert (as_json["updated"], as_json["commit"], as_json["dry_run"]) == (False, None, True)
    assert "success" in run("--dry-run", "--checked=success", "--commit=abc").stdout
    assert (github.requests, pulls(hub)) == ([], [])
    assert git(remote, "branch", "--list", BRANCH) == ""


def test_json_tells_what_was_opened(
    run: Callable[..., Said], project: Path, remote: Path, hub: Repository
) -> None:
    """With the files to decide on."""
    commit(project, "gone.txt", "ours\n")
    said = json.loads(run("--json").stdout)
    (pull,) = pulls(hub)
    assert said["conflicts"] == ["gone.txt"]
    assert (said["title"], said["text"]) == (pull["title"], pull["body"])
    assert (said["updated"], said["release"]) == (True, "v2.1.0")
    assert said["commit"] == git(remote, "rev-parse", BRANCH)
    assert str(said["url"]).endswith(f"/{pull['number']}")


def test_nothing_here_is_changed(run: Callable[..., Said], project: Path) -> None:
    """Neither the tree nor a branch of it."""
    refs = ["for-each-ref", "refs/heads", "refs/tags"]
    before = git(project, *refs), git(project, "status", "--porcelain")
    run()
    assert (git(project, *refs), git(project, "status", "--porcelain")) == before


def test_conflicts_keep_the_teams_version_and_are_explained(
    run: Callable[..., Said], project: Path, remote: Path, hub: Repository
) -> None:
    """No marker is in any commit; the text shows what the release changes in each file."""
    commit(project, "build.hcl", (project / "build.hcl").read_text().replace("build 3\n", "ours\n"))
    commit(project, "gone.txt", "ours\n")
    commit(project, "added.txt", "ours ``` and\n")
    commit(
        project, "old-name.txt", (project / "old-name.txt").read_text().replace("named 5", "our")
    )
    run()
    (pull,) = pulls(hub)
    assert pull["title"] == "Update from the template to v2.1.0 (4 files to decide on)"
    for path in ("build.hcl", "gone.txt", "added.txt", "old-name.txt"):
        assert text(remote, path) == git(project, "show", f"main:{path}")
    assert marked(remote) == []
    # The other files are updated.
    assert text(remote, "sources.hcl").endswith("end")
    body = pull["body"]
    assert "- `build.hcl`: both changed the same lines" in body
    assert "- `gone.txt`: the release removes it, and you changed it" in body
    assert "-build 3\n+build 3, better" in body
    assert "-named 5\n+named 5, renamed" in body
    assert "new-name.txt" in body
    assert "new-name.txt" not in git(remote, "ls-tree", "-r", "--name-only", BRANCH)


def test_a_second_run_refreshes_the_same_pull_request(
    run: Callable[..., Said], project: Path, remote: Path, hub: Repository, github: GitHub
) -> None:
    """When main has moved, or the text is another; else nothing is pushed or written."""
    run("--to", "v1.1.0")
    first = git(remote, "rev-parse", BRANCH)
    asked = len(github.asked("PATCH", "/pulls/"))
    run("--to", "v1.1.0")
    assert git(remote, "rev-parse", BRANCH) == first
    assert len(github.asked("PATCH", "/pulls/")) == asked
    commit(project, "own.txt", "ours\n")
    run()
    (pull,) = pulls(hub)
    assert pull["title"] == "Update from the template to v2.1.0"
    assert git(remote, "rev-parse", f"{BRANCH}^") == git(remote, "rev-parse", "main")
    assert text(remote, "own.txt") == "ours"


def test_a_branch_that_somebody_has_committed_to_is_left_alone(
    run: Callable[..., Said], project: Path, remote: Path, tmp_path: Path
) -> None:
    """A resolved conflict there is somebody's work."""
    run()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", BRANCH, str(remote), str(clone))
    (clone / "build.hcl").write_text("resolved\n")
    git(clone, "commit", "--quiet", "--all", "-m", "Resolve")
    git(clone, "push", "--quiet")
    tip = git(remote, "rev-parse", BRANCH)
    commit(project, "own.txt", "ours\n")
    said = run(code=1)
    assert "the branch update-from-template has commits of others" in said.stderr
    assert git(remote, "rev-parse", BRANCH) == tip


def test_up_to_date_opens_nothing(run: Callable[..., Said], project: Path, hub: Repository) -> None:
    """And says so to the workflow."""
    subprocess.run(["packer-toolkit", "template-update"], cwd=project, check=True)
    commit(project, "own.txt", "ours\n")
    said = run()
    assert "updated=false" in said.stdout
    assert pulls(hub) == []


def test_in_a_sub_folder_only_that_is_updated(
    made_by: dict[str, Path], tmp_path: Path, github: GitHub, hub: Repository
) -> None:
    """The branch has the other folders as they are."""
    top = tmp_path / "several"
    top.mkdir()
    git(top, "init", "--quiet", "-b", "main")
    git(made_by["v1.0.0"], "checkout-index", "--all", f"--prefix={top}/images/web/")
    (top / "other.txt").write_text("other\n")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "-m", "Several")
    git(tmp_path, "clone", "--quiet", "--bare", str(top), "remote.git")
    git(top, "remote", "add", "origin", str(tmp_path / "remote.git"))
    env = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": NAME, "GITHUB_TOKEN": TOKEN}
    Toolkit(top / "images/web", env).run("template-pr")
    listed = git(tmp_path / "remote.git", "ls-tree", "-r", "--name-only", BRANCH).split("\n")
    assert "other.txt" in listed
    assert "images/web/added.txt" in listed
    assert "added.txt" not in listed


def test_the_token_is_seen_nowhere(
    project: Path, github: GitHub, hub: Repository, tmp_path: Path
) -> None:
    """Neither in a process's arguments nor in git's configuration or what is printed."""
    calls = tmp_path / "calls"
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$@" >>{calls}\nexec /usr/bin/git "$@"\n')
    shim.chmod(0o755)
    url = "http://127.0.0.1:9/globex/packer-ami-web.git"
    git(project, "remote", "add", "origin", url)
    env = {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": NAME,
        "GITHUB_TOKEN": TOKEN,
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
    }
    said = Toolkit(project, env).run("template-pr", code=4)
    assert f"git ls-remote of {url} failed" in said.stderr
    seen = calls.read_text() + said.stdout + said.stderr + (project / ".git/config").read_text()
    assert "ls-remote" in seen
    assert TOKEN not in seen


def test_git_gets_the_token_in_its_environment() -> None:
    """For this host alone, and beside what is set already."""
    found = build_authorization("https://github.example/team/repository.git", "secret")
    assert found["GIT_CONFIG_KEY_0"] == "http.https://github.example/.extraheader"
    assert found["GIT_CONFIG_VALUE_0"].startswith("AUTHORIZATION: basic ")
    assert build_authorization("git@github.example:team/repository.git", "secret") == {}
    assert build_authorization("/srv/remote.git", "secret") == {}


def test_a_refused_change_of_workflows_says_which_secret_is_missing(
    run: Callable[..., Said], remote: Path
) -> None:
    """As GitHub refuses it."""
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\necho 'refusing to allow a GitHub App to create or update workflow"
        " `.github/workflows/x.yml` without `workflows` permission' >&2\nexit 1\n"
    )
    hook.chmod(0o755)
    said = run(code=4)
    assert "create the secret TEMPLATE_UPDATE_TOKEN" in said.stderr
    assert said.stderr.count("\n") == 1


def test_the_result_of_checks_is_noted_at_the_commit(
    run: Callable[..., Said], hub: Repository
) -> None:
    """Because GitHub starts no workflow for its own token."""
    run("--checked", "failure", "--commit", "1" * 40)
    (status,) = hub.statuses["1" * 40]
    assert (status["state"], status["context"]) == ("failure", "update-from-template")


def test_only_the_branch_of_exactly_this_name_is_read(
    run: Callable[..., Said], project: Path, remote: Path, hub: Repository
) -> None:
    """Branches and tags whose names end like that of the branch do not count (review C18)."""
    for name in (
        "heads/a",
        "heads/x/refs/heads",
        "heads/refs/heads",
        "tags/refs/heads",
        "refs/heads",
    ):
        git(remote, "update-ref", f"refs/{name}/{BRANCH}", git(project, "rev-parse", "HEAD"))
    run()
    assert git(remote, "rev-parse", f"refs/heads/{BRANCH}^") == git(remote, "rev-parse", "main")
    # The same with the branch among them.
    commit(project, "own.txt", "ours\n")
    run()
    assert git(remote, "rev-parse", f"refs/heads/{BRANCH}^") == git(remote, "rev-parse", "main")
    assert len(pulls(hub)) == 1


MONDAY = {"GITHUB_EVENT_NAME": "schedule"}


def delete_branch(project: Path, remote: Path) -> None:
    """Delete the branch of the pull request, as the button on its page does."""
    del project
    git(remote, "update-ref", "-d", f"refs/heads/{BRANCH}")


def move_main(project: Path, remote: Path) -> None:
    """Push a commit to main, which a refresh would bring to the branch."""
    del remote
    commit(project, "own.txt", "ours\n")


@pytest.mark.parametrize(
    ("edit", "meanwhile"),
    [
        ({}, None),
        ({}, delete_branch),
        ({}, move_main),
        ({"title": "PLAT-7: not now"}, delete_branch),
        ({"body": "We wait."}, move_main),
        ({"title": "[wait] Update from the template to v2.1.0 (3 files)", "body": None}, None),
        ({"state_reason": "not_planned"}, None),
    ],
)
def test_a_closed_pull_request_stays_closed(
    run: Callable[..., Said],
    project: Path,
    remote: Path,
    hub: Repository,
    edit: dict[str, Any],
    meanwhile: Callable[[Path, Path], None] | None,
) -> None:
    """A pull request that was closed for a release is not opened or pushed again (review R8)."""
    run(**MONDAY)
    hub.close_by_hand(1)
    hub.issues[1] |= edit
    if meanwhile:
        meanwhile(project, remote)
    refs = git(remote, "for-each-ref", "refs/heads")
    for _ in range(2):
        said = run(**MONDAY)
        assert "updated=false" in said.stdout
        assert "commit=\n" in said.stdout
        assert "was closed" in said.stdout
        assert [pull["state"] for pull in pulls(hub)] == ["closed"]
        assert git(remote, "for-each-ref", "refs/heads") == refs
    as_json = json.loads(run("--json", **MONDAY).stdout)
    assert (as_json["updated"], as_json["commit"]) == (False, None)
    assert as_json["url"].endswith("/1")


def test_a_tag_that_looks_like_a_release_is_not_one(
    tmp_path: Path, made_by: dict[str, Path]
) -> None:
    """Only refs/tags/NAME is a tag of the template, whatever other refs end with (review C18)."""
    bare = tmp_path / "template.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(made_by["v1.0.0"]), str(bare))
    for name in ("tags/v1.0.0", "tags/refs/tags/v9.0.0", "heads/refs/tags/v9.0.1", "x/tags/v9.0.2"):
        git(bare, "update-ref", f"refs/{name}", git(bare, "rev-parse", "HEAD"))
    assert [release.tag for release in list_releases(str(bare))] == ["v1.0.0"]


def test_the_next_release_opens_a_new_pull_request(
    run: Callable[..., Said], remote: Path, hub: Repository
) -> None:
    """A closed pull request of an older release does not hold back newer ones (review R8)."""
    run("--to=v1.1.0", **MONDAY)
    hub.close_by_hand(1)
    run("--to=v2.1.0", **MONDAY)
    assert [(pull["state"], pull["title"]) for pull in pulls(hub)] == [
        ("closed", "Update from the template to v1.1.0"),
        ("open", "Update from the template to v2.1.0"),
    ]
    # Only the whole name of a release counts.
    hub.close_by_hand(2)
    hub.issues[2]["body"] = ""
    for title in ("to v2.1.0-rc1", "to v2.1.0.1", "to v12.1.0", "to v2.1.01"):
        hub.issues[2]["title"] = title
        hub.issues.pop(3, None)
        run(**MONDAY)
        assert 3 in hub.issues, title


def test_a_user_can_ask_for_a_closed_pull_request_again(
    run: Callable[..., Said], hub: Repository
) -> None:
    """A run that the user starts opens a new one; so does one after a merge (review R8)."""
    run(**MONDAY)
    hub.close_by_hand(1)
    run(GITHUB_EVENT_NAME="workflow_dispatch")
    assert [pull["state"] for pull in pulls(hub)] == ["closed", "open"]
    # The open one is refreshed, whatever was closed before.
    hub.issues[2]["title"] = "Other"
    run(**MONDAY)
    assert hub.issues[2]["title"] == "Update from the template to v2.1.0"
    # Merged and reverted: the repository needs the release again.
    hub.merge_pull(2)
    run(**MONDAY)
    assert [pull["state"] for pull in pulls(hub)] == ["closed", "closed", "open"]


def test_a_long_text_is_cut(
    run: Callable[..., Said], project: Path, hub: Repository, remote: Path
) -> None:
    """GitHub takes 65,536 characters."""
    for number in range(30):
        commit(project, f"own-{number}.txt", "x\n" * 10)
    from packer_toolkit.template.pull_request import shorten

    assert len(shorten("line\n" * 50_000, 60_000)) < 60_100
