"""The notes of a release come from the changelog, and what is not ready is not released."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig.repositories.template import ROOT, git

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
    """The notes are one section of the changelog, with or without the v in its heading."""
    assert MODULE.read_notes("v1.1.0", CHANGELOG, PINNED, []) == "### Changed\n- This.\n"
    assert MODULE.read_notes("v1.0.0", CHANGELOG, PINNED, ["v0.9.0"]) == "- First.\n"


@pytest.mark.parametrize(
    ("version", "pins", "tags", "said"),
    [
        ("1.1.0", PINNED, [], "not a version such as v1.2.3"),
        ("v1.1.0; id", PINNED, [], "not a version such as v1.2.3"),
        ("v1.1.0", PINNED, ["v1.1.0"], "v1.1.0 has a tag already"),
        ("v2.0.0", PINNED, [], "no section v2.0.0"),
        ("v1.1.0", '{%- set toolkit_digest = "" -%}', [], "has no digest"),
    ],
)
def test_what_is_not_ready_is_refused(version: str, pins: str, tags: list[str], said: str) -> None:
    """A version that cannot be released is refused with the reason."""
    with pytest.raises(ValueError, match=said):
        MODULE.read_notes(version, CHANGELOG, pins, tags)


@pytest.mark.integration
@pytest.mark.integration
def test_script_ends_with_one_line() -> None:
    """The script prints one line and exits with 1 when it refuses a version."""
    command = [sys.executable, SCRIPT, "$(touch x)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "release_notes.py: '$(touch x)' is not a version such as v1.2.3\n"


@pytest.mark.parametrize(
    ("tags", "at_commit", "said"),
    [
        (["v1.0.0", "toolkit-v1.1.0"], ["toolkit-v1.1.0"], "toolkit-v1.1.0 points to this commit"),
        (["v1.0.0", "latest"], ["latest"], "latest points to this commit"),
        (["v1.0.0", "v1.0.9"], ["v1.0.9"], "v1.0.9 points to this commit"),
        (["v1.0.0", "20261101"], [], "20261101 is not a release"),
        (["v1.0.0", "v2"], [], "v2 is not a release"),
        (["1.2.3"], [], "1.2.3 is not a release"),
    ],
)
def test_other_tags_are_refused(tags: list[str], at_commit: list[str], said: str) -> None:
    """A tag that Copier or git describe could take for the release is refused (field 3)."""
    with pytest.raises(ValueError, match=said) as error:
        MODULE.refuse_other_tags(tags, at_commit)
    assert "; delete it" in str(error.value)
    assert "git push --delete origin" in str(error.value)


def test_tags_of_earlier_toolkits_stay() -> None:
    """Tags that repositories have recorded are accepted at other commits (field 3)."""
    MODULE.refuse_other_tags(["toolkit-v1.0.0", "v1.0.0", "v2.0.0-rc.1"], [])


@pytest.mark.integration
@pytest.mark.integration
def test_tags_of_the_commit_are_looked_up(tmp_path: Path) -> None:
    """The script reads the tags of the commit that is checked out, annotated ones too (field 3)."""
    for part in (".ci/release_notes.py", "includes/toolkit.jinja"):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "includes/toolkit.jinja").write_text(PINNED)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "-m", "Release")
    command = [sys.executable, str(tmp_path / ".ci/release_notes.py"), "v1.1.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "### Changed\n- This.\n")
    git(tmp_path, "tag", "-m", "Toolkit", "toolkit-v1.1.0")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the tag toolkit-v1.1.0 points to this commit" in done.stderr
