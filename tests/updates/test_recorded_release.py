"""What Copier has recorded as the template's version is understood as one of its releases."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from packer_toolkit.template.source import match_release, resolve_release
from rig.repositories.template import git, release
from rig.run.updating import state, toolkit

pytestmark = pytest.mark.integration

ANSWERS = ".copier-answers.yml"


@pytest.fixture
def tagged(small: Path, tmp_path: Path) -> Path:
    """Return a copy of the small template, for more tags and commits."""
    return Path(shutil.copytree(small, tmp_path / "template", symlinks=True))


def record(project: Path, template: Path | str, recorded: str) -> None:
    """Record a version of a template, and commit that."""
    file = project / ANSWERS
    answers = {**yaml.safe_load(file.read_text()), "_src_path": str(template), "_commit": recorded}
    file.write_text(f"# Written by Copier\n{yaml.safe_dump(answers)}")
    git(project, "commit", "--quiet", "--all", "-m", "Record")


def commit(template: Path, text: str = "more\n") -> str:
    """Add a commit to a template that changes one of its files, and return its id."""
    (template / "template" / "more.txt").write_text(text)
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "-m", "More")
    return git(template, "rev-parse", "HEAD")


OTHER_TAGS = ["toolkit-v1.0.0", "toolkit-v9.9.9", "stable", "v1", "20261101", "2026.11.1", "a/b"]


@pytest.mark.parametrize("annotated", [False, True], ids=["lightweight", "annotated"])
@pytest.mark.parametrize("release_annotated", [False, True], ids=["v light", "v annotated"])
@pytest.mark.parametrize("tag", OTHER_TAGS)
def test_other_tag_of_a_release(
    tagged: Path, project: Path, tag: str, annotated: bool, release_annotated: bool
) -> None:
    """Another tag of a release's commit is that release, lightweight or annotated (field 3)."""
    if release_annotated:
        git(tagged, "tag", "--force", "-m", "Release", "v1.0.0", "v1.0.0")
    options = ["-m", "Other"] if annotated else []
    git(tagged, "tag", *options, tag, "v1.0.0^{commit}")
    for template in (tagged, f"file://{tagged}"):
        record(project, template, tag)
        answer = toolkit(project, "template-check", "--json")
        assert (answer.code, answer.json["release"], answer.json["newest"]) == (
            1,
            "v1.0.0",
            "v2.1.0",
        )


@pytest.mark.parametrize("form", ["tag", "commit", "short commit", "described"])
def test_update_from_another_tag(tagged: Path, project: Path, form: str) -> None:
    """Updates, their pull request and their undo name releases only (field 3)."""
    for tag in ("v1.0.0", "v2.1.0"):
        git(tagged, "tag", "-m", "Toolkit", f"toolkit-{tag}", f"{tag}^{{commit}}")
    sha = git(tagged, "rev-parse", "v1.0.0^{commit}")
    forms = {
        "tag": "toolkit-v1.0.0",
        "commit": sha,
        "short commit": sha[:7],
        "described": f"toolkit-v0.9.0-3-g{sha[:7]}",
    }
    record(project, tagged, forms[form])
    git(project.parent, "init", "--quiet", "--bare", "origin.git")
    git(project, "remote", "add", "origin", str(project.parent / "origin.git"))
    before = state(project)
    shown = toolkit(project, "template-pr", "--dry-run").stdout
    assert "this repository is at `v1.0.0`." in shown
    assert toolkit(project, "template-diff", "--json").json["from"] == "v1.0.0"
    answer = toolkit(project, "template-update")
    assert (answer.code, answer.stdout.splitlines()[0].partition(";")[0]) == (
        0,
        "Updated from v1.0.0 to v2.1.0",
    )
    # Copier alone would record the other tag again.
    assert yaml.safe_load((project / ANSWERS).read_text())["_commit"] == "v2.1.0"
    undone = toolkit(project, "template-update", "--undo")
    assert "as they were at v1.0.0" in undone.stdout
    assert state(project) == before


@pytest.mark.parametrize("tag", ["20261101", "v1", "2026.11.1", "stable", "toolkit-v9.9.9"])
def test_update_from_a_tag_that_looks_newer(tagged: Path, project: Path, tag: str) -> None:
    """A tag of a release's commit that is a higher number does not stop an update (field 3)."""
    for at in ("v1.0.0", "v2.1.0"):
        git(tagged, "tag", "--force", "-m", "Other", tag, f"{at}^{{commit}}")
        if at == "v1.0.0":
            git(tagged, "tag", "-m", "Other", f"{tag}.1", f"{at}^{{commit}}")
    record(project, tagged, f"{tag}.1")
    answer = toolkit(project, "template-update", "--json")
    assert (answer.code, answer.json["from"], answer.json["to"]) == (0, "v1.0.0", "v2.1.0")
    assert yaml.safe_load((project / ANSWERS).read_text())["_commit"] == "v2.1.0"


