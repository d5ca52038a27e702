"""Each recipe of CONTRIBUTING.md does what it promises, on a copy of the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import copier
import pytest
import yaml
from recipes import apply_step, copy_repository, read_recipes, run

from rig.repositories.ancestors import wiring
from rig.repositories.hook import tree
from rig.repositories.template import ROOT, git, hand_over_environment, release, render

pytestmark = pytest.mark.integration

RECIPES = read_recipes()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the repository, with uncommitted work and without a recipe."""
    return copy_repository(tmp_path / "template-packer-ami")


def perform(heading: str, copy: Path) -> None:
    """Apply every step of a recipe, and commit the result as the next release."""
    assert RECIPES[heading]
    for step in RECIPES[heading]:
        apply_step(step, copy)
    changed = [
        name
        for name in git(copy, "ls-files", "--modified", "--others", "--exclude-standard").split()
        if name.endswith(".py")
    ]
    if changed:
        run(copy, f"ruff check {' '.join(changed)} && ruff format --check {' '.join(changed)}")
    release(copy, "v2.0.0")


def test_every_recipe_is_performed_here() -> None:
    """A recipe without a test of its own would grow old unnoticed."""
    source = Path(__file__).read_text()
    assert len(RECIPES) == 5
    assert [heading for heading in RECIPES if f'perform("{heading}", copy)' not in source] == []


def test_add_a_question(copy: Path, tmp_path: Path) -> None:
    """The default changes no rendered file, an answer is used, and a bad one is refused."""
    before = render(copy, tmp_path / "before", {"start_git": False}, vcs_ref="v1.99.0")
    perform("Add a question", copy)
    after = render(copy, tmp_path / "after", {"start_git": False, "image_name": "before"})
    old, new = tree(before), tree(after)
    assert {name for name in {*old, *new} if old.get(name) != new.get(name)} == {
        ".copier-answers.yml"
    }
    answers = {"start_git": False, "image_contact": "@web-team"}
    answered = render(copy, tmp_path / "answered", answers)
    assert "\n| Contact | @web-team |\n" in (answered / "README.md").read_text()
    command = [sys.executable, "-m", "copier", "copy", "--trust", "--defaults"]
    process = subprocess.run(
        [*command, "--data", "image_contact=a|b", copy, tmp_path / "refused"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode != 0
    assert 'image_contact="a|b" is refused: use letters, digits, @ # . _ -' in process.stderr


def test_add_a_base_image(copy: Path, tmp_path: Path) -> None:
    """The image is a choice, its filter is rendered, and `adopt` recognizes its name."""
    perform("Add a base image", copy)
    choices = yaml.safe_load((copy / "copier.yml").read_text())["parent_image"]["choices"]
    assert choices["Debian 14"] == "debian-14"
    folder = render(copy, tmp_path / "web", {"start_git": False, "parent_image": "debian-14"})
    values = (folder / "image.auto.pkrvars.hcl").read_text()
    assert '"debian-14-amd64-20*"' in values
    assert '"136693071363"' in values
    script = (
        "from packer_toolkit.adopt import base_image_answers as answers;"
        " print(dict(answers._SYSTEMS).values())"
    )
    assert "'debian-14'" in run(copy, f'python -c "{script}"')


def test_add_an_optional_task(copy: Path, tmp_path: Path) -> None:
    """The task is listed beside the eight that every team knows."""
    perform("Add an optional task", copy)
    folder = render(copy, tmp_path / "web", {"start_git": False})
    assert "* versions: " in run(folder, "task --color=false --list")


def test_add_a_command(copy: Path) -> None:
    """The command is in the help of its group, and its own help shows what it does."""
    perform("Add a command", copy)
    for words in ("pipeline", "pipeline amis"):
        help_text = run(copy, f"packer-toolkit {words} --help")
        assert "Print the IDs of the AMIs in a manifest." in help_text
    run(copy, "mypy toolkit/src/packer_toolkit/cli/pipeline/amis.py && lint-imports --no-cache")


def test_add_a_migration(copy: Path, tmp_path: Path) -> None:
    """An update renames the file and keeps the line that a team has added to it."""
    project = render(copy, tmp_path / "packer-ami-web", {}, vcs_ref="v1.99.0")
    scripts = project / "provisioners" / "shell"
    text = (scripts / "README.md").read_text()
    (scripts / "README.md").write_text(f"{text}\nOurs.\n")
    git(project, "commit", "--quiet", "--all", "-m", "Ours")
    perform("Add a migration", copy)
    assert wiring("v2.0.0") in (copy / "copier.yml").read_text(), "as docs/releasing.md shows it"
    hand_over_environment()
    copier.run_update(project, defaults=True, unsafe=True, overwrite=True, quiet=True)
    assert not (scripts / "README.md").exists()
    assert (scripts / "ORDER.md").read_text() == f"{text}\nOurs.\n"
    assert git(project, "ls-files", "--unmerged") == ""


def test_files_of_the_root_reach_no_rendered_repository(copy: Path, tmp_path: Path) -> None:
    """A render of the whole checkout has the files of template/ and nothing of its root."""
    folder = render(copy, tmp_path / "web", {"start_git": False})
    rendered = {file.relative_to(folder).as_posix() for file in folder.rglob("*")}
    ours = {name for name in git(copy, "ls-files").splitlines() if "template/" not in name}
    template = {
        name.removeprefix("template/").removesuffix(".jinja")
        for name in git(copy, "ls-files", "template").splitlines()
    }
    assert {"LICENSE", "CONTRIBUTING.md", ".github/CODEOWNERS", ".pre-commit-config.yaml"} <= ours
    assert sorted(rendered & ours - template) == []
    assert (folder / ".editorconfig").read_text() == (ROOT / "template/.editorconfig").read_text()
