"""The answer files of examples/ render, and what they render passes every check."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rig.lint.checks import available
from rig.lint.runner import lint
from rig.repositories.template import ROOT
from rig.repositories.variants import examples, render

QUESTIONS = [
    name for name in yaml.safe_load((ROOT / "copier.yml").read_text()) if not name.startswith("_")
]


def test_there_are_two() -> None:
    """The smallest set of answers renders, and so does one with every answer."""
    assert set(examples()) == {"minimal", "globex"}


@pytest.mark.usefixtures("packer")  # which waits for its build, see tests/conftest.py
@pytest.mark.parametrize("name", examples())
def test_example_has_no_findings(template: Path, tmp_path: Path, name: str) -> None:
    """Every answer in it is to a question that exists, and is recorded as it stands there."""
    answers = yaml.safe_load(examples()[name].read_text())
    assert set(answers) <= set(QUESTIONS)
    tree = render(template, tmp_path, answers)
    recorded = yaml.safe_load(tree[".copier-answers.yml"].content)
    assert {question: recorded.get(question) for question in answers} == answers
    assert lint({name: tree}, available()) == {name: []}


def test_globex_answers_every_question() -> None:
    """It shows the whole form, in its order."""
    assert list(yaml.safe_load(examples()["globex"].read_text())) == QUESTIONS
