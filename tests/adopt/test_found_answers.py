"""Answers are derived from the files of a repository, without a render."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from shapes import SHAPES

from packer_toolkit.adopt.answers import find_answers, read_packer_files
from packer_toolkit.adopt.ci_config import read_ci_config
from packer_toolkit.adopt.found import FoundAnswers
from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git
from rig.repositories.template import ROOT


@pytest.fixture(scope="module")
def base_images() -> Mapping[str, Any]:
    """Return the base images of the template."""
    text = (ROOT / "includes" / "base_images.jinja").read_text()
    images: Mapping[str, Any] = Environment(autoescape=True).from_string(text).module.base_images
    return images


@pytest.mark.parametrize("name", SHAPES)
def test_answers_of_a_shape_are_found(
    name: str, make: Callable[[str], Path], base_images: Mapping[str, Any]
) -> None:
    """Each answer has its value and the place that sets it; ambiguous ones have a note."""
    shape = SHAPES[name]
    repository = make(name)
    files = read_packer_files(repository, None)
    found = FoundAnswers(files.folder, notes=list(files.notes))
    config = read_ci_config(repository, Git(repository))
    find_answers(repository, files.packer, config, base_images, found)
    answers = {key: (value.value, str(value.place)) for key, value in found.answers.items()}
    assert {**answers, **shape.found} == answers
    for part in shape.notes:
        assert any(part in note for note in found.notes), found.notes


def test_a_chosen_folder_without_sources_is_refused(tmp_path: Path) -> None:
    """The user has to choose another folder."""
    (tmp_path / "readme.pkr.hcl").write_text("# nothing\n")
    with pytest.raises(SetupError, match="has no Packer file with a source of an AMI"):
        read_packer_files(tmp_path, tmp_path)
