"""The hidden comment in which the issue about failed builds stores its state."""

from __future__ import annotations

import pytest

from packer_toolkit.pipeline.issue_state import (
    LONGEST,
    IssueState,
    LastSuccess,
    read_state,
    replace_state,
    write_body,
)

STATE = IssueState(
    open=True,
    kind="release",
    version="1.2.3",
    failures=4,
    good=LastSuccess({"arm64": {"id": "ami-1", "name": "debian --> <b>"}}, "https://x", "abc"),
)


def test_state_survives_the_body() -> None:
    """What is written is read again, and no value ends the hidden comment."""
    body = write_body(STATE, "text\n")
    assert read_state(body) == STATE
    assert body.count("-->") == 1
    assert body.endswith(" -->\ntext\n")


def test_text_of_the_user_survives_a_new_state() -> None:
    """Only the hidden comment changes."""
    body = replace_state(write_body(IssueState(), "text"), STATE)
    assert body == write_body(STATE, "text")
    assert replace_state(None, IssueState()) == write_body(IssueState(), "")


def test_state_of_release_1_0_0_is_read() -> None:
    """Toolkit 1.0.0 wrote the same keys."""
    body = (
        '<!-- packer-toolkit:build-failure {"failures": 2, "good": {"commit": "abc", "parents": '
        '{"x86_64": {"id": "ami-1", "name": "x"}}, "url": "https://x"}, "kind": "daily", '
        '"open": true, "version": ""} -->\nThe daily build'
    )
    good = LastSuccess({"x86_64": {"id": "ami-1", "name": "x"}}, "https://x", "abc")
    assert read_state(body) == IssueState(True, kind="daily", failures=2, good=good)


@pytest.mark.parametrize(
    "body", [None, "", "text", "text <!-- packer-toolkit:build-failure {} -->"]
)
def test_other_bodies_have_no_state(body: str | None) -> None:
    """A body that does not begin with the hidden comment is not ours."""
    assert read_state(body) is None


@pytest.mark.parametrize(
    "hidden", ["{oops}", '{"failures": "many"}', '{"good": []}', '{"open": 7}', '{"a": {"b": 1}']
)
def test_damaged_state_counts_as_not_open(hidden: str) -> None:
    """An issue whose hidden comment a user damaged is still ours."""
    assert read_state(f"<!-- packer-toolkit:build-failure {hidden} -->") == IssueState()


def test_long_text_is_cut() -> None:
    """GitHub refuses more than 65536 characters."""
    assert len(write_body(STATE, "x" * 100_000)) < LONGEST + 1000
