"""Outputs, summary, annotations and URL of a workflow run."""

from __future__ import annotations

from pathlib import Path

import pytest

from packer_toolkit.github.actions import add_summary, get_run_url, read_token, set_outputs, warn


def test_outputs_and_summary_go_to_the_files_of_the_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are appended, and a value cannot begin another output."""
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        (tmp_path / name).write_text("before\n")
        monkeypatch.setenv(name, str(tmp_path / name))
    set_outputs({"a": "1\nb=2", "c": ""})
    add_summary("## Title")
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == "before\na=1 b=2\nc=\n"
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text() == "before\n## Title\n"
    assert capsys.readouterr().out == ""


def test_outputs_and_summary_are_printed_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of a workflow a user sees them."""
    set_outputs({"a": "1"})
    add_summary("## Title")
    assert capsys.readouterr().out == "a=1\n## Title\n"


def test_warning_is_an_annotation_of_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning cannot hold a second command of the runner."""
    warn("100 %\n::error::x")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    warn("100 %\n::error::x ##[error]y")
    plain, annotation = capsys.readouterr().err.splitlines()
    assert plain == "warning: 100 % ::error::x"
    assert annotation == "::warning title=packer-toolkit::100 %25 ::error::x ## [error]y"


def test_url_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL has server, repository, run and attempt; outside of a run it is empty."""
    assert get_run_url() == ""
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    assert get_run_url() == "https://github.com/a/b/actions/runs/7"
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://ghes.example")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    assert get_run_url() == "https://ghes.example/a/b/actions/runs/7/attempts/2"


def test_token_has_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """GITHUB_TOKEN takes precedence over GH_TOKEN, which GitHub's command line uses."""
    assert read_token() == ""
    monkeypatch.setenv("GH_TOKEN", "second")
    assert read_token() == "second"
    monkeypatch.setenv("GITHUB_TOKEN", "first")
    assert read_token() == "first"
