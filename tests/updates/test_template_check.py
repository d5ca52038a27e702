"""`packer-toolkit template-check` tells whether there is a newer release, and what is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.version import Version

from packer_toolkit.git.addresses import expand_address
from packer_toolkit.template.changelog import select_sections
from packer_toolkit.template.source import parse_version
from rig.repositories.state import state
from rig.repositories.template import git, release
from rig.run.toolkit import run_toolkit

pytestmark = pytest.mark.integration

ANSWERS = ".copier-answers.yml"


def record(repository: Path, name: str, value: str | None) -> None:
    """Change what an answers file says, or take it out."""
    file = repository / ANSWERS
    lines = [line for line in file.read_text().splitlines() if not line.startswith(f"{name}:")]
    file.write_text("\n".join([*lines, *([f"{name}: {value}"] if value else [])]) + "\n")


def test_a_newer_release_is_exit_code_1_with_its_changes(project: Path) -> None:
    """All sections since the release that the repository is at, and no other."""
    answer = run_toolkit(project, "template-check")
    assert answer.code == 1
    assert "v2.1.0" in answer.stdout
    assert "v1.0.0" in answer.stdout
    for tag in ("v1.1.0", "v2.0.0", "v2.1.0"):
        assert f"- Change of {tag}." in answer.stdout
    assert "Change of v1.0.0" not in answer.stdout
    assert "Unreleased" not in answer.stdout


def test_the_newest_release_is_exit_code_0(made_by: dict[str, Path]) -> None:
    """One line says so."""
    answer = run_toolkit(made_by["v2.1.0"], "template-check")
    assert (answer.code, answer.stdout) == (
        0,
        "Up to date: v2.1.0 is the template's newest release.\n",
    )


def test_json_is_the_whole_answer(project: Path, small: Path) -> None:
    """With the exit code of the readable one."""
    answer = run_toolkit(project, "template-check", "--json")
    assert answer.code == 1
    assert answer.json.pop("changelog").startswith("## 2.1.0")
    assert answer.json == {
        "template": str(small),
        "release": "v1.0.0",
        "newest": "v2.1.0",
        "newer": True,
        "changelog": answer.json["changelog"],
    }


def test_nothing_is_changed(project: Path) -> None:
    """Neither files nor git."""
    before = state(project)
    run_toolkit(project, "template-check")
    assert state(project) == before


def test_a_remote_template_is_read_without_copier(project: Path, small: Path) -> None:
    """Its changelog too, and no clone is left behind."""
    record(project, "_src_path", f"file://{small}")
    answer = run_toolkit(project, "template-check")
    assert answer.code == 1
    assert "- Change of v1.1.0." in answer.stdout


def test_copier_is_not_imported(project: Path) -> None:
    """It alone takes half a second."""
    code = (
        "import sys; from packer_toolkit.cli.main import group; "
        "group.main(['template-check'], standalone_mode=False); "
        "print(sorted({'copier', 'rich', 'boto3'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (lambda p: (p / ANSWERS).unlink(), 3, "has no .copier-answers.yml"),
        (lambda p: record(p, "_commit", None), 3, "does not name its release (_commit)"),
        (lambda p: record(p, "_commit", "0123abc"), 3, "is not a release of the template"),
        (lambda p: record(p, "_commit", "[1]"), 3, "does not name its release"),
        (lambda p: record(p, "_src_path", None), 3, "does not name the template's address"),
        (lambda p: (p / ANSWERS).write_text("{"), 3, "is not valid YAML"),
        (lambda p: (p / ANSWERS).write_text("- a"), 3, "does not contain answers"),
        (lambda p: (p / ANSWERS).write_bytes(b"\xff\xfe\x00"), 3, "is not valid YAML"),
        (lambda p: record(p, "_src_path", "/nowhere/at/all"), 4, "the folder does not exist"),
        (lambda p: record(p, "_src_path", "file:///nowhere"), 4, "cannot be read"),
        (lambda p: record(p, "_src_path", "https://127.0.0.1:9/t.git"), 4, "cannot be read"),
        (lambda p: record(p, "_src_path", "https://me:secret@127.0.0.1:9/t.git"), 4, "127.0.0.1"),
        (lambda p: record(p, "_src_path", "--upload-pack=touch x"), 4, "the folder does not exist"),
    ],
    ids=[
        "no answers file", "no release", "a commit", "a list", "no address", "half YAML",
        "a list of YAML", "no text", "no folder", "no repository", "no network",
        "a secret in the address", "an option of git",
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_one_line(
    project: Path, spoil: Callable[[Path], None], code: int, said: str
) -> None:
    """With what is wrong; never the secret that an address holds."""
    spoil(project)
    answer = run_toolkit(project, "template-check")
    assert answer.code == code
    *warnings, error = answer.stderr.splitlines()
    assert said in error
    assert all("contains a password or token" in warning for warning in warnings)
    assert "secret" not in answer.stderr
    assert answer.stdout == ""


def test_a_private_template_without_access_is_one_line(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's own words, and nobody is asked for a password."""
    refusing = tmp_path / "ssh"
    refusing.write_text(
        "#!/bin/sh\necho 'git@example.com: Permission denied (publickey).' >&2\nexit 255\n"
    )
    refusing.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(refusing))
    record(project, "_src_path", "git@example.com:team/template.git")
    answer = run_toolkit(project, "template-check")
    assert answer.code == 4
    assert "Could not read from remote repository" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_template_without_a_release_is_one_line(project: Path, tmp_path: Path) -> None:
    """Tags that are no versions, and prereleases, are none."""
    template = tmp_path / "template"
    template.mkdir()
    git(template, "init", "--quiet")
    release(template, "nightly")
    git(template, "tag", "v9.0.0rc1")
    record(project, "_src_path", str(template))
    answer = run_toolkit(project, "template-check")
    assert (answer.code, "has no release yet" in answer.stderr) == (4, True)
    record(project, "_commit", "0123abc")  # as Copier does where there is no tag
    answer = run_toolkit(project, "template-check")
    assert (answer.code, "has no release yet" in answer.stderr) == (4, True)


