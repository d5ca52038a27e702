"""The rendered workflow is run with act, for each trigger, with each step failing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rig.github import GitHub, Repository, events
from rig.github.act import TOKEN, Act
from rig.repositories.build_reports import REPOSITORY, build_report
from rig.repositories.template import render


@pytest.fixture(scope="module")
def checkout(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a rendered repository; runs get a copy of it from act."""
    folder = tmp_path_factory.mktemp("checkout") / "packer-ami-web-server"
    return render(template, folder, {"image_name": "web-server"})


@pytest.fixture
def act(checkout: Path, github: GitHub, hub: Repository, tmp_path: Path) -> Act:
    """Return the workflow, with a toolkit that ends as ordered."""
    hub.add_release("v1.2.3")
    act = Act(
        checkout,
        tmp_path / "act",
        {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.example",
        },
    )
    act.directory.mkdir()
    records = {"manifest.json": b'{"builds": []}', "packages-x86_64.txt": b"bash 5.2\n"}
    good = json.dumps(build_report(ok=True)).encode()
    act.records("built", {**records, "build-report.json": good})
    act.records("failed", {"build-report.json": json.dumps(build_report(ok=False)).encode()})
    return act


TRIGGERS: dict[str, tuple[str, Mapping[str, Any], str, set[str]]] = {
    "pull request": ("pull_request", events.pull_request(), "test", {"check", "build"}),
    "push": ("push", events.push(), "test", {"check", "build"}),
    "daily": ("schedule", events.schedule(), "daily", {"build", "report"}),
    "release": ("release", events.release(), "release", {"build", "attach", "report"}),
    "test by hand": ("workflow_dispatch", events.by_hand(), "test", {"check", "build"}),
    "daily by hand": (
        "workflow_dispatch",
        events.by_hand(kind="daily"),
        "daily",
        {"build", "report"},
    ),
    "release by hand": (
        "workflow_dispatch",
        events.by_hand("refs/tags/v1.2.3", kind="release"),
        "release",
        {"build", "attach", "report"},
    ),
}


def ordered(act: Act, trigger: str, **outputs: str) -> tuple[str, Mapping[str, Any]]:
    """Let the plan decide what the trigger is about; return event and payload."""
    event, payload, kind, _ = TRIGGERS[trigger]
    act.plan(kind=kind, version="1.2.3" if kind == "release" else "", **outputs)
    return event, payload


# --- Everything goes well ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "form"),
    [
        *((trigger, "url") for trigger in TRIGGERS),
        ("daily", "enterprise_url"),
        ("release", "enterprise_url"),
    ],
)
def test_good_build(act: Act, github: GitHub, hub: Repository, trigger: str, form: str) -> None:
    """The jobs that should run do, and no other; each step of them is good."""
    act.env["GITHUB_API_URL"] = getattr(github, form)
    event, payload = ordered(act, trigger)
    ran = act.run(event, payload)
    jobs = TRIGGERS[trigger][3]
    assert (ran.code, ran.jobs) == (0, dict.fromkeys(jobs, "success")), ran.log
    assert {result for _, _, result in ran.steps} <= {"success", "skipped"}, ran.log
    assert hub.open_issues() == []
    kind = TRIGGERS[trigger][2]
    built = ran.environment("build", "build")
    assert built["PKR_VAR_skip_create_ami"] == str(kind != "release").lower()
    assert built["PKR_VAR_version"] == ("1.2.3" if kind == "release" else "")
    assert built["PKR_VAR_run_id"] == "77-1"
    names = {asset["name"] for asset in hub.releases[0]["assets"]}
    if kind == "release":
        assert names == {"build-report.json", "manifest.json", "packages-x86_64.txt"}
        assert hub.asset("v1.2.3", "manifest.json") == b'{"builds": []}'
    else:
        assert names == set()
    if kind != "test":
        (status,) = next(iter(hub.statuses.values()))
        assert (status["state"], status["context"]) == ("success", f"packer-ami/{kind}")


