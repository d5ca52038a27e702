"""Updates work wherever a team works, and with the oldest Copier that copier.yml admits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

import packer_toolkit
from packer_toolkit.template import sandbox
from rig.repositories.copier_command import other_copier
from rig.repositories.hook import without_gitpython
from rig.repositories.template import ROOT, git, release, render
from rig.run.updating import files, state, toolkit

pytestmark = pytest.mark.integration

OLDEST_COPIER = yaml.safe_load((ROOT / "copier.yml").read_text())["_min_copier_version"]


def commit(repository: Path) -> None:
    """Commit everything."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Ours")


def run(python: Path | str, project: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `template-update --json` with an interpreter, in a process of its own."""
    return subprocess.run(
        [str(python), "-m", "packer_toolkit", "template-update", "--json"],
        cwd=project,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def edited(project: Path) -> Path:
    """Return a repository with a change that merges, one that conflicts, and one of its own."""
    text = (project / "build.hcl").read_text()
    (project / "build.hcl").write_text(text.replace("build 3\n", "ours 3\n"))
    (project / "sources.hcl").write_text("ours\n" + (project / "sources.hcl").read_text())
    (project / "own.txt").write_text("own\n")
    commit(project)
    return project


def check(project: Path, fresh: Path) -> None:
    """Make sure that what `edited` has changed is there, and all else is the release's."""
    after, expected = files(project), files(fresh)
    assert (
        b"<<<<<<< before updating\nours 3\n=======\nbuild 3, better\n" in after["build.hcl"].content
    )
    assert after["sources.hcl"].content == b"ours\n" + expected["sources.hcl"].content
    assert after["own.txt"].content == b"own\n"
    changed = {path for path in {*after, *expected} if after.get(path) != expected.get(path)}
    assert changed <= {"build.hcl", "sources.hcl", "own.txt"}


@pytest.mark.parametrize("version", [OLDEST_COPIER, "newest"])
@pytest.mark.parametrize("gitpython", [True, False], ids=["GitPython", "git command"])
def test_oldest_and_newest_copier_with_and_without_gitpython(
    edited: Path, made_by: dict[str, Path], tmp_path: Path, version: str, gitpython: bool
) -> None:
    """Both are asked for the same private parts, and render the same."""
    python, path = sys.executable, ""
    if version != "newest":
        # That environment has Copier and what it needs; the toolkit needs no more than click here.
        python = str(other_copier(version))
        modules = tmp_path / "modules"
        modules.mkdir()
        for module in (click, packer_toolkit):
            source = Path(str(module.__file__)).parent
            (modules / source.name).symlink_to(source)
        path = str(modules)
    if not gitpython:
        path = f"{without_gitpython()}{os.pathsep}{path}"
    done = run(python, edited, PYTHONPATH=path)
    assert done.returncode == 1, done.stderr
    check(edited, made_by["v2.1.0"])


@pytest.mark.parametrize("part", ["_apply_update", "_check_unsafe"])
def test_another_shape_of_copier_is_one_line(
    project: Path, tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update is refused when a private part of Copier that it replaces is missing."""
    (tmp_path / "changed_copier.py").write_text(
        f"import copier._main\ndel copier._main.Worker.{part}\n"
    )
    rendering = sandbox._BOOTSTRAP.replace("from packer", "import changed_copier\nfrom packer")
    monkeypatch.setattr(sandbox, "_BOOTSTRAP", rendering)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = state(project)
    answer = toolkit(project, "template-update")
    assert (
        answer.code,
        "packer-toolkit does not support this version of Copier" in answer.stderr,
    ) == (3, True)
    assert state(project) == before


def _sub_folder(project: Path, place: Path) -> Path:
    place.mkdir()
    git(place, "init", "--quiet", "-b", "main")
    shutil.copytree(project, place / "images" / "web", symlinks=True)
    shutil.rmtree(place / "images" / "web" / ".git")
    (place / "build.hcl").write_text("of another image\n")
    commit(place)
    return place / "images" / "web"


def _linked_worktree(project: Path, place: Path) -> Path:
    git(project, "worktree", "add", "--quiet", str(place), "-b", "update")
    return place


def _detached(project: Path, place: Path) -> Path:
    git(project, "checkout", "--quiet", "--detach")
    return project


def _shallow(project: Path, place: Path) -> Path:
    (project / "own.txt").write_text("own\n")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "Later")
    git(project.parent, "clone", "--quiet", "--depth=1", f"file://{project}", str(place))
    return place


def _borrowing(project: Path, place: Path) -> Path:
    git(project.parent, "clone", "--quiet", "--shared", str(project), str(place))
    return place


def _sha256(project: Path, place: Path) -> Path:
    shutil.rmtree(project / ".git")
    git(project, "init", "--quiet", "--object-format=sha256")
    commit(project)
    return project


def _renamed(name: str) -> Callable[[Path, Path], Path]:
    return lambda project, place: project.rename(place.with_name(name))


def _through_a_link(project: Path, place: Path) -> Path:
    place.symlink_to(project)
    return place


PLACES = {
    "sub-folder": _sub_folder,
    "linked worktree": _linked_worktree,
    "detached HEAD": _detached,
    "shallow clone": _shallow,
    "clone that borrows objects": _borrowing,
    "SHA-256": _sha256,
    "spaces": _renamed("with several spaces"),
    "unicode": _renamed("gr\u00fc\u00dfe \u2603"),
    "quotes": _renamed('it\'s "this" $HOME `x`'),
    "dash": _renamed("-dash"),
    "link": _through_a_link,
}


@pytest.mark.parametrize("place", PLACES)
def test_in_any_place(edited: Path, made_by: dict[str, Path], tmp_path: Path, place: str) -> None:
    """There and, by the way back, back again."""
    project = PLACES[place](edited, tmp_path / "place")
    before = state(project)
    answer = toolkit(project, "template-update", "--json")
    assert answer.code == 1, answer
    assert [item["path"] for item in answer.json["conflicts"]] == ["build.hcl"]
    assert git(project, "ls-files", "-u", "--", "build.hcl").count("\n") == 2
    check(project, made_by["v2.1.0"])
    assert toolkit(project, "template-update", "--undo").code == 0
    assert state(project) == before


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "de_DE.ISO-8859-1", ""])
def test_in_any_locale(edited: Path, made_by: dict[str, Path], locale: str) -> None:
    """Names that are not ASCII too."""
    (edited / "gr\u00fc\u00dfe.txt").write_text("ours\n")
    commit(edited)
    done = run(sys.executable, edited, LC_ALL=locale)
    assert done.returncode == 1, done.stderr
    (edited / "gr\u00fc\u00dfe.txt").unlink()
    check(edited, made_by["v2.1.0"])


@pytest.mark.parametrize("cache", ["/dev/null/cache", "/proc/cache"])
def test_a_cache_that_cannot_be_written_is_done_without(
    edited: Path, made_by: dict[str, Path], small: Path, cache: str
) -> None:
    """Copier alone fails there, with a template that is not a folder of this machine."""
    answers = edited / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace(str(small), f"file://{small}/.git"))
    commit(edited)
    done = run(sys.executable, edited, XDG_CACHE_HOME=cache)
    assert done.returncode == 1, done.stderr
    answers.write_text(answers.read_text().replace(f"file://{small}/.git", str(small)))
    check(edited, made_by["v2.1.0"])


def test_in_the_environment_of_a_git_hook(
    edited: Path, made_by: dict[str, Path], tmp_path: Path
) -> None:
    """There git is told of a repository and an index."""
    done = run(
        sys.executable, edited, GIT_DIR="/nowhere", GIT_INDEX_FILE="/nowhere", GIT_WORK_TREE="/"
    )
    assert done.returncode == 1, done.stderr
    check(edited, made_by["v2.1.0"])


def test_where_git_does_not_look_at_executable_bits(
    project: Path, made_by: dict[str, Path]
) -> None:
    """The release's are in its index then, or the next commit would lose them."""
    git(project, "config", "core.fileMode", "false")
    before = state(project)
    assert toolkit(project, "template-update", "--to", "v1.1.0").code == 0
    assert git(project, "ls-files", "--stage", "plain.sh").startswith("100755 ")
    assert toolkit(project, "template-update", "--undo").code == 0
    assert state(project) == before


@pytest.mark.parametrize("below", ["", "images/web/"], ids=["top", "sub-folder"])
def test_files_are_written_as_git_checks_them_out(small: Path, tmp_path: Path, below: str) -> None:
    """Line endings and filters are the team's, or come with the same release."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    attributes = template / "template/scripts/.gitattributes"
    attributes.write_text("*.txt -text\n")
    release(template, "v3.0.0")
    attributes.write_text("*.txt eol=crlf\n")
    (template / "template/scripts/new.txt").write_text("one\ntwo\n")
    (template / "template/sources.hcl").write_text("source 1\nsource 2, changed\n")
    with (template / "template/scripts/20-second.sh").open("a") as script:
        script.write("echo more\n")
    release(template, "v3.1.0")
    top = tmp_path / "top"
    project = render(template, top / below, vcs_ref="v3.0.0")
    git(top, "init", "--quiet")
    for way in ("clean", "smudge"):
        git(top, "config", f"filter.shout.{way}", "tr a-z A-Z" if way == "smudge" else "tr A-Z a-z")
    (top / ".gitattributes").write_text(f"/{below}sources.hcl eol=crlf\n*.sh filter=shout\n")
    commit(top)
    before = state(top)
    assert toolkit(project, "template-update").code == 0
    assert (project / "sources.hcl").read_bytes().startswith(b"source 1\r\nsource 2, changed\r\n")
    assert (project / "scripts/new.txt").read_bytes() == b"one\r\ntwo\r\n"
    assert (project / "scripts/20-second.sh").read_bytes() == (
        b"#!/BIN/SH\nECHO SECOND\nECHO MORE\n"
    )
    git(top, "add", "--all")
    shown = git(top, "show", f":{below}sources.hcl", f":{below}scripts/20-second.sh")
    assert shown.startswith("source 1\nsource 2, changed\n")
    assert shown.endswith("#!/bin/sh\necho second\necho more")
    git(top, "reset", "--quiet")
    assert toolkit(project, "template-update", "--undo").code == 0
    assert state(top) == before


def test_a_filter_that_fails_is_one_line_and_changes_nothing(project: Path) -> None:
    """Git LFS without its server, for instance."""
    (project / ".gitattributes").write_text("*.txt filter=broken\n")
    commit(project)
    for name, value in {"clean": "cat", "smudge": "false", "required": "true"}.items():
        git(project, "config", f"filter.broken.{name}", value)
    before = state(project)
    answer = toolkit(project, "template-update")
    assert answer.code == 3
    assert answer.stderr.startswith("the update cannot be written (external filter 'false' failed")
    assert answer.stderr.endswith("everything is as it was; fix the cause, and start again")
    assert "\n" not in answer.stderr
    assert state(project) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_somebody_else_is_one_line(project: Path) -> None:
    """Git refuses it; the line says how to allow it."""
    for place in (project, project / ".git"):
        os.chown(place, 12345, 12345)
    answer = toolkit(project, "template-update")
    assert (answer.code, "git config --global --add safe.directory" in answer.stderr) == (3, True)
