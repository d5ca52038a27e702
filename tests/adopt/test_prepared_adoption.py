"""An adoption is prepared from a small template, compared and written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from packer_toolkit.adopt.compare import find_nearest_release
from packer_toolkit.adopt.prepare import AdoptionRequest, choose_answers_file, prepare_adoption
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.command import Git
from rig.repositories.template import git, release

COPIER = """\
_subdirectory: template
image_name: {type: str, default: web}
aws_region: {type: str, default: eu-west-1, validator: "REFUSAL"}
keep_demo: {type: bool, default: false}
start_git: {type: bool, default: true}
"""
REFUSAL = (
    "{% if aws_region == 'nowhere-1' %}"
    'aws_region=\\"{{ aws_region }}\\" is refused: no region. Accepted: regions{% endif %}'
)
PACKER = 'source "amazon-ebs" "it" {\n  ami_name = "shop-1"\n  region   = "eu-west-2"\n}\n'


@pytest.fixture
def small_template(tmp_path: Path) -> Path:
    """Return a template with one release, a script, a demo and a file like the team's."""
    folder = tmp_path / "template"
    for path, text in {
        "copier.yml": COPIER.replace("REFUSAL", REFUSAL),
        "hooks/demo-manifest.txt": "demo.sh\n",
        "includes/base_images.jinja": "{% set base_images = {} %}",
        "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}",
        "template/run.sh": "#!/bin/sh\n",
        "template/demo.sh": "#!/bin/sh\n",
        "template/setup.sh": "one\ntwo\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(tmp_path, "init", "--quiet", str(folder))
    release(folder, "v1.0.0")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository of a team, committed."""
    folder = tmp_path / "packer-ami-shop"
    git(tmp_path, "init", "--quiet", str(folder))
    (folder / "web.pkr.hcl").write_text(PACKER)
    (folder / "setup.sh").write_text("one\nours\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Ours")
    return folder


def test_an_adoption_adds_the_accepted_files(small_template: Path, repository: Path) -> None:
    """Answers, states, diffs and files are those of the newest release."""
    request = AdoptionRequest(repository, str(small_template), write=True)
    with prepare_adoption(request) as adoption:
        assert (adoption.release, adoption.found.folder) == ("v1.0.0", ".")
        assert adoption.answers["image_name"].value == "shop"
        assert str(adoption.answers["aws_region"].place) == "web.pkr.hcl:3"
        assert adoption.files == {"run.sh": "missing", "setup.sh": "different"}
        assert adoption.match_missing(["*.sh"]) == ["run.sh"]
        assert adoption.match_missing(["none"]) == []
        with pytest.raises(SetupError, match="the template has no such file"):
            adoption.match_missing(["x"])
        assert "--- a/setup.sh\n+++ b/setup.sh\n" in adoption.diff_different()
        diff = adoption.diff_added(["run.sh"])
        assert "+++ b/run.sh\n" in diff
        assert "+image_name: shop\n" in diff
        written = adoption.write(["run.sh"])
    assert written == ["run.sh", ".copier-answers.yml"]
    answers = yaml.safe_load((repository / ".copier-answers.yml").read_text())
    assert (answers["_commit"], answers["_src_path"]) == ("v1.0.0", str(small_template))
    ours = "image_name: a\nparent_image: b\ntoolkit_image: c/d\n_commit: v1.0.0\n"
    (repository / ".copier-answers.yml").write_text(ours)
    with pytest.raises(SetupError, match=r"already connects this .* at v1\.0\.0; check for"):
        choose_answers_file(repository, None, Git(repository))


def test_a_file_that_cannot_be_written_undoes_the_others(
    small_template: Path, repository: Path
) -> None:
    """Nothing is added when one file conflicts with a new one."""
    with (
        prepare_adoption(AdoptionRequest(repository, str(small_template))) as adoption,
        pytest.raises(SetupError, match=r"setup\.sh cannot be written: .*; nothing was added"),
    ):
        adoption.write(["run.sh", "setup.sh"])
    assert not (repository / "run.sh").exists()


def test_a_refused_value_becomes_a_default(small_template: Path, repository: Path) -> None:
    """The reason is kept for the user; a given answer that is refused ends the adoption."""
    (repository / "web.pkr.hcl").write_text(PACKER.replace("eu-west-2", "nowhere-1"))
    with prepare_adoption(AdoptionRequest(repository, str(small_template))) as adoption:
        assert adoption.refused == {"aws_region": "nowhere-1 (web.pkr.hcl:3): no region"}
        assert adoption.answers["aws_region"].origin == "default"
    request = AdoptionRequest(repository, str(small_template), data={"aws_region": "nowhere-1"})
    with pytest.raises(SetupError, match="is refused: no region"), prepare_adoption(request):
        pass


def test_a_repository_that_cannot_be_adopted_is_refused(
    small_template: Path, repository: Path, tmp_path: Path
) -> None:
    """Each reason has one line with the next step."""

    def prepare(**changes: object) -> None:
        values = {"folder": repository, "template": str(small_template), **changes}
        with prepare_adoption(AdoptionRequest(**values)):  # type: ignore[arg-type]
            pass

    with pytest.raises(SetupError, match="is not a git repository with a commit"):
        prepare(folder=tmp_path)
    with pytest.raises(SetupError, match="is not in"):
        prepare(packer_folder=tmp_path)
    with pytest.raises(SetupError, match="is outside of"):
        prepare(answers_file="../x.yml")
    git(small_template, "tag", "--delete", "v1.0.0")
    with pytest.raises(RemoteError, match="has no release"):
        prepare()
    release(small_template, "v1.0.0")
    (repository / "web.pkr.hcl").unlink()
    with pytest.raises(SetupError, match="all answers would be guesses"):
        prepare()
    (repository / ".gitignore").write_text(".copier-answers.yml\n")
    with pytest.raises(SetupError, match=r"git ignores \.copier-answers\.yml"):
        prepare()
    (repository / ".copier-answers.yml").mkdir()
    with pytest.raises(SetupError, match="is not a file; delete it first"):
        prepare()


def test_the_nearest_release_has_the_fewest_differing_lines(
    repository: Path, tmp_path: Path
) -> None:
    """Missing files count for no release; without copies the newest release is chosen."""
    texts = {"v1.0.0": "one\nours\nx\n", "v1.1.0": "one\nours\n", "v1.2.0": "other\n"}
    for tag, text in texts.items():
        (tmp_path / tag).mkdir()
        (tmp_path / tag / "setup.sh").write_text(text)
        (tmp_path / tag / "new.sh").write_text(tag)
    lines: list[str] = []
    arguments = (repository, list(texts), lambda tag: tmp_path / tag, "a.yml", lines.append)
    assert find_nearest_release(*arguments) == "v1.1.0"
    assert lines[1:] == [
        "Compared with v1.0.0: 1 line differs.",
        "Compared with v1.1.0: 0 lines differ.",
        "Compared with v1.2.0: 3 lines differ.",
    ]
    (repository / "setup.sh").unlink()
    assert find_nearest_release(*arguments) == "v1.2.0"
