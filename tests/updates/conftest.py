"""A small template with several releases, and repositories made from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rig.repositories import small_template
from rig.repositories.small_template import RELEASES
from rig.repositories.template import git, render


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small template."""
    return small_template.make(tmp_path_factory.mktemp("small") / "template")


@pytest.fixture(scope="session")
def made_by(small: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a committed repository for each release; copy it before you change it."""
    folder = tmp_path_factory.mktemp("made-by")
    found = {}
    for tag in RELEASES:
        found[tag] = render(small, folder / tag / "web", vcs_ref=tag)
        git(found[tag], "init", "--quiet", "--template=", "-b", "main")
        git(found[tag], "add", "--all")
        git(found[tag], "commit", "--quiet", "-m", "From the template")
    return found


@pytest.fixture
def project(made_by: dict[str, Path], tmp_path: Path) -> Path:
    """Return a committed repository of the small template's first release."""
    return Path(shutil.copytree(made_by["v1.0.0"], tmp_path / "web", symlinks=True))
