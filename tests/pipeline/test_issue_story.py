"""The issue about failed builds, from the first failure to the good run, and what may go wrong."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from packer_toolkit.pipeline.advice import suggest_fixes
from rig.github import GitHub, Repository
from rig.repositories.build_reports import REPOSITORY, SHA, build_report, write_report
from rig.repositories.template import ROOT
from rig.run.toolkit_process import Toolkit

LABEL = "packer-build-failure"
PARENT = "`ami-0aaaaaaaaaaaaaaaa` `debian-12-amd64-20261101`"


def fail(toolkit: Toolkit, *arguments: str, **report: object) -> str:
    """Report a failed build."""
    write_report(toolkit.directory, ok=False, **report)
    return toolkit.run("report", "--kind=daily", *arguments).stdout


def succeed(toolkit: Toolkit, *arguments: str, **report: object) -> str:
    """Report a good build."""
    write_report(toolkit.directory, ok=True, **report)
    return toolkit.run("report", "--kind=daily", *arguments).stdout


# --- The story --------------------------------------------------------------------------------


def test_failure_opens_one_issue_that_says_what_is_needed(
    toolkit: Toolkit, hub: Repository, api_url: str
) -> None:
    """Build, step, last lines, parent image, run, advice; on github.com and Enterprise Server."""
    toolkit.env["GITHUB_API_URL"] = api_url
    assert "opened issue #1" in fail(toolkit)
    (issue,) = hub.open_issues()
    assert issue["title"] == "The daily build of web-server fails"
    assert [label["name"] for label in issue["labels"]] == [LABEL]
    for said in (
        "`amazon-ebs.x86_64`",
        "`shell: provisioners/shell/10-update-packages.sh`",
        "E: Unable to locate package nginz",
        "`ami-0aaaaaaaaaaaaaaaa`",
        "`debian-12-amd64-20261101`",
        "No successful build is recorded yet",
        f"https://github.example/{REPOSITORY}/actions/runs/77",
        "A package or a package repository was not found",
    ):
        assert said in issue["body"], issue["body"]


def test_fail_fail_succeed(toolkit: Toolkit, hub: Repository, api_url: str) -> None:
    """One issue: opened, commented, closed with a comment; the next failure opens another."""
    toolkit.env["GITHUB_API_URL"] = api_url
    fail(toolkit)
    assert "commented issue #1" in fail(toolkit)
    (comment,) = hub.said(1)
    assert "2 runs in a row have failed" in comment
    assert "closed issue #1" in succeed(toolkit)
    assert hub.open_issues() == []
    assert hub.issues[1]["state_reason"] == "completed"
    assert "passes again" in hub.said(1)[-1]
    assert "no issue to change" in succeed(toolkit)
    assert len(hub.said(1)) == 2
    assert "opened issue #2" in fail(toolkit)


def copy_marker(toolkit: Toolkit, hub: Repository) -> str:
    """Return the text of an issue that was closed by a good build."""
    fail(toolkit)
    body = str(hub.issues[1]["body"])
    succeed(toolkit)
    return body


@pytest.mark.parametrize("association", ["NONE", "CONTRIBUTOR", "FIRST_TIMER", "MANNEQUIN", ""])
@pytest.mark.parametrize("state", ["open", "closed"])
def test_issue_of_an_outsider_is_not_kept(
    toolkit: Toolkit, hub: Repository, association: str, state: str
) -> None:
    """An outsider's issue with marker and label is not the issue about builds (review R20)."""
    body = copy_marker(toolkit, hub)
    issue = hub.add_issue("Look", body, [LABEL], author="outsider", association=association)
    issue["state"] = state
    assert "opened issue #3" in fail(toolkit)
    assert "commented issue #3" in fail(toolkit)
    assert "closed issue #3" in succeed(toolkit)
    assert "no issue to change" in succeed(toolkit)
    assert (issue["state"], issue["body"], hub.said(2)) == (state, body, [])


def test_issue_of_a_deleted_account_is_not_kept(toolkit: Toolkit, hub: Repository) -> None:
    """An issue without an author is left alone (review R20)."""
    issue = hub.add_issue("Look", copy_marker(toolkit, hub), [LABEL])
    issue["user"] = None
    assert "opened issue #3" in fail(toolkit)
    assert hub.said(2) == []


