"""The answer files of examples/ render, and what they render passes every check."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.checks import CHECKS
from rig.linting import lint
from rig.variants import examples, render


def test_there_are_two() -> None:
    """The least that somebody answers, and a whole organisation."""
    assert set(examples()) == {"minimal", "solstice"}


@pytest.mark.parametrize("name", examples())
def test_example_has_no_findings(
    template: Path, tmp_path: Path, questions: Mapping[str, Mapping[str, Any]], name: str
) -> None:
    """Every answer in it is to a question that exists, and is recorded as it stands there."""
    answers = yaml.safe_load(examples()[name].read_text())
    assert set(answers) <= set(questions)
    tree = render(template, tmp_path, answers)
    recorded = yaml.safe_load(tree[".copier-answers.yml"].content)
    assert {question: recorded.get(question) for question in answers} == answers
    assert lint({name: tree}, CHECKS) == {name: []}


def test_solstice_answers_every_question(questions: Mapping[str, Mapping[str, Any]]) -> None:
    """It shows the whole form, in its order."""
    assert list(yaml.safe_load(examples()["solstice"].read_text())) == list(questions)
