"""Results of InSpec in the build report, the summary and the issue, and the advice on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.build.inspec import read_reports, write_results
from packer_toolkit.build.masking import Mask
from packer_toolkit.build.report import has_report_shape
from packer_toolkit.pipeline.advice import suggest_fixes
from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.outcome import RunContext, collect_outcome

CONTROL_ADVICE = "A control failed."
SECRET = "correct-horse-battery"  # noqa: S105


def control(name: str, *statuses: str, **more: Any) -> dict[str, Any]:
    """Return a control with results of these statuses."""
    return {"id": name, "results": [{"status": status, **more} for status in statuses]}


def profile(*controls: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a profile as the auditor reports it."""
    return {"name": "web", "status": "loaded", "status_message": "", "controls": controls, **more}


def read(folder: Path, *profiles: Any, text: str = "") -> Any:
    """Return what is read from a report of one build."""
    file = folder / "amazon-ebs.x86_64.json"
    file.write_text(text or json.dumps({"profiles": profiles}))
    (result,) = read_reports(folder, Mask({"SHOP_TOKEN": SECRET}).everything)
    assert has_report_shape({"inspec": [result]})
    assert result["build"] == "amazon-ebs.x86_64"
    return result


def test_controls_are_counted(tmp_path: Path) -> None:
    """A control with a failed check failed; one with a skipped check was skipped (inspec 1)."""
    result = read(
        tmp_path,
        profile(
            control("a", "passed", "passed"),
            {**control("b", "passed", "failed"), "title": "No root"},
            control("c", "passed", "skipped", skip_message="Skipped control: not here"),
            control("d"),
            control("e", "error"),
        ),
    )
    assert (result["passed"], result["failed"], result["skipped"]) == (1, 2, 2)
    assert result["checks"] == 6
    assert result["failures"] == ["b: No root", "e"]
    assert result["skips"] == ["c: Skipped control: not here"]
    assert result["unloaded"] == []


def test_a_control_of_a_dependency_counts_once(tmp_path: Path) -> None:
    """Its parent lists it too, without results (inspec 1)."""
    child = profile(control("a", "passed"), name="child", parent_profile="web")
    result = read(tmp_path, profile({"id": "a", "results": []}), child)
    assert (result["passed"], result["skipped"]) == (1, 0)


def test_a_profile_that_did_not_run_is_named_with_its_reason(tmp_path: Path) -> None:
    """Skipped, failed, and a dependency that only its parent reports (inspec 10)."""
    result = read(
        tmp_path,
        profile(status="skipped", status_message="Skipping profile: 'web'"),
        profile(status="failed", status_message="Failed to load source\nat line 1", name="b"),
        profile(depends=[{"name": "c", "status": "skipped", "status_message": "Skipping c"}] * 2),
        profile(depends=[{"name": "d", "status": "loaded"}, {"name": "e"}]),
    )
    assert result["unloaded"] == [
        {"profile": "web", "status": "skipped", "reason": "Skipping profile: 'web'"},
        {"profile": "b", "status": "failed", "reason": "Failed to load source"},
        {"profile": "c", "status": "skipped", "reason": "Skipping c"},
    ]


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"profiles": 3}', '{"x": 1}', "\x00"])
def test_a_broken_report_is_reported(tmp_path: Path, text: str) -> None:
    """No control counts, and where it cannot be read the reason is there (inspec 10)."""
    result = read(tmp_path, text=text)
    assert (result["passed"], result["failed"], result["skipped"], result["checks"]) == (0, 0, 0, 0)
    assert "**No control was checked.**" in write_results([result])


@pytest.mark.parametrize("nothing", [None, [], "x", [None]])
def test_null_is_as_good_as_an_empty_list(tmp_path: Path, nothing: Any) -> None:
    """The auditor writes null for what is empty (inspec 10)."""
    read(tmp_path, {**profile(), "controls": nothing, "depends": nothing})
    read(tmp_path, profile({"id": "a", "results": nothing}))


def test_reasons_are_short_and_masked(tmp_path: Path) -> None:
    """20 KB of inspection are cut between words, so that no half of a secret stays (inspec 10)."""
    long = "Failed to load source: " + f"#<Object {SECRET} 210987654321> " * 600
    failed = {**control("a", "failed"), "title": f"Key {SECRET}"}
    skipped = control("b", "skipped", skip_message=f"not for 210987654321 {SECRET}")
    result = read(tmp_path, profile(failed, skipped, status="failed", status_message=long))
    (unloaded,) = result["unloaded"]
    assert len(unloaded["reason"]) <= 200
    assert unloaded["reason"].startswith("Failed to load source: #<Object *** <account>>")
    shown = json.dumps(result)
    assert "correct" not in shown
    assert "210987654321" not in shown


