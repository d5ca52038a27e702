"""Why the merge is git's: what `copier update` alone loses, without a word and with exit code 0.

When one of these fails because a later Copier keeps it, docs/decisions/0017 can be looked at again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

from rig.repositories.template import git, hand_over_environment, release, render
from rig.run.updating import toolkit

pytestmark = pytest.mark.integration


def edit_a_file_that_is_removed(repository: Path) -> None:
    """The release removes it."""
    (repository / "gone.txt").write_text("ours, by hand\n")


def edit_a_file_that_is_no_text(repository: Path) -> None:
    """Whether the release changes it or not."""
    (repository / "logo.bin").write_bytes(b"\0ours, by hand")


def edit_in_another_encoding(repository: Path) -> None:
    """A line of Latin-1 is put back without the letters that are not ASCII."""
    text = (repository / "sources.hcl").read_bytes()
    (repository / "sources.hcl").write_bytes("ours, von H\u00e4nden\n".encode("latin-1") + text)


def keep_an_ignored_file(repository: Path) -> None:
    """The release brings a file of that name."""
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/exclude").write_text("added.txt\n")
    (repository / "added.txt").write_text("ours, by hand\n")


def ignore_files_by_a_pattern_like_name(repository: Path) -> None:
    """An ignored file's name is taken for a pattern of files that need no putting back."""
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/exclude").write_text("\\*\n")
    (repository / "*").write_text("ignored\n")
    (repository / "build.hcl").write_text(
        "ours, by hand\n" + (repository / "build.hcl").read_text()
    )


LOSSES: dict[Callable[[Path], None], tuple[str, bytes]] = {
    edit_a_file_that_is_removed: ("gone.txt", b"ours, by hand"),
    edit_a_file_that_is_no_text: ("logo.bin", b"ours, by hand"),
    edit_in_another_encoding: ("sources.hcl", b"ours, von H\xe4nden"),
    keep_an_ignored_file: ("added.txt", b"ours, by hand"),
    ignore_files_by_a_pattern_like_name: ("build.hcl", b"ours, by hand"),
}


@pytest.fixture(scope="module")
def template(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small template with v1.2.0 on its v1.1.0, which removes a file."""
    template = tmp_path_factory.mktemp("losing") / "template"
    shutil.copytree(small, template, symlinks=True)
    git(template, "checkout", "--quiet", "--detach", "v1.1.0")
    (template / "template/gone.txt").unlink()
    release(template, "v1.2.0")
    return template


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """Return a repository of its first release."""
    project = render(template, tmp_path / "web", vcs_ref="v1.0.0")
    git(project, "init", "--quiet")
    return project


@pytest.mark.parametrize("edit", LOSSES, ids=lambda edit: edit.__name__)
def test_copier_alone_loses_it_and_template_update_does_not(
    project: Path, tmp_path: Path, edit: Callable[[Path], None]
) -> None:
    """The same repository, twice."""
    edit(project)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "Ours")
    path, ours = LOSSES[edit]
    alone = Path(shutil.copytree(project, tmp_path / "alone" / "web", symlinks=True))
    hand_over_environment()
    copier.run_update(alone, defaults=True, overwrite=True, quiet=True, vcs_ref="v1.2.0")
    assert git(alone, "ls-files", "-u") == ""
    assert not (alone / path).exists() or ours not in (alone / path).read_bytes()
    answer = toolkit(project, "template-update", "--to", "v1.2.0")
    assert answer.code in (0, 1, 3)
    assert ours in (project / path).read_bytes()
