"""Bare clones are read where git uses them only by name: safe.bareRepository=explicit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from packer_toolkit.errors import RemoteError
from packer_toolkit.template.changelog import read_news
from packer_toolkit.template.source import list_releases, parse_version
from rig.repositories.template import git
from rig.run.updating import toolkit

pytestmark = pytest.mark.integration

ANSWERS = ".copier-answers.yml"


@pytest.fixture(autouse=True)
def _explicit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let git use bare repositories only where they are named, by the user's configuration."""
    config = tmp_path / "explicit.gitconfig"
    config.write_text(
        "[user]\nname = Tess Tester\nemail = tess@example.com\n[safe]\nbareRepository = explicit\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))


@pytest.fixture(params=["URL", "bare folder", "folder"])
def own(request: pytest.FixtureRequest, project: Path, small: Path, tmp_path: Path) -> Path:
    """Return a repository that names its template by a URL, a bare folder, or a work tree."""
    bare = tmp_path / "small.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(small), str(bare))
    source = {"URL": f"file://{small}", "bare folder": bare, "folder": small}[request.param]
    text = (project / ANSWERS).read_text()
    (project / ANSWERS).write_text(re.sub("(?m)^_src_path: .*$", f"_src_path: {source}", text))
    git(project, "commit", "--quiet", "--allow-empty", "--all", "-m", "Elsewhere")
    return project


def test_changelog_is_shown(own: Path) -> None:
    """The changelog of a template is there, whatever kind of repository it is (field 26)."""
    answer = toolkit(own, "template-check", "--json")
    assert answer.code == 1
    assert "Change of v1.1.0." in answer.json["changelog"]
    assert "Change of v2.1.0." in answer.json["changelog"]


def test_diff_and_update_work(own: Path) -> None:
    """The template is cloned and rendered (field 26)."""
    assert toolkit(own, "template-diff", "--trust").code == 0
    assert toolkit(own, "template-update", "--trust").code == 0
    assert "_commit: v2.1.0" in (own / ANSWERS).read_text()


def test_pull_request_has_the_changelog(own: Path, tmp_path: Path) -> None:
    """Fetch, save and the text of the pull request work with bare clones (field 26)."""
    git(own, "remote", "add", "origin", str(tmp_path / "origin.git"))
    answer = toolkit(own, "template-pr", "--trust", "--dry-run", "--json")
    assert answer.code == 0
    assert "Change of v2.1.0." in answer.json["text"]
    template, saved = tmp_path / "template.txt", tmp_path / "update.txt"
    assert toolkit(own, "template-pr", "--fetch", str(template)).code == 0
    save = ("--template", str(template), "--save", str(saved), "--trust")
    assert toolkit(own, "template-pr", *save).code == 0
    assert saved.stat().st_size


def test_recorded_commit_is_described(own: Path, small: Path) -> None:
    """The release before a recorded commit is found in a bare clone, too (field 26)."""
    commit = git(small, "rev-parse", "v1.1.0")
    text = (own / ANSWERS).read_text().replace("_commit: v1.0.0", f"_commit: {commit}")
    (own / ANSWERS).write_text(text)
    assert toolkit(own, "template-check", "--json").json["release"] == "v1.1.0"


def test_failure_is_not_an_empty_changelog(small: Path, tmp_path: Path) -> None:
    """A changelog that cannot be read is an error with its reason (field 26)."""
    broken = tmp_path / "broken.git"
    git(tmp_path, "clone", "--quiet", "--bare", "--no-hardlinks", str(small), str(broken))
    newest = list_releases(str(broken))[-1]
    since = parse_version("v1.0.0")
    assert since
    for file in (broken / "objects").rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(RemoteError, match="cannot be read"):
        read_news(str(broken), since, newest)


@pytest.mark.parametrize("kind", ["none", "folder"])
def test_release_without_a_changelog(small: Path, tmp_path: Path, kind: str) -> None:
    """A release without a changelog is not an error (field 26)."""
    own = tmp_path / "own"
    git(tmp_path, "clone", "--quiet", str(small), str(own))
    (own / "CHANGELOG.md").unlink()
    if kind == "folder":
        (own / "CHANGELOG.md").mkdir()
        (own / "CHANGELOG.md" / "1.md").write_text("text\n")
    git(own, "add", "--all")
    git(own, "commit", "--quiet", "-m", "No changelog")
    git(own, "tag", "v3.0.0")
    since = parse_version("v1.0.0")
    assert since
    for source in (str(own), f"file://{own}"):
        assert read_news(source, since, list_releases(source)[-1]) == ""
