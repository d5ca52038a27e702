"""What a release of the template says, and what is not released."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from rig.template import ROOT

SCRIPT = ROOT / ".ci/release_notes.py"
SPEC = importlib.util.spec_from_file_location("release_notes", SCRIPT)
assert SPEC
assert SPEC.loader
MODULE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MODULE)

CHANGELOG = """\
# Changelog

## Unreleased

### Added
- Later.

## [1.1.0] - 2026-11-25

### Changed
- This.

## v1.0.0

- First.
"""
PINNED = f'{{%- set toolkit_digest = "sha256:{"0" * 64}" -%}}'


def test_notes_are_the_section_of_the_version() -> None:
    """In either spelling, and not the next one's."""
    assert MODULE.notes("v1.1.0", CHANGELOG, PINNED, []) == "### Changed\n- This.\n"
    assert MODULE.notes("v1.0.0", CHANGELOG, PINNED, ["v0.9.0"]) == "- First.\n"


@pytest.mark.parametrize(
    ("version", "pins", "tags", "said"),
    [
        ("1.1.0", PINNED, [], "no version such as v1.2.3"),
        ("v1.1.0; id", PINNED, [], "no version such as v1.2.3"),
        ("v1.1.0", PINNED, ["v1.1.0"], "tagged already"),
        ("v2.0.0", PINNED, [], "no section v2.0.0"),
        ("v1.1.0", '{%- set toolkit_digest = "" -%}', [], "pins no digest"),
    ],
)
def test_what_is_not_ready_is_refused(version: str, pins: str, tags: list[str], said: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=said):
        MODULE.notes(version, CHANGELOG, pins, tags)


def test_script_ends_with_one_line() -> None:
    """And exit code 1."""
    command = [sys.executable, SCRIPT, "$(touch x)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "release_notes.py: '$(touch x)' is no version such as v1.2.3\n"