def test_migrations_see_the_release(tagged: Path, project: Path) -> None:
    """A migration runs, and gets a version that git understands, from another tag too (field 3)."""
    git(tagged, "tag", "toolkit-v1.0.0", "v1.0.0")
    with (tagged / "copier.yml").open("a") as file:
        file.write(
            "_migrations:\n  - version: v3.0.0\n    command: ['sh', '-c', "
            "'echo {{ _version_pep440_from }} >migrated.txt']\n"
        )
    release(tagged, "v3.0.0")
    git(tagged, "tag", "-m", "Toolkit", "toolkit-v3.0.0")
    record(project, tagged, "toolkit-v1.0.0")
    assert toolkit(project, "template-update", "--trust").code == 0
    assert (project / "migrated.txt").read_text().startswith("1.0.0")


def test_commits_after_a_release(tagged: Path, project: Path) -> None:
    """A commit without a release counts from the nearest one before it (field 3)."""
    sha = commit(tagged)
    described = git(tagged, "describe", "--tags")
    assert re.fullmatch(r"v2\.1\.0-1-g[0-9a-f]+", described)
    git(tagged, "tag", "-m", "Toolkit", "toolkit-v2.2.0")
    for template in (str(tagged), f"file://{tagged}"):
        for recorded in (sha, sha[:8], "toolkit-v2.2.0", described, f"toolkit-v2.2.0-0-g{sha[:7]}"):
            assert resolve_release(template, recorded) == described
    later = commit(tagged, "even more\n")
    described = git(tagged, "describe", "--tags", "--match=v*")
    assert resolve_release(str(tagged), f"toolkit-v2.2.0-1-g{later[:7]}") == described
    record(project, tagged, f"toolkit-v2.2.0-1-g{later[:7]}")
    answer = toolkit(project, "template-check")
    assert (answer.code, answer.stdout) == (
        0,
        f"Up to date: {described} is newer than the template's newest release.\n",
    )
    # It becomes a release.
    git(tagged, "tag", "v2.3.0")
    assert resolve_release(str(tagged), f"toolkit-v2.2.0-1-g{later[:7]}") == "v2.3.0"
    assert resolve_release(str(tagged), described) == "v2.3.0"


@pytest.mark.parametrize("remote", [False, True], ids=["folder", "URL"])
def test_commit_that_nobody_has(tagged: Path, project: Path, remote: bool) -> None:
    """A copy of uncommitted changes is refused with the release to record instead (field 30)."""
    record(project, f"file://{tagged}" if remote else tagged, "v1.1.0-1-g0123abc")
    for command in ("template-check", "template-update"):
        answer = toolkit(project, command)
        assert answer.code == 3
        assert "v1.1.0-1-g0123abc, a commit that the template does not have" in answer.stderr
        assert "set it to the release before that commit, such as v1.1.0" in answer.stderr
        assert "\n" not in answer.stderr


def test_advice_for_a_commit_that_nobody_has_leads_to_an_update(
    tagged: Path, project: Path
) -> None:
    """The release that the message names is one, and with it the update is taken (field 30)."""
    record(project, tagged, "toolkit-v1.0.0-1-g0123abc")
    answer = toolkit(project, "template-update", "--trust")
    assert answer.code == 3
    named = answer.stderr.partition("such as ")[2].partition(",")[0]
    assert named == "v1.0.0"
    record(project, tagged, named)
    assert toolkit(project, "template-update", "--trust").code == 0


@pytest.mark.parametrize("recorded", ["main", "no-such-tag", "0123abc", "toolkit-v1.0.0"])
def test_what_names_no_release(tagged: Path, project: Path, recorded: str) -> None:
    """A branch, an unknown tag and an unknown commit are refused in one line (field 3)."""
    record(project, tagged, recorded)
    answer = toolkit(project, "template-update")
    assert answer.code == 3
    assert f"_commit of {ANSWERS} is {recorded}, which is not a release" in answer.stderr
    assert "\n" not in answer.stderr


def test_dates_are_not_releases_beside_versions(tagged: Path, project: Path) -> None:
    """A tag such as 20261101 is not taken for the newest release (field 3)."""
    git(tagged, "tag", "20261101", "v1.1.0")
    record(project, tagged, "v1.0.0")
    assert toolkit(project, "template-check", "--json").json["newest"] == "v2.1.0"


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ("v1.0.0", "v1.0.0"),
        ("toolkit-v1.0.0", "v1.0.0"),
        ("toolkit-v1.0.0-4-gabcdef0", "v1.0.0-4-gabcdef0"),
        ("v1.0.0-4-gabcdef0", "v1.0.0-4-gabcdef0"),
        ("v1.0.0-4-g2222222", "v1.1.0"),
        ("1111111", "v1.0.0"),
        ("toolkit-v2.0.0", None),
        ("3333333", None),
        ("main", None),
    ],
)
def test_tags_alone_show_most(recorded: str, expected: str | None) -> None:
    """What a fleet shows needs no more than the template's tags (field 3)."""
    tags = {
        "v1.0.0": "1" * 40,
        "toolkit-v1.0.0": "1" * 40,
        "v1.1.0-rc.1": "2" * 40,
        "v1.1.0": "2" * 40,
        "toolkit-v2.0.0": "3" * 40,
    }
    assert match_release(recorded, tags) == expected
