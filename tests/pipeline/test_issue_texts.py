"""The text of the issue about failed builds and of its comments."""

from __future__ import annotations

from packer_toolkit.pipeline.issue_state import IssueState, LastSuccess
from packer_toolkit.pipeline.issue_text import (
    write_closing_comment,
    write_comment,
    write_description,
    write_title,
)
from packer_toolkit.pipeline.outcome import BuildOutcome, FailedStep

SUCCESS = LastSuccess({"x86_64": {"id": "ami-1"}}, "https://x/runs/1", "abcdef")
OUTCOME = BuildOutcome(
    kind="release",
    image_name="web",
    version="1.2.3",
    run_url="https://x/runs/2",
    failed_steps=[FailedStep("amazon-ebs.x86_64", "ansible: web : Install")],
    lines=["fatal: [default]: FAILED!", "```"],
    base_images={"x86_64": {"id": "ami-2", "name": "debian"}},
    leftovers=["volume vol-1 in eu-west-1"],
    inspec=[{"build": "amazon-ebs.x86_64", "passed": 1, "failed": 0, "skipped": 0}],
)


def test_description_has_what_is_needed() -> None:
    """Build, run, step, base images, last success, output, controls, advice and leftovers."""
    text = write_description(OUTCOME, SUCCESS)
    for part in (
        "The release build of `web` `1.2.3` failed: [run](https://x/runs/2).",
        "| `amazon-ebs.x86_64` | `ansible: web : Install` |",
        "| `x86_64` | `ami-2` `debian` | `ami-1` |",
        "The base image has changed since the last successful build.",
        "Last successful build: [run](https://x/runs/1) of commit `abcdef`.",
        "````text\nfatal: [default]: FAILED!\n```\n````",
        "| `amazon-ebs.x86_64` | 1 | 0 | 0 |",
        "- An Ansible task failed; its name is above the error.",
        "- `volume vol-1 in eu-west-1`\n\nDelete them: `packer-toolkit cleanup`.",
        "the next successful build closes it.",
    ):
        assert part in text, text
    assert write_title(OUTCOME) == "The release build of web fails"


def test_description_without_any_information() -> None:
    """A failure of which nothing is known points to the log of the run."""
    text = write_description(BuildOutcome("daily", "web"), LastSuccess())
    assert text.startswith("The daily build of `web` failed.\n\nThe log of the run shows")
    assert "No successful build is recorded yet." in text
    assert "Base image" not in text


def test_base_image_that_is_gone_is_unknown() -> None:
    """A base image of one side only is no change."""
    success = LastSuccess({"arm64": {"id": "ami-1"}})
    text = write_description(OUTCOME, success)
    assert "| `arm64` | unknown | `ami-1` |" in text
    assert "| `x86_64` | `ami-2` `debian` | unknown |" in text
    assert "has changed" not in text


def test_comment_counts_the_failures() -> None:
    """A comment has no line about how the issue is managed."""
    text = write_comment(OUTCOME, SUCCESS, 7)
    assert "failed: [run](https://x/runs/2). 7 runs in a row have failed.\n" in text
    assert "manages this issue" not in text


def test_rejected_subject_is_explained() -> None:
    """The issue shows the subject of the token, and patterns that accept it."""
    prefix = "repo:acme@1/packer-ami-web@2"
    for kind, ref, ending in (
        ("daily", "refs/heads/main", "*"),
        ("release", "refs/tags/v1", "ref:refs/tags/v*"),
        ("release", "refs/tags/2026", "ref:refs/tags/*"),
    ):
        outcome = BuildOutcome(kind, "web", rejected_subject=f"{prefix}:ref:{ref}")
        text = write_description(outcome, LastSuccess())
        assert f"```text\n{prefix}:ref:{ref}\n```" in text
        assert f"```text\nrepo:acme/packer-ami-web:{ending}\n{prefix}:{ending}\n```" in text


def test_closing_comment_names_a_release_that_is_still_missing() -> None:
    """A daily build closes the issue about a release, and says that the release is not built."""
    daily = BuildOutcome("daily", "web", base_images={"arm64": {"id": "ami-3", "name": ""}})
    text = write_closing_comment(daily, IssueState(kind="release", version="1.2.3"))
    assert text == (
        "The daily build of `web` passes again.\n\nBase image: arm64 `ami-3`.\n\n"
        "The release `1.2.3` is still not built: start its run again.\n"
    )
    assert "still" not in write_closing_comment(OUTCOME, IssueState(kind="release", version="1"))