@pytest.mark.parametrize(
    ("author", "association"),
    [
        ("github-actions[bot]", "NONE"),
        ("acme-builds[bot]", "CONTRIBUTOR"),
        ("ada", "OWNER"),
        ("ada", "MEMBER"),
        ("ada", "COLLABORATOR"),
    ],
)
def test_issue_of_a_program_or_a_member_is_kept(
    toolkit: Toolkit, hub: Repository, author: str, association: str
) -> None:
    """The issue that a workflow or a member's own report opened is kept (review R20)."""
    body = copy_marker(toolkit, hub)
    hub.add_issue("The daily build fails", body, [LABEL], author=author, association=association)
    assert "commented issue #2" in fail(toolkit)
    assert "closed issue #2" in succeed(toolkit)


def test_parent_image_of_the_last_good_build_is_shown(toolkit: Toolkit, hub: Repository) -> None:
    """It is remembered in a status of the commit, then in the issue itself."""
    hub.commits[SHA] = {}
    succeed(toolkit, parent="ami-0bbbbbbbbbbbbbbbb")
    (status,) = hub.statuses[SHA]
    assert (status["state"], status["context"]) == ("success", "packer-ami/daily")
    assert status["description"] == "succeeded x86_64=ami-0bbbbbbbbbbbbbbbb"
    fail(toolkit)
    row = f"| `x86_64` | {PARENT} | `ami-0bbbbbbbbbbbbbbbb` |"
    assert row in hub.issues[1]["body"]
    assert "The base image has changed since" in hub.issues[1]["body"]
    assert hub.statuses[SHA][0]["state"] == "failure"
    hub.statuses.clear()
    fail(toolkit)
    assert row in hub.said(1)[0]


def test_failed_release_is_told_and_its_version_too(toolkit: Toolkit, hub: Repository) -> None:
    """The next good daily build closes the issue, and says what is still to be built."""
    write_report(toolkit.directory, ok=False)
    toolkit.run("report", PACKER_BUILD_KIND="release", PACKER_BUILD_VERSION="1.2.3")
    assert hub.issues[1]["title"] == "The release build of web-server fails"
    assert "`1.2.3`" in hub.issues[1]["body"]
    succeed(toolkit)
    assert hub.open_issues() == []
    assert "The release `1.2.3` is still not built" in hub.said(1)[0]


def test_release_is_the_kind_of_a_tag(toolkit: Toolkit, hub: Repository) -> None:
    """Without --kind the environment of the job says it."""
    write_report(toolkit.directory, ok=False)
    toolkit.run("report", GITHUB_REF_TYPE="tag")
    assert hub.issues[1]["title"].startswith("The release build")


def test_daily_and_release_failures_share_the_issue(toolkit: Toolkit, hub: Repository) -> None:
    """One issue in the repository."""
    fail(toolkit)
    write_report(toolkit.directory, ok=False)
    toolkit.run("report", "--kind=release")
    assert len(hub.issues) == 1
    assert "The release build" in hub.said(1)[0]


@pytest.mark.parametrize("outcome", ["cancelled", "skipped"])
def test_cancelled_and_skipped_builds_change_nothing(
    toolkit: Toolkit, github: GitHub, hub: Repository, outcome: str
) -> None:
    """They say neither that it fails nor that it is good."""
    fail(toolkit)
    before = len(github.requests)
    toolkit.run("report", f"--outcome={outcome}")
    assert len(github.requests) == before
    assert len(hub.open_issues()) == 1


def test_build_without_a_report_is_told_with_the_job_that_failed(
    toolkit: Toolkit, hub: Repository
) -> None:
    """The issue names the step that GitHub reports as failed, and what to try (issue 12)."""
    steps = [{"name": "Check out", "conclusion": "success", "number": 1, "status": "completed"}]
    steps += [{"name": "Assume the role", "conclusion": "failure", "number": 2}]
    jobs = [{"id": 1, "name": "build", "conclusion": "failure", "steps": steps}]
    hub.add_run(id=77, jobs=jobs)
    toolkit.run("report", "--outcome=failure", "--kind=daily", PACKER_BUILD_BUNDLE="")
    body = hub.issues[1]["body"]
    assert "| `build` | `Assume the role` |" in body
    tried = body.partition("### What to try\n")[2].partition("\n#")[0]
    assert tried.strip().startswith("- Start the run again with debug logging")


