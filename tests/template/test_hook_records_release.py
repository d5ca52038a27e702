"""A new repository records a release of the template, or the copy reports that it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from rig.repositories.copier_command import run_copier
from rig.repositories.template import git, render

ANSWERS = ".copier-answers.yml"


@pytest.fixture
def own(template: Path, tmp_path: Path) -> Path:
    """Return a copy of the template with its one release, v1.0.0, for more tags and commits."""
    return Path(shutil.copytree(template, tmp_path / "template", symlinks=True))


def copy(template: Path | str, new: Path, *options: str) -> tuple[str, list[str]]:
    """Copy a template by Copier's command.

    Returns:
        What the answers file records as the version, and the notes that were printed.
    """
    command = ["copy", "--trust", "--defaults", "--quiet", *options, "--data=image_name=web"]
    outcome = run_copier(*command, template, new, cwd=new.parent)
    assert outcome.code == 0, outcome.stderr
    file = next(
        (option.partition("=")[2] for option in options if option.startswith("--answers-file")),
        ANSWERS,
    )
    notes = [line for line in outcome.stderr.splitlines() if line.startswith("Note: ")]
    return yaml.safe_load((new / file).read_text()).get("_commit", ""), notes


def add_commit(template: Path) -> None:
    """Add a commit to a template."""
    git(template, "commit", "--quiet", "--allow-empty", "-m", "More")


OTHER_TAGS = ["toolkit-v1.0.0", "stable", "v1", "zzz", "20261101"]


@pytest.mark.parametrize("annotated", [False, True], ids=["lightweight", "annotated"])
@pytest.mark.parametrize("tag", OTHER_TAGS)
def test_release_is_recorded_beside_another_tag(
    own: Path, tmp_path: Path, git_way: str, tag: str, annotated: bool
) -> None:
    """A release's commit with another tag is recorded as the release, and committed (field 3)."""
    options = ["-m", "Other"] if annotated else []
    git(own, "tag", *options, tag, "v1.0.0")
    assert copy(own, tmp_path / "web", "--vcs-ref=v1.0.0") == ("v1.0.0", []), git_way
    assert "_commit: v1.0.0\n" in git(tmp_path / "web", "show", f"HEAD:{ANSWERS}") + "\n"
    assert git(tmp_path / "web", "status", "--porcelain") == ""
    assert git(tmp_path / "web", "rev-list", "--count", "HEAD") == "1"


@pytest.mark.parametrize("reference", ["HEAD", "main", "toolkit-v1.0.0", "SHA"])
def test_release_is_recorded_however_it_was_named(
    own: Path, tmp_path: Path, reference: str
) -> None:
    """HEAD, a branch, another tag or a commit that is a release is recorded so (field 3)."""
    git(own, "tag", "-m", "Toolkit", "toolkit-v1.0.0")
    reference = git(own, "rev-parse", "HEAD") if reference == "SHA" else reference
    assert copy(own, tmp_path / "web", f"--vcs-ref={reference}") == ("v1.0.0", [])


def test_newest_of_several_releases_is_recorded(own: Path, tmp_path: Path) -> None:
    """Of several releases at one commit the newest counts, after its candidates (field 3)."""
    for tag in ("v1.9.0", "v1.10.0-rc.2", "v1.10.0", "v1.10.0-rc.10"):
        git(own, "tag", tag)
    git(own, "tag", "-m", "Other", "other")
    assert copy(own, tmp_path / "web") == ("v1.10.0", [])


def test_url_and_another_answers_file(own: Path, tmp_path: Path) -> None:
    """The release is recorded from a URL and with another answers file, too (field 3, field 4)."""
    git(own, "tag", "-m", "Toolkit", "toolkit-v1.0.0")
    options = ["--vcs-ref=v1.0.0", "--answers-file=.copier/ami.yml"]
    assert copy(f"git+file://{own}", tmp_path / "web", *options) == ("v1.0.0", [])


def test_recopy_records_the_release(own: Path, tmp_path: Path) -> None:
    """Copier's recopy records the release, too (field 3)."""
    git(own, "tag", "-m", "Toolkit", "toolkit-v1.0.0")
    web = tmp_path / "web"
    copy(own, web)
    outcome = run_copier("recopy", "--trust", "--defaults", "--overwrite", cwd=web)
    assert outcome.code == 0, outcome.stderr
    assert git(web, "status", "--porcelain") == ""


