"""The commands of the group pipeline: which function gets which values, and what is printed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from packer_toolkit.build.report import SCHEMA
from packer_toolkit.errors import RemoteError
from packer_toolkit.github.client import RepositoryAccess
from packer_toolkit.pipeline.issue import IssueChange
from packer_toolkit.pipeline.outcome import RunContext
from packer_toolkit.pipeline.plan import BuildPlan
from packer_toolkit.pipeline.releases import AttachedFiles, ReleasedPackages

Call = Callable[..., Any]
patch = functools.partial(mock.patch, autospec=True)
PIPELINE = "packer_toolkit.pipeline"
ACCESS = RepositoryAccess("acme/packer-ami-web", "t0ken", "https://api.github.com", 120)
REPORT = {
    "schema": SCHEMA, "image_name": "web", "version": "1.2.3", "commit": "c0ffee",
    "template_version": "v2.0.0", "toolkit_version": "2.0.0", "kind": "image",
    "started_at": "2026-11-25T03:00:00Z", "seconds": 1.0, "run_id": "1-1", "account": None,
    "builds": [], "inspec": [], "last_lines": [], "swept": [], "left": [],
}  # fmt: skip
ENV = {"GITHUB_REPOSITORY": ACCESS.repository, "GITHUB_TOKEN": ACCESS.token}


@pytest.fixture(autouse=True)
def enter_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder, outside of a workflow."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("pipeline", "plan", "--kind=daily", "--force"), {}),
        (("plan", "--asked=daily", "--always"), {}),
        (("plan",), {"PACKER_BUILD_ASKED": "daily", "PACKER_BUILD_ALWAYS": "true"}),
    ],
)
def test_plan_decides_and_sets_outputs(
    call: Call, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    """Options of today, of 1.x and variables ask the same, and the decision is the output."""
    plan = BuildPlan("daily", True, "The base image has changed.")
    with mock.patch(f"{PIPELINE}.plan.decide_build", autospec=True, return_value=plan) as decide:
        event = {"GITHUB_EVENT_NAME": "schedule", "GITHUB_SHA": "c0ffee"}
        result = call(*arguments, **ENV, **env, **event)
    decide.assert_called_once_with("schedule", "daily", force=True, commit="c0ffee", access=ACCESS)
    assert result.stdout.splitlines() == [
        "build=true", "kind=daily", "version=", "reason=The base image has changed.",
        "skip_create_ami=true",
    ]  # fmt: skip
    assert result.stderr == "daily: The base image has changed.\n"


def test_plan_of_a_finished_release_restores_its_manifest(call: Call) -> None:
    """A release that is finished gets its manifest; --json writes nothing."""
    plan = BuildPlan("release", False, "Exists.", "1.2.3", {"arm64": "ami-1"})
    with (
        patch(f"{PIPELINE}.plan.decide_build", return_value=plan),
        patch(f"{PIPELINE}.plan.restore_manifest") as restore,
    ):
        assert call("pipeline", "plan", "--json").json["images"] == {"arm64": "ami-1"}
        restore.assert_not_called()
        assert "build=false" in call("pipeline", "plan").stdout
    restore.assert_called_once_with("1.2.3")


def test_summary_compares_with_the_last_release(call: Call) -> None:
    """The summary is made of the artifacts here and the packages of the last release."""
    Path("packages-arm64.txt").write_text("bash 5.2\n")
    last = ReleasedPackages("v1.0.0", {"arm64": ["bash 5.1"]})
    with (
        mock.patch(
            f"{PIPELINE}.releases.find_last_packages", autospec=True, return_value=last
        ) as find,
        mock.patch(
            f"{PIPELINE}.summary.write_summary", autospec=True, return_value="# Page"
        ) as page,
    ):
        tag = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.1.0"}
        result = call("pipeline", "summary", "--note=A note", "--credentials-seconds=7200",
                      **ENV, **tag)  # fmt: skip
        parts = call("pipeline", "summary", "--outcome=success", "--json").json
    assert find.call_args.kwargs == {"before": "v1.1.0"}
    first = page.call_args_list[0].kwargs
    assert (first["result"], first["note"], first["seconds"]) == ("failure", "A note", 7200)
    assert first["last"] == last
    assert result.stdout == "# Page\n"
    assert parts == {"outcome": "success", "note": None, "text": "# Page"}


def test_summary_is_written_without_github(call: Call) -> None:
    """If GitHub cannot be reached, the summary compares nothing and says so."""
    Path("packages-arm64.txt").write_text("bash 5.2\n")
    error = RemoteError("cannot read releases: 403")
    with patch(f"{PIPELINE}.releases.find_last_packages", side_effect=error):
        result = call("summary", **ENV)
    assert (result.code, "failed" in result.stdout) == (0, True)
    assert "packages are not compared: cannot read releases: 403" in result.stderr


def test_pack_sets_one_output_that_attach_reads(call: Call) -> None:
    """What `pack` prints is what `attach` and `issue` unpack, by both names of the option."""
    Path("manifest.json").write_text('{"builds": []}')
    packed = call("pipeline", "pack")
    name, _, line = packed.stdout.strip().partition("=")
    assert name == "bundle"
    assert call("bundle", "--json").json == {"files": ["manifest.json"], "bundle": line}
    done = AttachedFiles("https://github.test/r/1", ["manifest.json"], [], ["build-report.json"])
    with mock.patch(
        f"{PIPELINE}.releases.attach_artifacts", autospec=True, return_value=done
    ) as attach:
        for option in ("--artifacts", "--bundle"):
            result = call("pipeline", "attach", "--tag=v1", option, line, "--dry-run", **ENV)
            assert result.stdout.splitlines() == [
                "would attach: manifest.json", "already attached: build-report.json", done.url,
            ]  # fmt: skip
        env = {"GITHUB_REF_NAME": "v1", "PACKER_BUILD_BUNDLE": line}
        parts = call("attach", "--replace", "--json", **env, **ENV).json
    assert parts["attached"] == ["manifest.json"]
    _, tag, records = attach.call_args.args
    assert (tag, sorted(records.files)) == ("v1", ["manifest.json"])
    assert attach.call_args.kwargs == {"replace": True, "dry_run": False}


def test_attach_needs_a_manifest(call: Call) -> None:
    """Without manifest.json there is nothing to attach."""
    result = call("pipeline", "attach", "--tag=v1", **ENV)
    assert (result.code, "manifest.json is missing: build" in result.error) == (3, True)


def test_pack_leaves_out_what_is_too_long(call: Call) -> None:
    """Package lists that make the output too long are left out, with a warning."""
    Path("manifest.json").write_text("{}")
    Path("packages-arm64.txt").write_text("bash 5.2\n")
    with mock.patch(f"{PIPELINE}.artifacts.LONGEST_BUNDLE", 250):
        small = call("pipeline", "pack", "--json")
        with mock.patch(f"{PIPELINE}.artifacts.LONGEST_BUNDLE", 20):
            result = call("pipeline", "pack", "--json")
    assert small.json["files"] == ["manifest.json", "packages-arm64.txt"]
    assert result.json["files"] == ["manifest.json"]
    assert "too long for a job output" in result.stderr


def record(problem: str = "", action: str = "none", number: int = 0) -> Any:
    """Let the room record a result like this."""
    change = IssueChange(action, number, f"https://github.test/i/{number}", "text", problem)
    return patch(f"{PIPELINE}.record.record_result", return_value=change)


@pytest.mark.parametrize(
    ("arguments", "env", "kind"),
    [
        (("pipeline", "issue", "--outcome=failure"), {}, "daily"),
        (("report", "--outcome=failure", "--kind=release"), {}, "release"),
        (("report",), {"PACKER_BUILD_OUTCOME": "failure", "GITHUB_REF_TYPE": "tag"}, "release"),
    ],
)
def test_issue_updates_with_the_values_of_the_run(
    call: Call, arguments: tuple[str, ...], env: dict[str, str], kind: str
) -> None:
    """The run is described by options or variables, and the action is printed."""
    options = ("--version=1.2.3", "--commit=c0ffee", "--run-url=https://run")
    with record(action="opened", number=7) as update:
        result = call(*arguments, *options, **ENV, **env)
    run = update.call_args.args[2]
    assert run == RunContext(kind, "web", "1.2.3", "https://run", "c0ffee")
    assert update.call_args.kwargs["succeeded"] is False
    assert result.stdout == "opened issue #7: https://github.test/i/7\n"


def test_issue_takes_the_outcome_of_the_report(call: Call) -> None:
    """Without --outcome, the exit code in the build report decides; without both, nothing can."""
    missing = call("pipeline", "issue", **ENV)
    assert (missing.code, "build the image first, or give --outcome" in missing.error) == (3, True)
    for code, outcome in ((0, "success"), (1, "failure")):
        Path("build-report.json").write_text(json.dumps({**REPORT, "exit_code": code}))
        with record() as update:
            result = call("pipeline", "issue", **ENV)
        assert update.call_args.kwargs["succeeded"] is (code == 0)
        assert result.stdout == f"build: {outcome}; no issue to change\n"


def test_issue_reports_a_problem_of_github(call: Call) -> None:
    """A failure to update GitHub is a warning, and an error with --strict."""
    with record("GitHub cannot be reached"):
        lenient = call("pipeline", "issue", "--outcome=success", **ENV)
        strict = call("pipeline", "issue", "--outcome=success", "--strict", "--json", **ENV)
    assert (lenient.code, lenient.stderr) == (0, "warning: GitHub cannot be reached\n")
    assert (strict.code, strict.error) == (4, "GitHub cannot be reached")
    assert strict.json["problem"] == "GitHub cannot be reached"


def test_issue_previews_the_text(call: Call) -> None:
    """--dry-run prints the issue that a first failure would open, and asks GitHub nothing."""
    result = call("pipeline", "issue", "--outcome=failure", "--dry-run", **ENV)
    assert result.stdout.startswith("The daily build of web ")
    assert call("report", "--outcome=success", "--dry-run", **ENV).stdout == (
        "build: success; no issue to change\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("pipeline", "status", "--outcome=cancelled", "--commit=c0ffee"),
        ("template-pr", "--checked=cancelled", "--commit=c0ffee"),
    ],
)
def test_status_is_set_by_both_names(call: Call, arguments: tuple[str, ...]) -> None:
    """`pipeline status` does what `template-pr --checked` of 1.x does."""
    with patch(f"{PIPELINE}.status.set_check_status") as set_status:
        assert call(*arguments, **ENV).stdout == ""
        set_status.assert_called_once_with(ACCESS, "c0ffee", "cancelled")
        dry = call(*arguments, "--dry-run", **ENV)
        parts = call(*arguments, "--dry-run", "--json", **ENV).json
        set_status.assert_called_once()
    assert dry.stdout == "would set the status of c0ffee: failure\n"
    assert parts == {"commit": "c0ffee", "state": "failure", "dry_run": True}
