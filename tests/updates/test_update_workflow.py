"""The workflow that opens the pull request, run with act: no commit of it holds a marker."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rig.act import Act
from rig.github import GitHub, Repository
from rig.template import git, release, render, snapshot

pytestmark = pytest.mark.xdist_group("act")

NAME = "solstice/packer-ami-web"
BRANCH = "update-from-template"
JOBS = ("fetch", "render", "update", "check", "note")
WORKFLOW = ".github/workflows/update-from-template.yml"
HOME: dict[str, Any] = {"full_name": NAME, "default_branch": "main", "fork": False}
MONDAY = {"repository": HOME, "schedule": "1 1 * * 1", "ref": "refs/heads/main"}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return today's template with v1.1.0, which changes three files and adds one."""
    template = snapshot(tmp_path_factory.mktemp("releases") / "template")
    for path in ("build.pkr.hcl", "sources.pkr.hcl", "provisioners/cleanup.sh"):
        file = template / "template" / path
        file.write_text(f"# Of the release.\n{file.read_text()}")
    (template / "template/new.txt").write_text("new\n")
    changelog = template / "CHANGELOG.md"
    changelog.write_text(f"# Changelog\n\n## 1.1.0\n\n- Brings `new.txt`.\n{changelog.read_text()}")
    release(template, "v1.1.0")
    return template


@pytest.fixture
def remote(releases: Path, tmp_path: Path) -> Path:
    """Return a bare repository, with changes of the team's in what the release changes."""
    project = render(releases, tmp_path / "packer-ami-web", {"image_name": "web"}, vcs_ref="v1.0.0")
    for path in ("build.pkr.hcl", "provisioners/cleanup.sh"):
        file = project / path
        file.write_text(f"# Of the team.\n{file.read_text()}")
    git(project, "commit", "--quiet", "--all", "-m", "Ours")
    git(tmp_path, "clone", "--quiet", "--bare", str(project), "remote.git")
    git(project, "remote", "add", "origin", str(tmp_path / "remote.git"))
    return tmp_path / "remote.git"


@pytest.fixture
def act(remote: Path, github: GitHub, tmp_path: Path) -> Act:
    """Return the workflow in the checkout of that repository."""
    github.repository(NAME)
    act = Act(
        tmp_path / "packer-ami-web",
        tmp_path / "act",
        {
            "ACT_ORIGIN": str(remote),
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_REF_NAME": "main",
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.example",
        },
    )
    act.directory.mkdir()
    return act


def marked(remote: Path) -> list[bytes]:
    """Return the markers of conflicts in all commits of a repository."""
    command = ["git", "-C", str(remote), "log", "-p", "--all"]
    log = subprocess.run(command, check=True, capture_output=True).stdout
    return re.findall(rb"^[+ -](?:<<<<<<<|=======|>>>>>>>).*$", log, re.MULTILINE)


def pulls(hub: Repository) -> list[dict[str, Any]]:
    """Return the pull requests."""
    return [{**item, **item["_pull"]} for item in hub.issues.values() if "_pull" in item]


def test_a_conflict_rich_update_becomes_one_pull_request_without_a_marker(
    act: Act, remote: Path, github: GitHub
) -> None:
    """On Mondays; the second run finds it as it is.  The checks' end is noted at its commit."""
    hub = github.repositories[NAME]
    ran = act.run("schedule", MONDAY, workflow=WORKFLOW)
    assert (ran.code, ran.jobs) == (0, dict.fromkeys(JOBS, "success")), ran.log
    (pull,) = pulls(hub)
    assert pull["title"] == "Update from the template to v1.1.0 (2 files to decide on)"
    listed = re.findall(r"^- `(\S+)`: both changed the same lines$", pull["body"], re.MULTILINE)
    assert listed == ["build.pkr.hcl", "provisioners/cleanup.sh"]
    assert "+# Of the release." in pull["body"]
    assert "- Brings `new.txt`." in pull["body"]
    assert marked(remote) == []
    for path in listed:
        assert git(remote, "show", f"{BRANCH}:{path}") == git(remote, "show", f"main:{path}")
    assert git(remote, "show", f"{BRANCH}:new.txt") == "new"
    assert git(remote, "show", f"{BRANCH}:sources.pkr.hcl").startswith("# Of the release.\n")
    tip = git(remote, "rev-parse", BRANCH)
    assert [status["state"] for status in hub.statuses[tip]] == ["success"]
    assert "check check" in ran.calls
    again = act.run("schedule", MONDAY, workflow=WORKFLOW)
    assert again.code == 0, again.log
    assert git(remote, "rev-parse", BRANCH) == tip
    assert len(pulls(hub)) == 1


def test_checks_that_fail_are_noted_and_the_pull_request_stays(
    act: Act, remote: Path, github: GitHub
) -> None:
    """A person decides; by hand it can be another release."""
    hub = github.repositories[NAME]
    event = {"repository": HOME, "ref": "refs/heads/main", "inputs": {"release": "v1.1.0"}}
    ran = act.run("workflow_dispatch", event, fail=["check"], workflow=WORKFLOW)
    jobs = {**dict.fromkeys(JOBS, "success"), "check": "failure"}
    assert (ran.code != 0, ran.jobs) == (True, jobs), ran.log
    tip = git(remote, "rev-parse", BRANCH)
    assert [status["state"] for status in hub.statuses[tip]] == ["failure"]
    assert "fetch template-pr --fetch=- --to=v1.1.0" in ran.calls
    assert "update template-pr --from=- --to=v1.1.0" in ran.calls
    assert len(pulls(hub)) == 1


def test_a_fork_gets_no_pull_requests_by_schedule(act: Act, remote: Path, github: GitHub) -> None:
    """It would get one every week."""
    ran = act.run("schedule", {**MONDAY, "repository": {**HOME, "fork": True}}, workflow=WORKFLOW)
    assert (ran.code, ran.jobs) == (0, {}), ran.log
    assert pulls(github.repositories[NAME]) == []


def test_up_to_date_checks_nothing(act: Act, remote: Path, tmp_path: Path, github: GitHub) -> None:
    """No pull request, no second job."""
    project = tmp_path / "packer-ami-web"
    subprocess.run(
        ["packer-toolkit", "template-update", "--trust"],
        cwd=project,
        capture_output=True,
        check=False,
    )
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "Updated by hand")
    ran = act.run("schedule", MONDAY, workflow=WORKFLOW)
    assert (ran.code, ran.jobs) == (0, {"fetch": "success"}), ran.log
    assert pulls(github.repositories[NAME]) == []