def test_in_a_folder_below_the_right_one_is_named(project: Path) -> None:
    """It is above."""
    answer = run_toolkit(project / "scripts", "template-check")
    assert (
        answer.code,
        f"the answers file is in {project}: run the command there" in answer.stderr,
    ) == (3, True)


def test_above_the_right_folder_one_is_named(project: Path, tmp_path: Path) -> None:
    """It is below, in a repository of several images."""
    image = shutil.copytree(project, tmp_path / "images" / "web")
    answer = run_toolkit(tmp_path / "images", "template-check")
    assert f"the answers file is in {image}: run the command there" in answer.stderr


def test_a_template_without_a_changelog_says_nothing(
    project: Path, small: Path, tmp_path: Path
) -> None:
    """And is no error."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    (template / "CHANGELOG.md").unlink()
    release(template, "v3.0.0")
    record(project, "_src_path", str(template))
    answer = run_toolkit(project, "template-check")
    assert (answer.code, "has no entry" in answer.stdout) == (1, True)


def test_the_environment_of_a_git_hook_does_not_mislead(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There GIT_DIR names another repository."""
    monkeypatch.setenv("GIT_DIR", os.devnull)
    assert run_toolkit(project, "template-check").code == 1


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.2.3", "1.2.3"),
        ("1.2.3", "1.2.3"),
        ("v1.10.0", "1.10"),
        ("v1.2.3-4-g0123abc", "1.2.3.post4"),
        ("v2.0.0-rc.1", "2.0.0rc1"),
        ("0123abc", None),
        ("latest", None),
    ],
)
def test_versions_are_those_of_copier(text: str, version: str | None) -> None:
    """PEP 440; a commit after a release is newer than it."""
    assert parse_version(text) == (Version(version) if version else None)


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("gh:team/template", "https://github.com/team/template.git"),
        ("gh:/team/template.git", "https://github.com/team/template.git"),
        ("gl:team/template", "https://gitlab.com/team/template.git"),
        ("git+https://example.com/t", "https://example.com/t"),
        ("git@github.com:team/template.git", "git@github.com:team/template.git"),
        ("/srv/template", "/srv/template"),
    ],
)
def test_addresses_are_those_of_copier(source: str, url: str) -> None:
    """As Copier's own `get_repo` has them."""
    assert expand_address(source) == url


CHANGELOG = """\
# Changelog

Words before.

## Unreleased

- not yet

## [2.0.0] - 2026-11-30

- two

```sh
## 9.9.9 is no heading in here
```

## 1.10.0

- ten

## v1.9.0 (2026-10-01)

- nine

## 1.0.0

- one

[2.0.0]: https://example.com/2.0.0
"""


@pytest.mark.parametrize(
    ("since", "until", "kept"),
    [
        ("1.9.0", "2.0.0", ["two", "ten"]),
        ("1.0.0", "1.10.0", ["ten", "nine"]),
        ("2.0.0", "2.0.0", []),
        ("1.9.0.post3", "1.10.0", ["ten"]),
    ],
)
def test_the_changelog_between_two_releases(since: str, until: str, kept: list[str]) -> None:
    """Headings in the common forms; link definitions belong to no section."""
    text = select_sections(CHANGELOG, Version(since), Version(until))
    assert [word for word in ("two", "ten", "nine", "one") if f"- {word}" in text] == kept
    assert "not yet" not in text
    assert "https://" not in text
