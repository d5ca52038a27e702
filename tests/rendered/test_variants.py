"""Every variant of the template is checked by the real tools, with no findings at all."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from rig.lint.checks import available
from rig.lint.runner import Tree, lint
from rig.repositories.variants import DEFAULT, VALUES, all_pairs, batches, pairs, render, variants

COPIER_YML = yaml.safe_load(Path(__file__).parents[2].joinpath("copier.yml").read_text())
QUESTIONS = {name: spec for name, spec in COPIER_YML.items() if not name.startswith("_")}

# The variants of a batch share one run of what can look at many files in one go.
IN_BATCHES = [
    pytest.param(name, marks=pytest.mark.xdist_group(f"variants-{number}"))
    for number, names in enumerate(batches())
    for name in names
]


@functools.cache
def _linted(
    batch: tuple[str, ...], template: Path, folder: Path
) -> tuple[Mapping[str, Tree], Mapping[str, list[str]]]:
    trees = {}
    for name in batch:
        (folder / name).mkdir()
        trees[name] = render(template, folder / name, variants()[name])
    return trees, lint(trees, available())


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of this worker's renders."""
    return tmp_path_factory.mktemp("variants")


@pytest.mark.usefixtures("packer")  # which waits for its build, see tests/conftest.py
@pytest.mark.parametrize("name", IN_BATCHES)
def test_variant_has_no_findings(name: str, template: Path, renders: Path) -> None:
    """Rendered through Copier, hook and all, and checked by each tool of rig.lint.checks."""
    (batch,) = [batch for batch in batches() if name in batch]
    trees, found = _linted(tuple(batch), template, renders)
    assert found[name] == [], variants()[name]
    answers = variants()[name]
    tree = trees[name]
    assert ("provisioners/shell/50-demo.sh" in tree) == answers["keep_demo"]
    recorded = yaml.safe_load(tree[".copier-answers.yml"].content)
    assert {question: recorded.get(question) for question in answers} == answers
    git = renders / name / "packer-ami-example" / ".git"
    assert git.exists() == answers["start_git"]
    if git.exists():
        status = ["git", "-C", str(git.parent), "status", "--porcelain", "--ignored"]
        assert subprocess.run(status, capture_output=True, check=True).stdout == b""


def test_at_least_sixty_variants() -> None:
    """The best peer tests thirteen."""
    assert len(variants()) >= 60


def test_every_pair_of_answers_is_in_a_variant() -> None:
    """Whatever two answers somebody gives, they were rendered and checked together."""
    seen = set().union(*map(pairs, variants().values()))
    assert all_pairs() - seen == set()


def test_every_question_and_choice_is_varied() -> None:
    """A question, or a choice, that is new in copier.yml has to be added to the variants."""
    assert set(VALUES) == set(QUESTIONS)
    for question, spec in QUESTIONS.items():
        values = VALUES[question]
        if spec["type"] == "bool":
            assert set(values) == {True, False}
        elif "choices" in spec:
            chosen = [
                v
                for value in values
                if value is not DEFAULT
                for v in ([value] if isinstance(value, str) else value)
            ]
            assert set(chosen) == set(spec["choices"].values())
        else:
            assert len(values) >= 2