def test_actions_are_given_what_they_need(act: Act) -> None:
    """Task in its version, the role with its region and time: in each job."""
    act.variables["PACKER_CREDENTIALS_SECONDS"] = "7200"
    act.variables["PACKER_ASSUME_ROLE_ARN"] = "arn:aws:iam::111122223333:role/second"
    ran = act.run(*ordered(act, "release"))
    role = {
        "aws-region": "eu-central-1",
        "role-session-name": "packer-ami-77",
        "role-to-assume": "arn:aws:iam::111122223333:role/packer-ami-builder",
    }
    found = ran.given("configure-aws-credentials")
    seconds = [given.pop("role-duration-seconds") for given in found]
    assert found == [role] * 3
    assert seconds == ["7200", "3600", "3600"]
    assert ran.given("setup-task") == [{"version": "3.54.0"}] * 3
    built = ran.environment("build", "build")
    assert built["PACKER_CREDENTIALS_SECONDS"] == "7200"
    assert built["PKR_VAR_assume_role_arn"] == "arn:aws:iam::111122223333:role/second"


# --- Something fails --------------------------------------------------------------------------


FAILURES = [
    # what fails, jobs and their ends, the step that says so
    ("daily", "aws", {"build": "failure", "report": "success"}, "Set up the toolkit"),
    ("daily", "plan", {"build": "failure", "report": "success"}, "Decide what to build"),
    ("daily", "build", {"build": "failure", "report": "success"}, "Build the image"),
    ("daily", "bundle", {"build": "success", "report": "success"}, None),
    ("daily", "summary", {"build": "success", "report": "success"}, None),
    ("release", "plan", {"build": "failure", "report": "success"}, "Decide what to build"),
    ("release", "build", {"build": "failure", "report": "success"}, "Build the image"),
    (
        "release",
        "attach",
        {"build": "success", "attach": "failure", "report": "success"},
        "Attach manifest, build report and package lists",
    ),
    ("release", "aws", {"build": "failure", "report": "success"}, "Set up the toolkit"),
    (
        "release",
        "bundle",  # nothing can be attached then, and the release must not look complete
        {"build": "success", "attach": "failure", "report": "success"},
        "Attach manifest, build report and package lists",
    ),
    ("release", "summary", {"build": "success", "attach": "success", "report": "success"}, None),
    ("daily by hand", "build", {"build": "failure", "report": "success"}, "Build the image"),
    ("release by hand", "build", {"build": "failure", "report": "success"}, "Build the image"),
    ("pull request", "check", {"check": "failure"}, "Run the checks"),
    ("pull request", "build", {"check": "success", "build": "failure"}, "Build the image"),
    ("pull request", "plan", {"check": "success", "build": "failure"}, "Decide what to build"),
    ("push", "check", {"check": "failure"}, "Run the checks"),
    ("push", "build", {"check": "success", "build": "failure"}, "Build the image"),
    ("push", "plan", {"check": "success", "build": "failure"}, "Decide what to build"),
    ("test by hand", "build", {"check": "success", "build": "failure"}, "Build the image"),
    # What is left of each trigger, as far as it differs.
    ("pull request", "aws", {"check": "failure"}, "Set up the toolkit"),
    ("push", "aws", {"check": "failure"}, "Set up the toolkit"),
    ("push", "bundle summary", {"check": "success", "build": "success"}, None),
    ("test by hand", "check", {"check": "failure"}, "Run the checks"),
    ("test by hand", "plan", {"check": "success", "build": "failure"}, "Decide what to build"),
    (
        "daily",
        "report",
        {"build": "success", "report": "failure"},
        "Open, update or close the issue",
    ),
    ("daily", "build sweep", {"build": "failure", "report": "success"}, "Build the image"),
    ("daily by hand", "plan", {"build": "failure", "report": "success"}, "Decide what to build"),
    ("release by hand", "plan", {"build": "failure", "report": "success"}, "Decide what to build"),
    (
        "release by hand",
        "attach",
        {"build": "success", "attach": "failure", "report": "success"},
        "Attach manifest, build report and package lists",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("trigger", "failing", "jobs", "step"),
    FAILURES,
    ids=[f"{trigger}-{failing}" for trigger, failing, *_ in FAILURES],
)
def test_failing_step(
    act: Act, hub: Repository, trigger: str, failing: str, jobs: dict[str, str], step: str | None
) -> None:
    """The run fails, in the step that failed; of a daily or release build an issue tells."""
    event, payload = ordered(act, trigger)
    ran = act.run(event, payload, fail=[failing])
    assert ran.jobs == jobs, ran.log
    assert bool(ran.code) == ("failure" in jobs.values())
    told = jobs.get("report") == "success" and "failure" in jobs.values()
    assert len(hub.open_issues()) == told
    if step:
        failed = {(job, name) for job, name, result in ran.steps if result == "failure"}
        (job,) = [name for name, result in jobs.items() if result == "failure"]
        assert (job, step) in failed
    if "build" in failing.split():
        # What a failed build leaves is looked for, whoever failed.
        assert "build sweep --run-id 77-1 --yes" in ran.calls
        assert "build docker stop --time=120 packer-77-1" in ran.calls
    if told and "build" in failing.split():
        assert "Unable to locate package nginz" in hub.issues[1]["body"]
    if told and failing == "aws":
        assert "actions/runs/77" in hub.issues[1]["body"]


def test_failure_is_told_when_the_toolkit_cannot_be_started(act: Act, hub: Repository) -> None:
    """Not even the report runs: a line of curl opens the issue, once; then the toolkit has it."""
    act.plan(kind="daily")
    for _ in range(2):
        ran = act.run("schedule", events.schedule(), fail=["plan", "report"])
        assert ran.jobs == {"build": "failure", "report": "failure"}, ran.log
    (issue,) = hub.open_issues()
    assert [label["name"] for label in issue["labels"]] == ["packer-build-failure"]
    assert f"https://github.example/{REPOSITORY}/actions/runs/77" in issue["body"]
    act.run("schedule", events.schedule())
    assert hub.open_issues() == []
    assert "passes again" in hub.said(1)[0]


def test_issue_of_an_outsider_hides_no_failure(act: Act, hub: Repository) -> None:
    """The report without the toolkit counts issues of the workflow alone (review R20)."""
    hub.add_issue("Look", "Mine", ["packer-build-failure"], author="outsider")
    act.plan(kind="daily")
    for _ in range(2):
        act.run("schedule", events.schedule(), fail=["plan", "report"])
        assert [issue["user"]["login"] for issue in hub.open_issues()] == [
            "outsider",
            "github-actions[bot]",
        ]


def test_role_that_cannot_be_assumed(act: Act, hub: Repository) -> None:
    """The report does without: its image may lie on the runner still."""
    act.credentials = None
    act.plan(kind="daily")
    hub.add_run(
        id=77,
        jobs=[
            {
                "id": 1,
                "name": "Build",
                "conclusion": "failure",
                "steps": [{"name": "Assume the role", "conclusion": "failure", "number": 1}],
            }
        ],
    )
    ran = act.run("schedule", events.schedule())
    assert ran.jobs == {"build": "failure", "report": "success"}, ran.log
    assert "| `Build` | `Assume the role` |" in hub.issues[1]["body"]


@pytest.mark.parametrize("form", ["url", "enterprise_url"])
def test_issue_story(act: Act, github: GitHub, hub: Repository, form: str) -> None:
    """Fail, fail again, succeed: opened, commented, closed with a comment."""
    act.env["GITHUB_API_URL"] = getattr(github, form)
    act.plan(kind="daily")
    for fail in (["build"], ["build"], []):
        act.run("schedule", events.schedule(), fail=fail)
    assert len(hub.issues) == 1
    assert hub.issues[1]["state"] == "closed"
    again, good = hub.said(1)
    assert "2 runs in a row have failed" in again
    assert "passes again" in good
    assert f"https://github.example/{REPOSITORY}/actions/runs/77" in good


def test_broken_api_hides_nothing(act: Act, github: GitHub, hub: Repository) -> None:
    """Issues off: the build's failure is the run's, and the report only warns."""
    hub.has_issues = False
    act.plan(kind="daily")
    ran = act.run("schedule", events.schedule(), fail=["build"])
    assert ran.jobs == {"build": "failure", "report": "success"}
    assert "Issues are disabled" in ran.log


# --- Nothing to do ----------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["daily", "release"])
def test_skipped_build_is_noted(act: Act, hub: Repository, trigger: str) -> None:
    """No build, no issue; the reason is in the log, and a failing one stays told."""
    event, payload = ordered(act, trigger)
    act.run(event, payload, fail=["build"])
    event, payload = ordered(act, trigger, build="false", reason="Nothing has changed.")
    again = b'{"builds": [], "found_again": true}'
    act.records("planned", {"manifest.json": again} if trigger == "release" else {})
    ran = act.run(event, payload)
    assert (ran.code, ran.jobs) == (0, dict.fromkeys(TRIGGERS[trigger][3], "success")), ran.log
    assert not [call for call in ran.calls if call.startswith("build build")]
    # A release whose records were lost gets what can be known of them.
    names = [asset["name"] for asset in hub.releases[0]["assets"]]
    assert names == (["manifest.json"] if trigger == "release" else [])
    assert ran.environment("build", "summary")["PACKER_BUILD_NOTE"] == "Nothing has changed."
    assert len(hub.open_issues()) == 1
    assert hub.said(1) == []


def test_fork_runs_no_daily_build(act: Act, hub: Repository) -> None:
    """It has no credentials, and nobody waits for it."""
    act.plan(kind="daily")
    ran = act.run("schedule", events.schedule(fork=True))
    assert (ran.code, ran.jobs) == (0, {})


# --- Other branches ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ref", "kind", "fail"),
    [
        ("refs/heads/change", "daily", ["build"]),
        ("refs/heads/change", "daily", ["aws"]),
        ("refs/heads/change", "daily", []),
        ("refs/heads/feature/main", "daily", []),
        ("refs/tags/main", "daily", []),
        ("refs/tags/v1.2.3", "daily", ["plan"]),
        ("refs/heads/main", "release", ["plan"]),
        ("refs/heads/change", "release", ["plan"]),
    ],
)
def test_runs_about_other_commits_do_not_change_the_issue(
    act: Act, hub: Repository, ref: str, kind: str, fail: list[str]
) -> None:
    """A daily run of another branch, and a release without a tag, change no issue (review R7)."""
    act.plan(kind="daily")
    if not fail:
        act.run("schedule", events.schedule(), fail=["build"])
    act.plan(kind=kind)
    issues, comments, statuses = str(hub.issues), str(hub.comments), str(hub.statuses)
    payload = events.by_hand(ref, kind=kind)
    ran = act.run("workflow_dispatch", payload, fail=fail, env={"GITHUB_REF": ref})
    assert ran.jobs["build"] == ("failure" if fail else "success"), ran.log
    assert "report" not in ran.jobs
    assert (str(hub.issues), str(hub.comments), str(hub.statuses)) == (issues, comments, statuses)