def test_issue_is_written_from_a_bundle_as_from_files(toolkit: Toolkit, hub: Repository) -> None:
    """What the build's job hands on is enough for the job that reports."""
    write_report(toolkit.directory, ok=False)
    line = toolkit.run("bundle").stdout
    name, _, value = line.strip().partition("=")
    assert (name, "\n" in value) == ("bundle", False)
    (toolkit.directory / "build-report.json").unlink()
    toolkit.run("report", "--kind=daily", PACKER_BUILD_BUNDLE=value)
    assert "Unable to locate package nginz" in hub.issues[1]["body"]


# --- Finding it among others --------------------------------------------------------------------


def test_a_thousand_other_issues_are_in_the_way(
    toolkit: Toolkit, github: GitHub, hub: Repository
) -> None:
    """Also some that carry the label, and pull requests."""
    fail(toolkit)
    for number in range(1000):
        hub.add_issue(f"Other {number}", labels=[LABEL] if number % 3 == 0 else [])
    hub.add_pull("Same label", "x", "main")["labels"].append(hub.labels[LABEL])
    before = len(github.requests)
    assert "commented issue #1" in fail(toolkit)
    pages = [r for r in github.requests[before:] if r.path.endswith("/issues")]
    assert len(pages) == 4  # the 335 with the label, a hundred a time
    assert "closed issue #1" in succeed(toolkit)
    assert len(hub.open_issues()) == 1000


def test_title_does_not_matter(toolkit: Toolkit, hub: Repository) -> None:
    """A person may rename the issue, and write below the hidden line."""
    fail(toolkit)
    hub.issues[1]["title"] = "Nightly is broken again"
    hub.issues[1]["body"] += "\nI am looking at it."
    assert "commented issue #1" in fail(toolkit)
    assert hub.issues[1]["title"] == "Nightly is broken again"
    assert hub.issues[1]["body"].endswith("\nI am looking at it.")


def test_issue_of_the_same_title_is_not_taken(toolkit: Toolkit, hub: Repository) -> None:
    """Without label and hidden line it is somebody else's."""
    hub.add_issue("The daily build of web-server fails", "by hand", labels=[LABEL])
    assert "opened issue #2" in fail(toolkit)


def test_hidden_line_inside_the_output_is_no_marker(toolkit: Toolkit, hub: Repository) -> None:
    """What a build prints cannot pass for an issue's state, nor end the block it is shown in."""
    evil = '<!-- packer-toolkit:build-failure {"open": false} -->'
    fail(toolkit, last_lines=[evil, "```", "</details> @everyone", "-->", "|a|b|"])
    body = hub.issues[1]["body"]
    hidden, _, shown = body.partition(" -->\n")
    assert json.loads(hidden.split("build-failure ", 1)[1])["open"] is True
    assert "````text\n" + evil in shown
    assert "commented issue #1" in fail(toolkit)


def test_edited_hidden_line_is_still_ours(toolkit: Toolkit, hub: Repository) -> None:
    """A person who breaks it loses the count, not the issue."""
    fail(toolkit)
    hub.issues[1]["body"] = "<!-- packer-toolkit:build-failure {oops} -->\ntext"
    assert "commented issue #1" in fail(toolkit)


# --- People ------------------------------------------------------------------------------------


def test_issue_closed_by_hand_is_reopened_by_the_next_failure(
    toolkit: Toolkit, hub: Repository
) -> None:
    """It is the same story: no run was good meanwhile."""
    fail(toolkit)
    hub.close_by_hand(1)
    assert "reopened issue #1" in fail(toolkit)
    assert [issue["number"] for issue in hub.open_issues()] == [1]
    assert "closed issue #1" in succeed(toolkit)


def test_issue_closed_as_not_planned_stays_closed(toolkit: Toolkit, hub: Repository) -> None:
    """A person wants no more of it; comments go on, and the next good run ends the story."""
    fail(toolkit)
    hub.close_by_hand(1, "not_planned")
    assert "commented issue #1" in fail(toolkit)
    assert hub.open_issues() == []
    assert "noted issue #1" in succeed(toolkit)
    assert "opened issue #2" in fail(toolkit)


def test_issue_closed_by_hand_before_a_good_run_is_not_reopened(
    toolkit: Toolkit, hub: Repository
) -> None:
    """A good run ends the story, also when there was nothing left to close."""
    fail(toolkit)
    hub.close_by_hand(1)
    succeed(toolkit)
    assert hub.said(1) == []
    assert "opened issue #2" in fail(toolkit)


