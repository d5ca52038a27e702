"""Releases, changelog and clone of a template, and the answers that name them."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version
from plain_project import QUESTIONS, commit_all, create_project, write_answers, write_files

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.repository.answers_file import DEFAULT as ANSWERS_FILE
from packer_toolkit.template.blocking_files import require_seen_by_git
from packer_toolkit.template.changelog import read_news, select_sections
from packer_toolkit.template.exported_template import pack_template, read_template
from packer_toolkit.template.project import (
    Project,
    find_uncommitted,
    require_clean,
    require_commit,
    require_committed_answers,
)
from packer_toolkit.template.project_copy import fetch_missing
from packer_toolkit.template.source import (
    clone_template,
    describe_up_to_date,
    find_newest_release,
    find_release,
    list_releases,
    parse_version,
    require_version,
    resolve_release,
)
from packer_toolkit.template.update import choose_release
from rig.repositories.template import git, release

CHANGELOG = """\
# Changelog

## 1.1.0 - 2027-01-01

- New.
```
## 9.9.9
```

## [1.0.0]

- First.

[1.0.0]: https://git.example
"""


@pytest.fixture
def plain_template(tmp_path: Path) -> Path:
    """Return a template repository with two releases, a prerelease and other tags."""
    folder = tmp_path / "template"
    git_folder = folder
    git_folder.mkdir()
    git(folder, "init", "--quiet", "--template=", "-b", "main")
    write_files(folder, {"toolkit/pyproject.toml": "x\n", "tests/test.py": "x\n"})
    write_files(folder, {"copier.yml": "_subdirectory: template\n", "template/a.txt": "a\n"})
    release(folder, "v1.0.0")
    git(folder, "tag", "-a", "-m", "The toolkit", "toolkit-v1.0.0")
    git(folder, "tag", "20271231")
    write_files(folder, {"CHANGELOG.md": CHANGELOG})
    release(folder, "v1.1.0")
    release(folder, "v2.0.0rc1")
    return folder


def create_from(template: Path, folder: Path, release: str = "v1.0.0") -> Project:
    """Create a committed project whose answers file names a template."""
    create_project(folder)
    text = f"_commit: {release}\n_src_path: {template}\n{QUESTIONS}"
    write_files(folder, {ANSWERS_FILE: text})
    commit_all(folder)
    return Project.read(folder)


def test_releases_are_tags_of_full_versions(plain_template: Path) -> None:
    """Other tags are not releases, and a prerelease is not the newest release."""
    source = str(plain_template)
    assert [item.tag for item in list_releases(source)] == ["v1.0.0", "v1.1.0", "v2.0.0rc1"]
    assert find_newest_release(source).tag == "v1.1.0"
    assert find_release(source, "1.0.0").tag == "v1.0.0"
    with pytest.raises(SetupError, match=r"has no release v7; its newest are v2.0.0rc1, v1.1.0"):
        find_release(source, "v7")


def test_a_template_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """A folder that does not exist, and a template without releases, are named."""
    with pytest.raises(RemoteError, match=r"the folder does not exist; check the address in x"):
        list_releases(str(tmp_path / "nowhere"), "x")
    git(tmp_path, "init", "--quiet", "--template=")
    with pytest.raises(RemoteError, match="has no release yet"):
        find_newest_release(str(tmp_path))


def test_recorded_versions_are_resolved(plain_template: Path) -> None:
    """A tag of the same commit, a commit and a described commit lead to a release."""
    source = str(plain_template)
    first = git(plain_template, "rev-parse", "v1.0.0^{commit}")
    assert resolve_release(source, "toolkit-v1.0.0") == "v1.0.0"
    assert resolve_release(source, first) == resolve_release(source, first[:9]) == "v1.0.0"
    assert resolve_release(source, "main") == "main"
    git(plain_template, "commit", "--quiet", "--allow-empty", "-m", "After")
    later = git(plain_template, "rev-parse", "--short", "HEAD")
    assert resolve_release(source, later).startswith("v2.0.0rc1-1-g")
    with pytest.raises(SetupError, match="a commit that the template does not have"):
        resolve_release(source, "v1.1.0-3-g0123456")
    with pytest.raises(SetupError, match="which is not a release of the template"):
        require_version("main")


def test_a_version_is_that_of_its_tag() -> None:
    """A commit after a release is newer than it, and another text is not a version."""
    after = parse_version("v1.0.0-3-gabcdef0")
    assert after
    assert Version("1.0.0") < after < Version("1.0.1")
    assert parse_version("main-3-gabcdef0") is None
    assert describe_up_to_date("v1.0.0", "v1.0.0") == "This repository is at v1.0.0 already."
    assert "is the template's newest release" in describe_up_to_date("v1.0.0")
    assert "is newer than" in describe_up_to_date("v1.0.0-3-gabcdef0")


def test_news_are_the_sections_after_a_release(plain_template: Path) -> None:
    """Sections after the present release are news; code blocks have no headings."""
    newest = find_newest_release(str(plain_template))
    news = read_news(str(plain_template), Version("1.0.0"), newest)
    assert news == "## 1.1.0 - 2027-01-01\n\n- New.\n```\n## 9.9.9\n```"
    oldest = list_releases(str(plain_template))[0]
    assert read_news(str(plain_template), Version("0.1"), oldest) == ""
    assert select_sections(CHANGELOG, Version("0.1"), Version("1.0.0")).endswith("- First.")


def test_the_release_to_update_to_is_never_older(plain_template: Path, tmp_path: Path) -> None:
    """An older release is refused; a commit that no release has stays."""
    project = create_from(plain_template, tmp_path / "web")
    assert choose_release(project, None) == "v1.1.0"
    newer = create_from(plain_template, tmp_path / "newer", "v1.1.0")
    with pytest.raises(SetupError, match=r"v1.0.0 is older; updates only go forward"):
        choose_release(newer, "v1.0.0")
    git(plain_template, "tag", "-d", "v2.0.0rc1")
    git(plain_template, "commit", "--quiet", "--allow-empty", "-m", "After")
    commit = git(plain_template, "rev-parse", "HEAD")
    after = create_from(plain_template, tmp_path / "after", commit)
    assert choose_release(after, None) == after.release


def test_an_exported_template_has_both_releases(plain_template: Path, tmp_path: Path) -> None:
    """A line passes both releases and the toolkit to the next job, without other files."""
    project = create_from(plain_template, tmp_path / "web")
    clone = clone_template(project.source, tmp_path / "clone.git")
    assert git(clone, "remote") == ""
    line = pack_template(project, clone, "v1.1.0")
    (tmp_path / "line").write_text(line)
    read = read_template(str(tmp_path / "line"), tmp_path / "read.git")
    assert read == ("v1.1.0", "v1.0.0")
    names = git(tmp_path / "read.git", "ls-tree", "-r", "--name-only", "v1.1.0").split()
    assert names == ["CHANGELOG.md", "copier.yml", "template/a.txt"]
    (tmp_path / "other").write_text("%%%")
    with pytest.raises(SetupError, match="the exported template cannot be read"):
        read_template(str(tmp_path / "other"), tmp_path / "other.git")
    (tmp_path / "other").write_text(line[: len(line) // 2])
    with pytest.raises(SetupError):
        read_template(str(tmp_path / "other"), tmp_path / "other.git")


def test_a_template_that_cannot_be_cloned_is_one_line(tmp_path: Path) -> None:
    """The address, the reason and the next step are named."""
    project = create_from(tmp_path / "nowhere", tmp_path / "web")
    with pytest.raises(RemoteError, match=r"nowhere cannot be fetched: .*; check the network"):
        clone_template(project.source, tmp_path / "clone.git")


def test_an_unknown_release_cannot_be_exported(plain_template: Path, tmp_path: Path) -> None:
    """A recorded release that the template does not have is named."""
    project = create_from(plain_template, tmp_path / "web", "v0.9.0")
    clone = clone_template(project.source, tmp_path / "clone.git")
    with pytest.raises(SetupError, match=r"cannot be exported: .*must have v0.9.0"):
        pack_template(project, clone, "v1.1.0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "was not created from the template; run `packer-toolkit template adopt`"),
        ("_src_path: https://shop.example/t\n", "was not created from this template"),
        (QUESTIONS + "_commit: v1\n", "does not name the template's address"),
        (QUESTIONS + "_src_path: /t\n_commit: 3\n", "does not name its release"),
        (QUESTIONS + "_commit: [\n", "is no YAML|is not YAML|YAML"),
    ],
)
def test_an_unusable_answers_file_is_one_line(
    tmp_path: Path, text: str | None, message: str
) -> None:
    """The folder, the reason and the next step are named."""
    if text is not None:
        (tmp_path / ANSWERS_FILE).write_text(text)
    with pytest.raises(SetupError, match=message):
        Project.read(tmp_path)


def test_the_answers_file_of_another_folder_is_named(tmp_path: Path) -> None:
    """A command in a wrong folder names the folder with the answers file."""
    web = create_project(tmp_path / "web").folder
    with pytest.raises(SetupError, match=f"the answers file is in {web}: run the command there"):
        Project.read(tmp_path)
    with pytest.raises(SetupError, match=f"the answers file is in {web}: run the command there"):
        Project.read(web / "scripts")


def test_a_repository_must_be_committed(tmp_path: Path) -> None:
    """Folders without git, a commit, or committed files are refused in one line each."""
    folder = tmp_path / "web"
    write_files(folder, {ANSWERS_FILE: write_answers("v1.0.0")})
    with pytest.raises(SetupError, match="not in the work tree of a git repository"):
        require_commit(Project.read(folder))
    git(folder, "init", "--quiet", "--template=")
    with pytest.raises(SetupError, match="has no commit yet"):
        require_commit(Project.read(folder))
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "Empty")
    write_files(folder / "sub", {ANSWERS_FILE: write_answers("v1.0.0")})
    with pytest.raises(SetupError, match="is not committed yet"):
        require_commit(Project.read(folder / "sub"))
    with pytest.raises(SetupError, match=r"git add --force .copier-answers.yml, and commit"):
        require_committed_answers(Project.read(folder))


def test_uncommitted_changes_are_refused(tmp_path: Path) -> None:
    """Changed and untracked files, unfinished merges and a linked answers file are refused."""
    project = create_project(tmp_path / "web")
    require_clean(project)
    write_files(project.folder, {"run.sh": "x\n", "new.txt": "x\n"})
    assert find_uncommitted(project) == ["run.sh", "new.txt"]
    with pytest.raises(SetupError, match=r"uncommitted changes \(run.sh, new.txt\); commit them"):
        require_clean(project)
    (project.git_dir / "MERGE_HEAD").write_text(project.head)
    with pytest.raises(SetupError, match=r"a merge is in progress; finish it, or cancel it"):
        require_clean(project)
    (project.git_dir / "MERGE_HEAD").unlink()
    (project.folder / ANSWERS_FILE).rename(tmp_path / "elsewhere.yml")
    (project.folder / ANSWERS_FILE).symlink_to(tmp_path / "elsewhere.yml")
    commit_all(project.folder)
    with pytest.raises(SetupError, match="is a symbolic link"):
        require_clean(Project.read(project.folder))


def test_changes_that_git_ignores_are_refused(tmp_path: Path) -> None:
    """Files that are assume-unchanged, skip-worktree or left out are named with the command."""
    project = create_project(tmp_path / "web")
    git(project.folder, "update-index", "--assume-unchanged", "run.sh")
    git(project.folder, "update-index", "--skip-worktree", "build.hcl")
    expected = (
        r"git is set to ignore changes of build.hcl, run.sh, which .* --no-skip-worktree -- b"
    )
    with pytest.raises(SetupError, match=expected):
        require_seen_by_git(project, ["run.sh", "build.hcl"], ["new.txt"])
    require_seen_by_git(project, [], [])
    git(project.folder, "update-index", "--no-assume-unchanged", "run.sh")
    git(project.folder, "update-index", "--no-skip-worktree", "build.hcl")
    git(project.folder, "sparse-checkout", "set", "lib")
    with pytest.raises(
        SetupError, match=r"sparse checkout leaves out scripts/first.sh, scripts/new"
    ):
        require_seen_by_git(project, ["scripts/first.sh"], ["scripts/new.sh"])


def test_a_partial_clone_fetches_what_it_lacks(tmp_path: Path) -> None:
    """Missing objects are fetched from the remote; without it the reason is one line."""
    origin = create_project(tmp_path / "origin").folder
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    clone = tmp_path / "clone"
    filters = ("--quiet", "--filter=blob:none", "--no-checkout")
    git(tmp_path, "clone", *filters, f"file://{origin}", str(clone))
    project = Project(clone)
    origin.rename(tmp_path / "gone")
    with pytest.raises(RemoteError, match="lacks files of its commit, which cannot be fetched"):
        fetch_missing(project.git, "HEAD^{tree}")
    (tmp_path / "gone").rename(origin)
    fetch_missing(project.git, "HEAD^{tree}")
    missing = git(clone, "rev-list", "--objects", "--missing=print", "HEAD")
    assert "?" not in missing