def test_update_of_a_new_repository_works(own: Path, tmp_path: Path) -> None:
    """Plain Copier updates a repository whose recorded tag was corrected (field 3)."""
    git(own, "tag", "-m", "Toolkit", "toolkit-v1.0.0")
    web = tmp_path / "web"
    copy(own, web)
    readme = own / "template" / "README.md.jinja"
    readme.write_text(readme.read_text() + "\nA line of the second release.\n")
    git(own, "commit", "--quiet", "--all", "-m", "Release v1.1.0")
    git(own, "tag", "v1.1.0")
    outcome = run_copier("update", "--trust", "--defaults", cwd=web)
    assert outcome.code == 0, outcome.stderr
    assert "_commit: v1.1.0" in (web / ANSWERS).read_text()
    assert "second release" in (web / "README.md").read_text()


@pytest.mark.parametrize("reference", ["HEAD", "main", "SHA", "toolkit-v1.1.0"])
def test_commit_after_a_release_is_reported(
    own: Path, tmp_path: Path, git_way: str, reference: str
) -> None:
    """A copy of anything but a release is reported, with the newest release (field 3)."""
    add_commit(own)
    if reference.startswith("toolkit"):
        git(own, "tag", reference)
    recorded = git(own, "describe", "--tags")
    reference = git(own, "rev-parse", "HEAD") if reference == "SHA" else reference
    commit, (note,) = copy(own, tmp_path / "web", f"--vcs-ref={reference}")
    assert commit == recorded, git_way
    assert f"The template was copied at {recorded} (not a release)" in note
    assert "copy again from a release, such as with --vcs-ref v1.0.0" in note


@pytest.mark.parametrize("other", [False, True], ids=["", "other tag"])
def test_uncommitted_changes_are_reported(own: Path, tmp_path: Path, other: bool) -> None:
    """A copy of uncommitted changes is reported in one line, with the newest release (field 30)."""
    if other:
        git(own, "tag", "-m", "Toolkit", "toolkit-v1.0.0")
    (own / "template" / "more.txt").write_text("more\n")
    commit, (note,) = copy(own, tmp_path / "web", "--vcs-ref=HEAD")
    assert "-1-g" in commit
    assert "uncommitted changes, which updates cannot read" in note
    assert "--vcs-ref v1.0.0" in note


@pytest.mark.parametrize("shallow", [False, True], ids=["no tags", "shallow"])
def test_clone_without_tags_is_reported(own: Path, tmp_path: Path, shallow: bool) -> None:
    """A copy from a clone without tags is reported in one line, with how to get them (field 3)."""
    add_commit(own)
    clone = tmp_path / "clone"
    depth = ["--depth=1"] if shallow else []
    git(tmp_path, "clone", "--quiet", "--no-tags", *depth, f"file://{own}", str(clone))
    commit, (note,) = copy(clone, tmp_path / "web")
    assert commit == git(own, "rev-parse", "--short", "HEAD")
    assert f"has no release tags, so {ANSWERS} records {commit}" in note
    assert "git fetch --tags" in note


def test_fork_with_tags_of_another_form(own: Path, tmp_path: Path) -> None:
    """A fork whose tags have no v keeps them (field 3)."""
    git(own, "tag", "1.0.0")
    git(own, "tag", "--delete", "v1.0.0")
    assert copy(own, tmp_path / "web") == ("1.0.0", [])


def test_overwritten_answers_file_is_reported(own: Path, tmp_path: Path) -> None:
    """A copy over another template's answers file is reported, with how to restore it (field 4)."""
    web = tmp_path / "web"
    git(tmp_path, "init", "--quiet", str(web))
    (web / ANSWERS).write_text("_commit: v3.0.0\n_src_path: ../other\nimage_name: shop\n")
    git(web, "add", "--all")
    git(web, "commit", "--quiet", "-m", "Other")
    commit, (note,) = copy(own, web, "--overwrite")
    assert commit == "v1.0.0"
    assert f"overwritten {ANSWERS}, the answers file of another template; restore it with git" in (
        note
    )
    assert "--answers-file .copier-answers.packer-ami.yml" in note
    git(web, "checkout", "--quiet", "HEAD", "--", ANSWERS)
    options = ["--overwrite", "--answers-file=.copier-answers.packer-ami.yml"]
    assert copy(own, web, *options) == ("v1.0.0", [])
    git(web, "add", "--all")
    git(web, "commit", "--quiet", "-m", "Ours")
    assert copy(own, web, *options) == ("v1.0.0", [])


def test_answers_are_otherwise_unchanged(own: Path, template: Path, tmp_path: Path) -> None:
    """The hook changes one line of the answers file and no other (field 3)."""
    git(own, "tag", "-m", "Toolkit", "toolkit-v1.0.0")
    one = (render(own, tmp_path / "one") / ANSWERS).read_text()
    git(own, "tag", "--delete", "toolkit-v1.0.0")
    assert one == (render(own, tmp_path / "two" / "one") / ANSWERS).read_text()