@pytest.mark.parametrize("branch", ["main", "trunk", "release/next"])
def test_daily_run_of_the_default_branch_is_reported(
    act: Act, hub: Repository, branch: str
) -> None:
    """A daily run that a user starts on the default branch counts (review R7)."""
    payload = events.by_hand(f"refs/heads/{branch}", kind="daily")
    payload["repository"] = {**events.HOME, "default_branch": branch}
    act.plan(kind="daily")
    for fail, number in ((["build"], 1), ([], 0)):
        ran = act.run("workflow_dispatch", payload, fail=fail)
        assert ran.jobs["report"] == "success", ran.log
        assert len(hub.open_issues()) == number


# --- The build's copy -------------------------------------------------------------------------


def test_build_cannot_change_what_runs_after_it(act: Act, tmp_path: Path) -> None:
    """Steps after the build run the workspace's own files, whatever it wrote (review R18)."""
    stolen = tmp_path / "stolen"
    evil = f"#!/bin/sh\nenv >>{stolen}\n"
    local = f"version: '3'\nenv: {{X: {{sh: 'env >>{stolen}'}}}}\n"
    written = {
        "Taskfile.yml": f"version: '3'\ntasks: {{toolkit: {{cmds: ['env >>{stolen}']}}}}\n",
        "Taskfile.local.yml": local,
        "toolkit.sh": evil,
        "toolkit.env": "TOOLKIT_IMAGE=evil\n",
        "build.pkr.hcl": "evil",
    }
    for kind in ("built", "failed"):
        report = json.dumps(build_report(ok=kind == "built")).encode()
        records = {name: content.encode() for name, content in written.items()}
        act.records(kind, {**records, "build-report.json": report})
    for trigger in ("release", "daily"):
        for fail in ([], ["build"]):
            ran = act.run(*ordered(act, trigger), fail=fail)
            assert ran.result("build", "Export the build artifacts") == "success", ran.log
            assert not stolen.exists()


