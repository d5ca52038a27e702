"""A new repository in each state that the hook and updates may find it in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rig.repositories import template as template_module
from rig.repositories.hook import without_gitpython


@pytest.fixture(params=["GitPython", "git command"])
def git_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test twice: the hook finds GitPython, and it has only the git command."""
    way: str = request.param
    if way == "GitPython":
        pytest.importorskip("git", reason="GitPython is what this is about")
    else:
        monkeypatch.setenv("PYTHONPATH", str(without_gitpython()))
    return way


@pytest.fixture(scope="session")
def _plain(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp("plain")
    return {
        demo: template_module.render(
            template, folder / f"demo-{demo}", {"keep_demo": demo, "image_name": "web"}
        )
        for demo in (False, True)
    }


@pytest.fixture
def without_demo(_plain: dict[bool, Path], tmp_path: Path) -> Path:
    """Return a committed repository, made from the template with keep_demo=false."""
    return Path(shutil.copytree(_plain[False], tmp_path / "packer-ami-web", symlinks=True))


@pytest.fixture
def with_demo(_plain: dict[bool, Path], tmp_path: Path) -> Path:
    """Return a committed repository, made from the template with keep_demo=true."""
    return Path(shutil.copytree(_plain[True], tmp_path / "packer-ami-web", symlinks=True))


@pytest.fixture(scope="session")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with a second release, which adds a line to the README."""
    template = template_module.snapshot(tmp_path_factory.mktemp("releases") / "template")
    readme = template / "template" / "README.md.jinja"
    readme.write_text(readme.read_text() + "\nA line of the second release.\n")
    template_module.release(template, "v1.1.0")
    return template


@pytest.fixture(scope="session")
def _first_release(two_releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects") / "packer-ami-web"
    return template_module.render(two_releases, folder, {"image_name": "web"}, vcs_ref="v1.0.0")


@pytest.fixture
def project(_first_release: Path, tmp_path: Path) -> Path:
    """Return a committed repository of the first of two releases."""
    return Path(shutil.copytree(_first_release, tmp_path / "packer-ami-web", symlinks=True))
