"""The outcome of a build is collected without secrets and account IDs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.outcome import BuildOutcome, FailedStep, RunContext, collect_outcome
from rig.repositories.build_reports import SHA, build_report


def collect(run: RunContext, **values: Any) -> BuildOutcome:
    """Collect the outcome of a build with a report."""
    report = json.dumps(build_report(ok=False, **values)).encode()
    return collect_outcome(BuildArtifacts({"build-report.json": report}), run)


def test_outcome_comes_from_the_report() -> None:
    """The report takes precedence over what the run knows, except for the version."""
    run = RunContext(
        "release", "other", "9", "https://x", "f" * 40, [FailedStep("a", "b")], ["log"]
    )
    outcome = collect(run, left=[{"kind": "volume", "id": "vol-1", "region": "eu-west-1",
                                  "reason": "in use"}])  # fmt: skip
    assert (outcome.kind, outcome.image_name, outcome.version) == ("release", "web-server", "9")
    assert (outcome.run_url, outcome.commit) == ("https://x", SHA)
    step = "shell: provisioners/shell/10-update-packages.sh"
    assert outcome.failed_steps == [FailedStep("amazon-ebs.x86_64", step)]
    assert "Unable to locate package nginz" in outcome.lines[0]
    assert outcome.base_images["x86_64"]["id"] == "ami-0aaaaaaaaaaaaaaaa"
    assert outcome.leftovers == ["volume vol-1 in eu-west-1"]
    assert outcome.inspec[0]["passed"] == 12


def test_outcome_without_a_report_comes_from_the_run() -> None:
    """The workflow's own steps and log replace the report."""
    steps = [FailedStep("build", "Assume\nthe role")]
    run = RunContext(
        "daily", "web", failed_steps=steps, lines=["Error: no"], rejected_subject="repo:x"
    )
    outcome = collect_outcome(BuildArtifacts(), run)
    assert outcome.failed_steps == [FailedStep("build", "Assume the role")]
    assert (outcome.lines, outcome.rejected_subject) == (["Error: no"], "repo:x")
    assert collect_outcome(BuildArtifacts(), RunContext("daily")).image_name == "this image"


def test_secrets_are_masked_and_lines_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of this job and account IDs are masked everywhere, before a line is cut."""
    monkeypatch.setenv("REGISTRY_PASSWORD", "correct-horse")
    line = "the word is correct-horse in 111122223333"
    control = {"build": "x", "passed": 0, "failed": 1, "skipped": 0, "failures": [line]}
    outcome = collect(
        RunContext("daily"), last_lines=[line, "x" * 1000] * 50, inspec=[control],
        image_name=line,
    )  # fmt: skip
    for text in (outcome.image_name, *outcome.lines, outcome.inspec[0]["failures"][0]):
        assert "correct-horse" not in text
        assert "111122223333" not in text
        assert len(text) <= 400
    assert len(outcome.lines) == 40
    assert outcome.inspec[0]["failed"] == 1