def test_a_report_of_the_first_release_is_shown(tmp_path: Path) -> None:
    """It has neither reasons nor the number of checks (inspec 10)."""
    old = {"build": "docker.local", "passed": 1, "failed": 1, "skipped": 0, "failures": ["a: b"]}
    assert has_report_shape({"inspec": [old]})
    table, failures = write_results([old])
    assert "| `docker.local` | 1 | 1 | 0 |" in table
    assert failures == "- `a: b`"
    assert write_results([]) == ["No controls were run."]


def test_the_page_and_the_issue_show_numbers_and_reasons(tmp_path: Path) -> None:
    """Counts, the reason of a profile, of a control, and that nothing was checked (inspec 10)."""
    skipped = control("b", "skipped", skip_message="not on web")
    result = read(tmp_path, profile(skipped), profile(status="skipped", status_message="Skipping"))
    text = "\n".join(write_results([result, {**result, "build": "amazon-ebs.arm64"}]))
    assert "| `amazon-ebs.x86_64` | 0 | 0 | 1 |" in text
    assert "| `amazon-ebs.arm64` | 0 | 0 | 1 |" in text
    assert "**No control was checked.**" in text
    assert text.count("- `web` was skipped: `Skipping`") == 1
    assert text.count("- Skipped: `b: not on web`") == 1


def test_the_issue_masks_what_other_toolkits_wrote() -> None:
    """Titles of controls may have secrets in them (inspec 10)."""
    old = {"build": "x", "passed": 0, "failed": 1, "skipped": 0, "failures": ["a: 210987654321"]}
    artifacts = BuildArtifacts(
        {"build-report.json": json.dumps({"schema": 1, "inspec": [old]}).encode()}
    )
    assert collect_outcome(artifacts, RunContext("daily")).inspec[0]["failures"] == ["a: <account>"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["InSpec: FAILED: controls failed: web-1"], CONTROL_ADVICE),
        (["Test Summary: 3 successful, 1 failure, 0 skipped"], CONTROL_ADVICE),
        (["Profile Summary: 1 successful control, 12 control failures"], CONTROL_ADVICE),
        (["InSpec: FAILED, no image is created: the profile web was skipped: x"], "`supports`"),
        (
            ["InSpec: FAILED: the profile web could not be loaded: x; controls failed: a"],
            "`supports`",
        ),
        (["InSpec: FAILED, no image is created: the profile has no checks; y"], "`supports`"),
        (["InSpec: FAILED, no image is created: all checks were skipped; y"], "`supports`"),
        (["Skipping profile: 'web' on unsupported platform: 'debian/12.11'."], "`supports`"),
        (["     No tests executed.", "Test Summary: 0 successful, 0 failures"], "`supports`"),
        (
            [
                "Transport error, can't connect to 'ssh' backend: SSH session could not be",
                "InSpec: FAILED: no report: the machine could not be reached, or ...",
            ],
            "could not reach the machine",
        ),
        (["Sudo failed: sudo: a password is required"], "could not reach the machine"),
        (
            ["unsupported key type 'ssh-ed25519' (NotImplementedError)"],
            "could not reach the machine",
        ),
        (["No such file or directory - connect(2) for /var/run/docker.sock"], "could not reach"),
        ([], "The InSpec step failed."),
        (
            ["InSpec: FAILED: no report: the machine could not be reached, or ..."],
            "The InSpec step",
        ),
        (["Test Summary: 0 successful, 0 failures, 5 skipped"], "The InSpec step failed."),
    ],
)
def test_the_advice_names_a_control_only_when_one_failed(lines: list[str], says: str) -> None:
    """Not when the profile was skipped or not loaded, or the machine not reached (inspec 10)."""
    text = suggest_fixes([*lines, "Script exited with non-zero exit status: 1."], "inspec")
    assert says in text[0]
    assert (CONTROL_ADVICE in " ".join(text)) == (says == CONTROL_ADVICE)
    assert "does not hold" not in " ".join(text)
