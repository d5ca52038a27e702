"""The tag TemplateVersion is that of this template's answers file, whatever its name is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from packer_toolkit.build.request import BuildRequest
from rig.host.tools import Packer
from rig.repositories.template import git, render

DEFAULT = ".copier-answers.yml"
OTHER = "_commit: v3.0.0\n_src_path: ../other\nimage_name: shop\n"


@pytest.fixture(scope="module")
def rendered(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a rendered repository without git."""
    return render(template, tmp_path_factory.mktemp("version") / "web", {"start_git": False})


@pytest.fixture
def repository(rendered: Path, tmp_path: Path) -> Path:
    """Return a rendered repository to change."""
    return Path(shutil.copytree(rendered, tmp_path / "web", symlinks=True))


def version_of(packer: Packer, folder: Path) -> str:
    """Return the value of the tag, by plain Packer."""
    return packer.evaluate(folder, "local.image_tags.TemplateVersion")


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize(
    "name",
    [
        DEFAULT,
        ".copier-answers.ami.yml",
        ".copier-answers.packer-ami.yaml",
        ".copier/ami.yml",
        ".config/copier/ami.yml",
        ".answers",
    ],
)
def test_answers_file_of_any_name(
    packer: Packer, repository: Path, name: str, beside: bool
) -> None:
    """Plain Packer reads the release of this template, not another's (field 4)."""
    text = (repository / DEFAULT).read_text()
    (repository / DEFAULT).unlink()
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_text(text)
    if beside:
        other = ".copier-answers.shop.yml" if name == DEFAULT else DEFAULT
        (repository / other).write_text(OTHER)
    assert version_of(packer, repository) == "v1.0.0"


def test_only_another_template(packer: Packer, repository: Path) -> None:
    """Without an answers file of this template the version is unknown (field 4)."""
    (repository / DEFAULT).write_text(OTHER)
    assert version_of(packer, repository) == "unknown"
    (repository / DEFAULT).unlink()
    assert version_of(packer, repository) == "unknown"


def test_other_files_do_not_matter(packer: Packer, repository: Path) -> None:
    """Broken YAML, other bytes, folders and links do not stop a build (field 4)."""
    (repository / "broken.yml").write_text("a: [\n")
    (repository / "bytes.yml").write_bytes(bytes(range(256)))
    (repository / "folder.yml").mkdir()
    lines = (repository / DEFAULT).read_text().splitlines(keepends=True)
    data = [line for line in lines if not line.startswith("_")]
    (repository / "data.yml").write_text("".join(data))
    (repository / "loop").symlink_to(".")
    assert version_of(packer, repository) == "v1.0.0"
    (repository / "link.yml").symlink_to("nowhere")
    assert version_of(packer, repository) == "v1.0.0"


def test_nearest_file_counts(packer: Packer, repository: Path) -> None:
    """A project in a folder below does not change the version of this one (field 4)."""
    text = (repository / DEFAULT).read_text().replace("v1.0.0", "v1.1.0")
    below = repository / "images" / "db"
    below.mkdir(parents=True)
    (below / DEFAULT).write_text(text)
    (below / "build.pkr.hcl").touch()
    assert version_of(packer, repository) == "v1.0.0"
    (repository / DEFAULT).unlink()
    assert version_of(packer, repository) == "unknown"


def test_two_of_this_template(packer: Packer, repository: Path) -> None:
    """With two releases of this template the version is unknown (field 4)."""
    text = (repository / DEFAULT).read_text()
    (repository / "ami.yml").write_text(text)
    assert version_of(packer, repository) == "v1.0.0"
    (repository / "ami.yml").write_text(text.replace("v1.0.0", "v1.1.0"))
    assert version_of(packer, repository) == "unknown"


@pytest.mark.parametrize("recorded", ["'20261101'", "v1.0.0-3-g0123abc", "1234567", '"12e4567"'])
def test_version_is_text(packer: Packer, repository: Path, recorded: str) -> None:
    """The version is taken as the text that it is, numbers and quotes included (field 3)."""
    text = (repository / DEFAULT).read_text()
    (repository / DEFAULT).write_text(text.replace("_commit: v1.0.0", f"_commit: {recorded}"))
    assert version_of(packer, repository) == recorded.strip("\"'")


def test_build_leaves_out_a_copy_that_git_does_not_track(
    packer: Packer, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """packer-toolkit build asks git which answers file counts, as all commands do (field 4)."""
    git(repository, "init", "--quiet")
    git(repository, "add", "--all")
    text = (repository / DEFAULT).read_text()
    (repository / "saved.yml").write_text(text.replace("v1.0.0", "v0.9.0"))
    assert version_of(packer, repository) == "unknown"
    monkeypatch.chdir(repository)
    env = BuildRequest.read((".",), os.environ).env
    assert env["PKR_VAR_template_version"] == "v1.0.0"
    option = f"-var=template_version={env['PKR_VAR_template_version']}"
    assert packer.evaluate(repository, "local.image_tags.TemplateVersion", option) == "v1.0.0"
    git(repository, "add", "--all")
    assert "PKR_VAR_template_version" not in BuildRequest.read((".",), os.environ).env