def test_only_the_build_artifacts_leave_the_copy(act: Act, hub: Repository, tmp_path: Path) -> None:
    """Only regular files of the known names are collected from the copy (review R18)."""
    secret = tmp_path / "secret"
    secret.write_text("the secret of the runner")
    report = json.dumps(build_report(ok=True)).encode()
    act.records("built", {"build-report.json": report, "other.txt": b"x", "build.pkr.hcl": b"x"})
    built = act.directory / "built"
    (built / "manifest.json").symlink_to(secret)
    (built / "packages-x86_64.txt").symlink_to("/etc/hostname")
    (built / "packages-arm64.txt").mkdir()
    (built / "packages-arm64.txt" / "x").write_text("x")
    ran = act.run(*ordered(act, "release"))
    assert ran.result("build", "Collect the build artifacts") == "success", ran.log
    assert "the secret" not in ran.log
    assert {asset["name"] for asset in hub.releases[0]["assets"]} <= {"build-report.json"}


@pytest.mark.parametrize("fail", [[], ["build"]])
def test_build_leaves_the_workspace_to_the_next_job(act: Act, fail: list[str]) -> None:
    """What a build leaves, such as read-only folders, blocks no other checkout (report 5)."""
    name = "failed" if fail else "built"
    report = json.dumps(build_report(ok=not fail)).encode()
    act.records(name, {"build-report.json": report, ".hidden": b"x"})
    cache = act.directory / name / "cache"
    cache.mkdir()
    (cache / "module").write_text("x")
    cache.chmod(0o555)
    try:
        ran = act.run(*ordered(act, "daily"), fail=fail)
    finally:
        cache.chmod(0o755)
    assert ran.result("build", "Collect the build artifacts") == "success", ran.log
    before = (ran.directory / "files-build-plan").read_text().split()
    after = (ran.directory / "files-build-bundle").read_text().split()
    assert set(after) - set(before) == {"build-report.json"}