# --- Two at once ---------------------------------------------------------------------------------


def test_two_failures_at_once_make_one_issue(
    toolkit: Toolkit, github: GitHub, hub: Repository
) -> None:
    """Both look, see none, and open one: the younger is closed, and said on the older."""
    write_report(toolkit.directory, ok=False)
    # Both have looked before either opens one.
    github.hold(2, "POST", "/issues$")
    command = toolkit.command("report", "--kind=daily")
    both = [
        subprocess.Popen(
            command,
            cwd=toolkit.directory,
            env=toolkit.environment({}),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=60)[0].split()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert len(github.asked("POST", "/issues$")) == 2
    assert said == ["commented", "opened"]
    assert [issue["number"] for issue in hub.open_issues()] == [1]
    assert hub.issues[2]["state_reason"] == "not_planned"
    assert len(hub.said(1)) == 1
    # The duplicate is no part of the story afterwards.
    assert "closed issue #1" in succeed(toolkit)
    assert "opened issue #3" in fail(toolkit)


def test_lost_answer_makes_no_second_issue(
    toolkit: Toolkit, github: GitHub, hub: Repository
) -> None:
    """GitHub opens it, answers 500, and is asked again."""
    github.fault("POST", "/issues$", 500, first=1, after=True)
    fail(toolkit)
    assert len(hub.issues) == 2
    assert [issue["number"] for issue in hub.open_issues()] == [1]


# --- GitHub does not do what it should -----------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "the token lacks a permission"),
        (404, "it does not exist"),
        (410, "the feature is disabled"),
        (422, "GitHub did not accept the request"),
        (429, "GitHub asks to wait 3600 s, and the time limit is reached"),
        (500, "GitHub keeps returning errors, and the time limit is reached"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_errors_of_the_api_never_fail_the_report(
    toolkit: Toolkit, github: GitHub, hub: Repository, method: str, status: int, said: str
) -> None:
    """One warning beside the run; the exit code is the build's business. --strict tells scripts."""
    write_report(toolkit.directory, ok=False)
    headers = {"Retry-After": "3600"} if status == 429 else {}
    github.fault(method, "/issues$", status, headers=headers)
    done = toolkit.run("report", "--kind=daily", "--patience=0.5")
    warning = "::warning title=packer-toolkit::the issue about failed builds was not updated"
    assert warning in done.stderr
    assert said in done.stderr
    assert hub.open_issues() == []
    # The build is remembered all the same.
    assert hub.statuses[SHA][0]["state"] == "failure"
    if method == "GET":
        toolkit.run("report", "--kind=daily", "--patience=0.5", "--strict", code=4)


def test_issues_switched_off(toolkit: Toolkit, hub: Repository) -> None:
    """410, and the warning says so."""
    hub.has_issues = False
    write_report(toolkit.directory, ok=False)
    assert "Issues are disabled" in toolkit.run("report", "--kind=daily").stderr


def test_retry_after_is_honoured(toolkit: Toolkit, github: GitHub, hub: Repository) -> None:
    """429 with Retry-After: the request is sent again, and not earlier."""
    github.fault("POST", "/issues$", 429, first=1, headers={"Retry-After": "2"})
    started = time.monotonic()
    assert "opened issue #1" in fail(toolkit)
    assert time.monotonic() - started >= 2
    assert len(github.asked("POST", "/issues$")) == 2


def test_errors_of_the_server_are_tried_again(
    toolkit: Toolkit, github: GitHub, hub: Repository
) -> None:
    """500 twice, then all is well; a closed connection too."""
    github.fault("GET", "/issues$", 502, first=2)
    github.fault("POST", "/comments$", 0, first=1)
    fail(toolkit)
    assert "commented issue #1" in fail(toolkit)


def test_time_out(toolkit: Toolkit, github: GitHub, hub: Repository) -> None:
    """A GitHub that does not answer holds up nobody."""
    github.fault("GET", "/issues$", 500, delay=4)
    write_report(toolkit.directory, ok=False)
    started = time.monotonic()
    done = toolkit.run("report", "--kind=daily", "--patience=1", GITHUB_SHA="")
    assert "not updated" in done.stderr
    assert time.monotonic() - started < 4


def test_nobody_listens(toolkit: Toolkit) -> None:
    """The address is wrong, or the network is gone."""
    write_report(toolkit.directory, ok=False)
    url = "http://127.0.0.1:9"
    done = toolkit.run("report", "--kind=daily", "--patience=0.5", GITHUB_API_URL=url)
    assert "not updated: GitHub cannot be reached: Failed to establish" in done.stderr


def test_rate_limit_that_lasts_too_long(toolkit: Toolkit, github: GitHub) -> None:
    """GitHub says when it ends; nobody waits for an hour."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3000)}
    message = "API rate limit exceeded for installation"
    github.fault("GET", "/issues$", 403, headers=headers, message=message)
    write_report(toolkit.directory, ok=False)
    started = time.monotonic()
    done = toolkit.run("report", "--kind=daily", GITHUB_SHA="")
    assert "rate limit exceeded" in done.stderr
    assert time.monotonic() - started < 5


def test_proxy_that_answers_instead(toolkit: Toolkit, github: GitHub, hub: Repository) -> None:
    """A page of HTML is no reason for a traceback, and stays one line."""
    hub.add_run(id=77)
    github.fault("GET", "/issues$", 403, html="<html>\n<h1>Blocked\n::error::x</h1></html>")
    write_report(toolkit.directory, ok=False)
    done = toolkit.run("report", "--kind=daily", GITHUB_SHA="")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("::warning title=packer-toolkit::")


def test_label_that_may_not_be_made(toolkit: Toolkit, github: GitHub, hub: Repository) -> None:
    """The issue is opened all the same, which makes the label where the token may."""
    github.fault("POST", "/labels$", 403)
    assert "opened issue #1" in fail(toolkit)


def test_token_needs_three_permissions(toolkit: Toolkit, github: GitHub, hub: Repository) -> None:
    """Those of the job in the workflow, and no more."""
    github.permissions[toolkit.env["GITHUB_TOKEN"]] = {
        "metadata": "read",
        "actions": "read",
        "contents": "read",
        "issues": "write",
        "statuses": "write",
    }
    write_report(toolkit.directory, ok=False)
    hub.add_run(id=77)
    for outcome in ("failure", "failure", "success"):
        assert toolkit.run("report", "--kind=daily", f"--outcome={outcome}").stderr == ""
    assert {200, 201} <= {request.status for request in github.requests} <= {200, 201, 404}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GITHUB_TOKEN", "", "set GITHUB_TOKEN"),
        ("GITHUB_REPOSITORY", "web", "OWNER/NAME"),
        ("GITHUB_REPOSITORY", "team/", "OWNER/NAME"),
        ("GITHUB_API_URL", "github.example.com", "is not the URL of an API"),
        ("GITHUB_API_URL", "https://", "is not the URL of an API"),
    ],
)
def test_what_is_not_given_is_named(toolkit: Toolkit, name: str, value: str, said: str) -> None:
    """A wrong call is an error, in one line."""
    write_report(toolkit.directory, ok=False)
    done = toolkit.run("report", "--kind=daily", code=3, **{name: value})
    assert said in done.stderr


# --- What is shown ------------------------------------------------------------------------------


WORD = "correct-horse"
SECRETS = {
    "access key": "AKIA" + "Y3WJ2QH7LMNPR5TV",
    "secret key": "aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx",
    "session token": "F" * 200,
    "token of GitHub": "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "password in an address": "https://me:hunter22@repo.example/x",
    "password": 'password: "hunter22"',
    "header": "Authorization: Bearer abcdef.ghi",
    "account in an ARN": "arn:aws:iam::111122223333:role/x",
    "account alone": "account 444455556666,",
    "own secret": f"the word is {WORD}",
}
HIDDEN = (
    "Y3WJ2QH7",
    "wJalrX",
    "F" * 100,
    "0123456789abcdefghijkl",
    "hunter22",
    "abcdef.ghi",
    "111122223333",
    "444455556666",
    WORD,
)


def test_secrets_and_account_numbers_are_masked(toolkit: Toolkit, hub: Repository) -> None:
    """In whatever part of the report they stand."""
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----"
    lines = [*SECRETS.values(), *key.splitlines(), "the end"]
    report = build_report(ok=False, last_lines=lines)
    report["builds"][0]["failed_step"] = "role arn:aws:iam::111122223333:role/x " + lines[0]
    report["left"] = [{"kind": "instance", "id": "i-1", "region": "111122223333"}]
    (toolkit.directory / "build-report.json").write_text(json.dumps(report))
    for _ in range(2):
        toolkit.run("report", "--kind=daily", REGISTRY_PASSWORD=WORD)
    text = hub.issues[1]["body"] + hub.said(1)[0]
    assert [word for word in (*HIDDEN, "b3BlbnNzaC1rZXk") if word in text] == []
    assert "the end" in text
    assert "<account>" in text


def test_huge_output_fits(toolkit: Toolkit, hub: Repository) -> None:
    """GitHub takes 65536 characters."""
    fail(toolkit, last_lines=["x" * 10_000] * 500)
    fail(toolkit, last_lines=["x" * 10_000] * 500)
    assert len(hub.issues[1]["body"]) < 65_536
    assert len(hub.said(1)) == 1


def test_dry_run_writes_nothing(toolkit: Toolkit, github: GitHub, hub: Repository) -> None:
    """And shows the issue."""
    write_report(toolkit.directory, ok=False)
    alone = {"GITHUB_TOKEN": "", "GITHUB_RUN_ID": ""}
    done = toolkit.run("report", "--kind=daily", "--dry-run", **alone)
    assert done.stdout.startswith("The daily build of web-server fails\n\n")
    assert "The daily build of `web-server` failed.\n" in done.stdout  # no run to link to
    assert github.requests == []


def test_without_a_report_somebody_has_to_say_how_it_ended(toolkit: Toolkit) -> None:
    """A workflow does; a person who has not built yet is told."""
    done = toolkit.run("report", "--kind=daily", "--dry-run", code=3)
    assert done.stderr == (
        "packer-toolkit: build-report.json does not exist: build the image first, or give "
        "--outcome\n"
    )


def test_json_for_programs(toolkit: Toolkit, hub: Repository) -> None:
    """On stdout, and nothing else there."""
    write_report(toolkit.directory, ok=False)
    said = json.loads(toolkit.run("report", "--kind=daily", "--json").stdout)
    assert (said["outcome"], said["action"], said["issue"]) == ("failure", "opened", 1)


def test_what_is_no_bundle_is_refused(toolkit: Toolkit, tmp_path: Path) -> None:
    """In one line."""
    done = toolkit.run("report", "--outcome=failure", PACKER_BUILD_BUNDLE="nonsense!", code=3)
    assert "cannot be read" in done.stderr


def test_unreadable_report_is_as_good_as_none(toolkit: Toolkit, hub: Repository) -> None:
    """A build that was killed while it wrote."""
    (toolkit.directory / "build-report.json").write_text('{"schema": 1, "bui')
    toolkit.run("report", "--kind=daily")
    assert len(hub.open_issues()) == 1


@pytest.mark.parametrize(
    "garbled",
    [
        {"builds": -1},
        {"builds": [None]},
        {"builds": [{"phases": [{"name": "shell", "seconds": "x"}]}]},
        {"seconds": float("nan")},
        {"inspec": [{"failures": None}]},
        {"last_lines": True},
        {"left": [[]]},
    ],
)
def test_garbled_report_is_as_good_as_none(
    toolkit: Toolkit, hub: Repository, garbled: dict[str, object]
) -> None:
    """It must not keep the issue, or the summary, from being written."""
    write_report(toolkit.directory, ok=False, **garbled)
    assert "wrote no report" in toolkit.run("summary").stdout
    toolkit.run("report", "--kind=daily")
    assert len(hub.open_issues()) == 1


def failing_rows() -> list[tuple[str, str]]:
    """Return the faults of docs/operating.md that make a build fail, and what it says then."""
    page = (ROOT / "docs/operating.md").read_text()
    rows = [line.strip("|").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return [(row[0].strip(" `"), row[2]) for row in rows if len(row) >= 6 and row[3].strip() == "1"]


@pytest.mark.parametrize(("name", "said"), failing_rows(), ids=[n for n, _ in failing_rows()])
def test_every_known_fault_has_its_advice(name: str, said: str) -> None:
    """The faults that docs/operating.md shows, by the words that the build says."""
    assert len(failing_rows()) > 10
    assert suggest_fixes([said]) != suggest_fixes(["nothing that anybody knows"])
