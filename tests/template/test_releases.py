"""The releases are found in every clone, and the changelog has what they brought."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.version import Version

from rig.host import tools
from rig.repositories.releases import HEADING, add_releases, releases, why_not
from rig.repositories.template import ROOT, git

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with two releases and something unreleased, without tags.

    The first release was made on a branch and merged, with a commit of somebody else between; the
    second was typed straight into main.
    """
    here = tmp_path / "project"
    (here / "template").mkdir(parents=True)
    git(here.parent, "init", "--quiet", "-b", "main", str(here))
    _commit(here, {"CHANGELOG.md": "# Changelog\n\n## Unreleased\n", "copier.yml": "a: 0\n"})
    git(here, "checkout", "--quiet", "-b", "release")
    _commit(here, {"CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n## 1.0.0 - 2026-11-25\n"})
    git(here, "checkout", "--quiet", "main")
    _commit(here, {"copier.yml": "a: 1\n"})
    git(here, "merge", "--quiet", "--no-ff", "-m", "Merge 1.0.0", "release")
    _commit(here, {"copier.yml": "a: 2\n", "template/new.txt": "new\n"})
    two = "# Changelog\n\n## Unreleased\n\n## 1.10.0\n\n## 1.0.0 - 2026-11-25\n"
    _commit(here, {"CHANGELOG.md": two})
    _commit(here, {"copier.yml": "a: 3\n"})
    return here


def _commit(repository: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (repository / name).write_text(text)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", f"Change {', '.join(files)}")


def test_release_is_the_commit_that_brought_its_heading(project: Path) -> None:
    """A merge is one commit of main, with all that was merged before."""
    found = releases(project)
    assert list(found) == ["v1.0.0", "v1.10.0"]
    assert git(project, "log", "-1", "--format=%s", found["v1.0.0"]) == "Merge 1.0.0"
    assert git(project, "show", f"{found['v1.0.0']}:copier.yml") == "a: 1"
    assert git(project, "show", f"{found['v1.10.0']}:copier.yml") == "a: 2"


def test_releases_are_rebuilt_in_a_clone_without_tags(project: Path, tmp_path: Path) -> None:
    """Each as it was; what a release does not have is not left over."""
    git(tmp_path, "clone", "--quiet", "--no-tags", str(project), "clone")
    template = tmp_path / "template-packer-ami"
    git(tmp_path, "init", "--quiet", str(template))
    (template / "includes").mkdir()
    (template / "includes" / "old.jinja").write_text("gone\n")
    git(template, "add", "--all")
    add_releases(template, tmp_path / "clone")
    assert git(template, "tag").split() == ["v1.0.0", "v1.10.0"]
    files = git(template, "ls-tree", "-r", "--name-only", "v1.0.0").split()
    assert files == ["CHANGELOG.md", "copier.yml"]
    files = git(template, "ls-tree", "-r", "--name-only", "v1.10.0").split()
    assert files == ["CHANGELOG.md", "copier.yml", "template/new.txt"]


def test_shallow_clone_says_why_it_has_no_releases(project: Path, tmp_path: Path) -> None:
    """It would take the oldest commit it has for the release."""
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{project}", "shallow")
    assert "git fetch --unshallow" in why_not(tmp_path / "shallow")
    assert releases(tmp_path / "shallow") == {}
    assert "is no git repository" in why_not(tmp_path)


def test_history_of_this_checkout_is_complete() -> None:
    """Otherwise no update from a release is tested."""
    reason = why_not()
    if reason:
        tools.missing(reason)
    headings = [f"v{number}" for number in HEADING.findall(CHANGELOG)]
    committed = [f"v{number}" for number in HEADING.findall(git(ROOT, "show", "HEAD:CHANGELOG.md"))]
    assert set(committed) == set(releases())
    assert headings == sorted(headings, key=Version, reverse=True)


def test_tags_that_are_there_are_where_the_headings_are() -> None:
    """A tag elsewhere would be another release than the one that is tested."""
    found = releases()
    tags = git(ROOT, "tag", "--list", "v*").split()
    if not tags:
        pytest.skip("NOT CHECKED: where the tags are; this clone has none")
    assert {
        tag: git(ROOT, "rev-parse", f"{tag}^{{commit}}") for tag in tags
    }.items() <= found.items()


def test_changelog_has_a_line_for_each_change() -> None:
    """Sections of Keep a Changelog, none empty, and what is not released stands first."""
    sections = re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]
    assert sections[0].splitlines()[0] == "Unreleased"
    for section in sections[1:]:
        title, _, text = section.partition("\n")
        assert HEADING.match(f"## {title}"), title
        assert re.findall(r"^- \S", text, re.MULTILINE), title
    kinds = set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Breaking", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
