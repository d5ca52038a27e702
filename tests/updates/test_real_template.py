"""`template-update` with today's template: as fresh, with the demo on, off and switched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rig.repositories.hook import manifest, tree
from rig.repositories.template import git, release, render, snapshot
from rig.run.updating import state, toolkit, unmerged

pytestmark = pytest.mark.integration

NEW_DEMO = "provisioners/shell/60-demo.sh"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return today's template with v1.1.0, which adds a file to the demo and changes others."""
    template = snapshot(tmp_path_factory.mktemp("releases") / "template")
    (template / "template" / NEW_DEMO).write_text("#!/usr/bin/env bash\necho new\n")
    (template / "hooks/demo-manifest.txt").write_text(
        "".join(f"{entry}\n" for entry in [*manifest(), NEW_DEMO])
    )
    for path in ("provisioners/shell/50-demo.sh", "build.pkr.hcl", "README.md.jinja"):
        with (template / "template" / path).open("a") as file:
            file.write("# Of v1.1.0\n")
    release(template, "v1.1.0")
    return template


@pytest.fixture(scope="module")
def old(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Return a repository of v1.0.0 for each answer to keep_demo."""
    folder = tmp_path_factory.mktemp("old")
    return {
        demo: render(
            releases,
            folder / f"demo-{demo}" / "web",
            {"keep_demo": demo, "image_name": "web"},
            vcs_ref="v1.0.0",
        )
        for demo in (False, True)
    }


@pytest.mark.parametrize("before", [False, True], ids=["without demo", "with demo"])
@pytest.mark.parametrize("after", [False, True], ids=["to none", "to demo"])
def test_an_untouched_repository_becomes_a_fresh_one(
    releases: Path, old: dict[bool, Path], tmp_path: Path, before: bool, after: bool
) -> None:
    """To the byte, answers and empty folders too; and the way back leads back."""
    project = Path(shutil.copytree(old[before], tmp_path / "old" / "web", symlinks=True))
    was = state(project)
    answer = toolkit(
        project, "template-update", "--trust", "--data", f"keep_demo={str(after).lower()}"
    )
    assert answer.code == 0, answer
    fresh = render(releases, tmp_path / "new" / "web", {"image_name": "web", "keep_demo": after})
    assert tree(project) == tree(fresh)
    assert toolkit(project, "template-update", "--undo").code == 0
    assert state(project) == was


def test_own_files_at_paths_of_the_demo_stay(old: dict[bool, Path], tmp_path: Path) -> None:
    """Where the demo is not wanted, its paths are the team's."""
    project = Path(shutil.copytree(old[False], tmp_path / "web", symlinks=True))
    for path in (NEW_DEMO, "provisioners/shell/50-demo.sh", "inspec/controls/demo.rb"):
        (project / path).write_text("ours\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "Ours")
    assert toolkit(project, "template-update", "--trust").code == 0
    for path in (NEW_DEMO, "provisioners/shell/50-demo.sh", "inspec/controls/demo.rb"):
        assert (project / path).read_text() == "ours\n"


def test_a_changed_demo_is_not_thrown_away_with_the_rest_of_it(
    old: dict[bool, Path], tmp_path: Path
) -> None:
    """The answer takes the demo away; what the team changed in it is for the team to decide."""
    project = Path(shutil.copytree(old[True], tmp_path / "web", symlinks=True))
    script = project / "provisioners/shell/50-demo.sh"
    script.write_text(f"{script.read_text()}echo ours\n")
    git(project, "commit", "--quiet", "--all", "-m", "Ours")
    answer = toolkit(project, "template-update", "--trust", "--data", "keep_demo=false")
    assert answer.code == 1
    assert unmerged(project) == ["provisioners/shell/50-demo.sh"]
    assert script.read_text().endswith("echo ours\n")
    assert not (project / "inspec/controls/demo.rb").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("aws_region=moon", 'aws_region="moon" is refused: must be a region; e.g. eu-central-1.'),
        ("no_question=1", 'no_question="1" is refused: no question has this name.'),
        ("keep_demo=maybe", 'keep_demo="maybe" is refused'),
    ],
)
def test_a_refused_answer_is_the_templates_own_line(
    old: dict[bool, Path], tmp_path: Path, given: str, said: str
) -> None:
    """Without the words around it that Copier cannot leave out."""
    project = Path(shutil.copytree(old[False], tmp_path / "web", symlinks=True))
    before = state(project)
    answer = toolkit(project, "template-update", "--trust", "--data", given)
    assert (answer.code, said in answer.stderr) == (3, True), answer
    assert "dict object" not in answer.stderr
    assert "\n" not in answer.stderr
    assert state(project) == before


def test_a_recorded_answer_that_is_bad_names_its_file(
    old: dict[bool, Path], tmp_path: Path
) -> None:
    """It was written there by hand."""
    project = Path(shutil.copytree(old[False], tmp_path / "web", symlinks=True))
    answers = project / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace("eu-central-1\n", "moon\n", 1))
    git(project, "commit", "--quiet", "--all", "-m", "By hand")
    answer = toolkit(project, "template-update", "--trust")
    assert (answer.code, "in .copier-answers.yml is refused" in answer.stderr) == (3, True), answer


def test_another_template_in_the_repository(releases: Path, tmp_path: Path) -> None:
    """Beside another template, the real one is updated under its own answers file (field 4)."""
    project = tmp_path / "shop"
    git(tmp_path, "init", "--quiet", "-b", "main", str(project))
    other = "_commit: v3.0.0\n_src_path: ../other\nimage_name: shop\n"
    (project / ".copier-answers.yml").write_text(other)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "Other")
    ours = ".copier-answers.ami.yml"
    render(releases, project, {"image_name": "web"}, vcs_ref="v1.0.0", answers_file=ours)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "Ours")
    git(project, "remote", "add", "origin", str(project))
    said = toolkit(project, "template-pr", "--trust", "--dry-run")
    assert said.stdout.startswith("would open: Update from the template to v1.1.0")
    assert toolkit(project, "template-update", "--trust").code == 0
    assert "_commit: v1.1.0" in (project / ours).read_text()
    assert (project / ".copier-answers.yml").read_text() == other


def test_repository_of_a_toolkit_tag(releases: Path, old: dict[bool, Path], tmp_path: Path) -> None:
    """A repository that recorded toolkit-v1.0.0 becomes one that records a release (field 3)."""
    template = Path(shutil.copytree(releases, tmp_path / "template", symlinks=True))
    git(template, "tag", "toolkit-v1.0.0", "v1.0.0")
    git(template, "tag", "toolkit-v1.1.0", "v1.1.0")
    project = Path(shutil.copytree(old[False], tmp_path / "old" / "web", symlinks=True))
    answers = project / ".copier-answers.yml"
    text = answers.read_text().replace(str(releases), str(template))
    answers.write_text(text.replace("_commit: v1.0.0", "_commit: toolkit-v1.0.0"))
    git(project, "commit", "--quiet", "--all", "-m", "As Copier recorded it")
    assert toolkit(project, "template-update", "--trust").code == 0
    fresh = render(template, tmp_path / "new" / "web", {"image_name": "web"})
    assert tree(project) == tree(fresh)