def test_deadline_is_noted_before_the_role_is_assumed(act: Act) -> None:
    """The build and its summary get the time at which the credentials expire (review R17)."""
    act.variables["PACKER_CREDENTIALS_SECONDS"] = "7200"
    before = int(time.time())
    ran = act.run(*ordered(act, "release"))
    noted = int(ran.environment("build", "build")["PACKER_CREDENTIALS_EXPIRE_AT"])
    assert before + 7200 <= noted <= time.time() + 7200
    assert ran.environment("build", "summary")["PACKER_CREDENTIALS_EXPIRE_AT"] == str(noted)


# --- Nobody is trusted ------------------------------------------------------------------------

EVIL = "$(touch pwned);`touch pwned`\"'; touch pwned #${{ github.token }}\n::set-output name=x::y"


def test_pull_request_of_a_fork_gets_no_credentials(act: Act) -> None:
    """Checks run without them; the build does not; and the run says so."""
    payload = events.pull_request(repository="stranger/packer-ami-web-server")
    act.plan(kind="test")
    ran = act.run("pull_request", payload)
    assert (ran.code, ran.jobs) == (0, {"check": "success"}), ran.log
    assert ran.given("configure-aws-credentials") == []
    assert ran.result("check", "Run the checks without the toolkit image") == "success"
    assert "check packer init ." in ran.calls
    assert ran.result("check", "Run the checks") in (None, "skipped")
    environment = ran.environment("check", "check")
    assert [n for n, value in environment.items() if n.startswith("AWS_") or value == TOKEN] == []
    assert "gets no credentials" in ran.log


def test_pull_request_of_a_deleted_fork(act: Act) -> None:
    """GitHub then names no repository: nobody is not us."""
    payload = events.pull_request()
    payload["pull_request"]["head"]["repo"] = None
    assert act.run("pull_request", payload).jobs == {"check": "success"}


@pytest.mark.parametrize("trigger", ["pull_request", "push", "release"])
def test_hostile_texts_run_nothing(act: Act, checkout: Path, trigger: str) -> None:
    """A title, a branch, a tag, a release's name: they are words, wherever they go."""
    word = EVIL.splitlines()[0]
    payload = {
        "pull_request": events.pull_request(title=EVIL, branch=word),
        "push": events.push(word),
        "release": events.release(word),
    }[trigger]
    act.plan(kind="release" if trigger == "release" else "test", version="1.2.3")
    ran = act.run(trigger, payload, fail=["build"])
    assert ran.jobs["build"] == "failure", ran.log
    assert "pwned" not in "".join(step for _, step, _ in ran.steps)
    found = [*checkout.rglob("pwned"), *ran.directory.parent.rglob("pwned")]
    assert found == []
    assert TOKEN not in ran.log


def test_secrets_are_in_no_other_step_than_they_need(act: Act) -> None:
    """The token reaches plan, summary, attach and report: never the build or the checks."""
    ran = act.run(*ordered(act, "release"))
    with_token = {
        command
        for job, command in [
            ("build", "plan"),
            ("build", "build"),
            ("build", "summary"),
            ("build", "bundle"),
            ("attach", "attach"),
            ("report", "report"),
        ]
        if TOKEN in ran.environment(job, command).values()
    }
    assert with_token == {"plan", "summary", "attach", "report"}
