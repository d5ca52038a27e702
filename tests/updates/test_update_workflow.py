"""The workflow that opens the pull request, run with act: no commit of it holds a marker."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.github import GitHub, Repository
from rig.github.act import TOKEN, Act
from rig.repositories.template import git, release, render, snapshot

pytestmark = [pytest.mark.xdist_group("act"), pytest.mark.integration]

NAME = "globex/packer-ami-web"
BRANCH = "update-from-template"
# The job of 1.0.0, without the one that checks.
OLD_WORKFLOW = """\
on: {schedule: [{cron: 1 1 * * 1}]}
permissions: {}
jobs:
  update:
    runs-on: "ubuntu-24.04"
    permissions: {contents: write, pull-requests: write, id-token: write}
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with: {persist-credentials: false}
      - uses: ./.github/actions/toolkit
        with: {credentials: "true", registry: "true"}
      - id: update
        run: task toolkit -- template-pr --trust ${RELEASE:+"--to=$RELEASE"}
        env:
          GITHUB_TOKEN: ${{ secrets.TEMPLATE_UPDATE_TOKEN || github.token }}
          RELEASE: ${{ inputs.release }}
"""
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


def test_the_workflow_checks_nothing_when_the_pull_request_was_closed(
    act: Act, remote: Path, github: GitHub
) -> None:
    """A closed pull request stays closed on Mondays, and nothing is checked (review R8)."""
    hub = github.repositories[NAME]
    act.run("schedule", MONDAY, workflow=WORKFLOW)
    (pull,) = pulls(hub)
    hub.close_by_hand(pull["number"])
    hub.statuses.clear()
    git(remote, "update-ref", "-d", f"refs/heads/{BRANCH}")
    ran = act.run("schedule", MONDAY, workflow=WORKFLOW)
    jobs = dict.fromkeys(("fetch", "render", "update"), "success")
    assert (ran.code, {n: r for n, r in ran.jobs.items() if r != "skipped"}) == (0, jobs), ran.log
    assert [pull["state"] for pull in pulls(hub)] == ["closed"]
    assert git(remote, "branch", "--list", BRANCH) == ""
    assert hub.statuses == {}


UNREVIEWED = ("render", "check")


@pytest.fixture(scope="module", params=["ECR", "another registry"])
def jobs(
    releases: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Any]:
    """Return the jobs of the rendered workflow."""
    image = {} if request.param == "ECR" else {"toolkit_image": "ghcr.io/acme/packer-toolkit"}
    answers = {"image_name": "web", "start_git": False, **image}
    folder = render(releases, tmp_path_factory.mktemp("jobs") / "web", answers)
    found: dict[str, Any] = yaml.safe_load((folder / WORKFLOW).read_text())["jobs"]
    return found


@pytest.mark.integration
def test_jobs_that_run_unreviewed_code_have_no_rights(jobs: dict[str, Any]) -> None:
    """Render and Check may only read the repository, without secret and role (review C3)."""
    assert set(jobs) == set(JOBS)
    for name in UNREVIEWED:
        job = jobs[name]
        assert job["permissions"] == {"contents": "read"}
        assert "secrets" not in str(job)
        assert "token" not in str(job).lower().replace("'persist-credentials'", "")
        assert "github.token" not in str(job)
        for step in job["steps"]:
            if step.get("uses", "").startswith("./"):
                assert step["with"] == {"credentials": "false", "registry": "false"}


def test_jobs_with_rights_run_what_is_reviewed(jobs: dict[str, Any]) -> None:
    """Jobs with rights check out the default branch, and neither render nor check (review C3)."""
    for name in set(JOBS) - {*UNREVIEWED}:
        checkouts = [s for s in jobs[name]["steps"] if "actions/checkout@" in s.get("uses", "")]
        assert [step["with"] for step in checkouts] == [{"persist-credentials": False}], name
        for step in jobs[name]["steps"]:
            run = step.get("run", "")
            assert not re.search(r"--trust|--save|--template|task check|toolkit-host", run), name
    assert jobs["fetch"]["permissions"].keys() <= {"contents", "id-token"}
    assert jobs["update"]["permissions"].keys() <= {"contents", "pull-requests", "id-token"}
    assert jobs["note"]["permissions"].keys() <= {"contents", "statuses", "id-token"}


def test_unreviewed_code_leaves_the_workspace_to_the_next_job(
    jobs: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """In the container, unreviewed code gets a copy of the repository (review R18)."""
    # Jobs without a role cannot pull from ECR, so that they run on the runner itself.
    in_container = request.node.callspec.params["jobs"] != "ECR"
    assert len(UNREVIEWED) == 2
    for name in UNREVIEWED:
        runs = [step for step in jobs[name]["steps"] if step.get("run", "").find("task ") >= 0]
        assert bool(runs) == in_container, name
        for step in runs:
            folder = f"{name}-${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"
            assert step["working-directory"] == f"${{{{ runner.temp }}}}/{folder}"
            (copied,) = [s for s in jobs[name]["steps"] if s["name"] == "Copy the repository"]
            assert copied["run"] == (
                f'cp -pR . "$RUNNER_TEMP/{name}-$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT"'
            )
            (deleted,) = [s for s in jobs[name]["steps"] if s["name"] == "Delete the copy"]
            assert deleted["if"] == "always()"
            assert deleted["env"] == {"COPY": f"${{{{ runner.temp }}}}/{folder}"}


def test_what_travels_between_jobs_reaches_no_shell_as_code(jobs: dict[str, Any]) -> None:
    """Outputs of a job reach steps by the environment, and steps have at most five lines."""
    assert sum("run" in step for job in jobs.values() for step in job["steps"]) > 3
    for job in jobs.values():
        assert job["timeout-minutes"] <= 20
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            assert len(step.get("run", "").strip().splitlines()) <= 5


def test_a_migration_of_a_release_finds_nothing_in_its_job(
    act: Act, remote: Path, releases: Path, github: GitHub, tmp_path: Path
) -> None:
    """A migration finds neither token nor credentials in its job's processes (review C3)."""
    loot = tmp_path / "loot"
    template = Path(shutil.copytree(releases, tmp_path / "evil", symlinks=True))
    (template / "spy.sh").write_text(
        f"env >{loot}-env\n"
        "p=$PPID; while [ $p -gt 1 ]; do tr '\\0' '\\n' </proc/$p/environ; "
        "grep -q GITHUB_RUN_ID /proc/$p/environ || break; "
        f"p=$(sed 's/.*) //' /proc/$p/stat | cut -d' ' -f2); done >{loot}-parents\n"
        f"git config --list >{loot}-git\ncat .git/config >>{loot}-git\n"
        "echo '::set-output name=part_1::x'\n"
    )
    with (template / "copier.yml").open("a") as config:
        config.write(
            "\n_migrations:\n  - version: v1.1.0\n"
            "    command: [sh, '{{ _copier_conf.src_path }}/spy.sh']\n"
        )
    git(template, "tag", "--delete", "v1.1.0")
    release(template, "v1.1.0")
    project = tmp_path / "packer-ami-web"
    answers = project / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace(str(releases), str(template)))
    git(project, "commit", "--quiet", "--all", "-m", "Another template")
    git(project, "push", "--quiet", "origin", "HEAD:main")
    ran = act.run("schedule", MONDAY, workflow=WORKFLOW)
    assert (ran.code, ran.jobs) == (0, dict.fromkeys(JOBS, "success")), ran.log
    assert len(pulls(github.repositories[NAME])) == 1
    text = "".join(path.read_text(errors="replace") for path in tmp_path.glob("loot-*"))
    assert "PATH=" in text
    for secret in (TOKEN, "AWS_SECRET_ACCESS_KEY=y", "AUTHORIZATION"):
        assert secret not in text


def test_a_workflow_of_the_first_release_goes_on_working(
    act: Act, remote: Path, github: GitHub, tmp_path: Path
) -> None:
    """The file of 1.0.0, which calls template-pr once, still opens the pull request."""
    project = tmp_path / "packer-ami-web"
    (project / WORKFLOW).write_text(OLD_WORKFLOW)
    git(project, "commit", "--quiet", "--all", "-m", "The file of 1.0.0")
    git(project, "push", "--quiet", "origin", "HEAD:main")
    ran = act.run("schedule", MONDAY, workflow=WORKFLOW)
    assert (ran.code, ran.jobs) == (0, {"update": "success"}), ran.log
    assert len(pulls(github.repositories[NAME])) == 1
    assert marked(remote) == []


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
