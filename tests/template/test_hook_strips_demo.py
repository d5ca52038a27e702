"""The hook removes the demo if it is not wanted, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest

from rig.repositories.hook import MANIFEST, git_state, manifest, run_hook, tree
from rig.repositories.template import ROOT, git, hand_over_environment, release, render

SCRIPT = "provisioners/shell/50-demo.sh"
CONTROL = "inspec/controls/demo.rb"

# A file of the demo is told by its name, so that a new one cannot be forgotten in the manifest.
_DEMO_NAME = re.compile(r"(\d\d-)?demo(\..*)?|\d\d-demo.*")


def _link(path: Path) -> None:
    path.symlink_to("README.md")


def _script(path: Path) -> None:
    path.write_text("#!/bin/sh\necho ours\n")
    path.chmod(0o755)


OWN_FILES: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("ours\n"),
    "executable": _script,
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "symlink": _link,
    "empty": lambda path: path.touch(),
}


@pytest.fixture(params=OWN_FILES)
def put_own(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Return a function that writes one kind of a team's file to a path."""

    def put(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        OWN_FILES[request.param](path)

    return put


def test_manifest_lists_exactly_the_demo_part_of_the_template() -> None:
    """A file whose path has a component demo, demo.* or NN-demo* belongs to the demo."""
    template = ROOT / "template"
    demo = [
        path.relative_to(template).as_posix()
        for path in template.rglob("*")
        if not path.is_dir()
        and any(_DEMO_NAME.fullmatch(part) for part in path.relative_to(template).parts)
    ]
    assert manifest() == sorted(demo)


def test_manifest_holds_plain_paths_of_raw_files_only() -> None:
    """Globs would match a team's files, and the hook compares bytes with the template's."""
    assert MANIFEST.read_text().endswith("\n")
    for entry in manifest():
        assert re.fullmatch(r"[a-z0-9_./-]+", entry)
        assert ".." not in entry
        assert not entry.startswith("/")
        assert not entry.endswith(".jinja")
        assert not (ROOT / "template" / entry).is_symlink()


def test_without_demo_no_file_and_no_empty_folder_of_it_is_left(without_demo: Path) -> None:
    """Without the demo, none of its files and no empty folder remains."""
    found = tree(without_demo)
    assert not set(found) & set(manifest())
    assert "empty folder" not in found.values()
    assert not [path for path in without_demo.rglob("*demo*") if ".git" not in path.parts]


def test_with_demo_every_file_of_it_is_there(with_demo: Path) -> None:
    """With the demo, all its files are committed with the template's content and modes."""
    found, shipped = tree(with_demo), tree(ROOT / "template")
    assert {entry: found[entry] for entry in manifest()} == {
        entry: shipped[entry] for entry in manifest()
    }
    assert set(git(with_demo, "ls-files").splitlines()) >= set(manifest())


def test_hook_touches_nothing_outside_the_manifest(template: Path, tmp_path: Path) -> None:
    """The hook does not change other files and folders, even next to the demo's."""
    new = render(template, tmp_path / "new", {"keep_demo": True, "start_git": False})
    (new / "empty").mkdir()
    beside = new / "provisioners" / "ansible" / "roles" / "demo" / "tasks" / "own.yml"
    beside.write_text("---\n")
    before = tree(new)
    run_hook(new, template, start_git=False)
    assert tree(new) == {name: what for name, what in before.items() if name not in manifest()}


def test_second_run_of_the_hook_changes_nothing(
    template: Path, without_demo: Path, git_way: str
) -> None:
    """A second run of the hook changes neither files nor git."""
    before, git_before = tree(without_demo), git_state(without_demo)
    result = run_hook(without_demo, template)
    assert "Note:" not in result.stderr, git_way
    assert (tree(without_demo), git_state(without_demo)) == (before, git_before)


def test_second_run_of_the_hook_changes_nothing_without_git(template: Path, tmp_path: Path) -> None:
    """A second run of the hook without git changes nothing."""
    new = render(template, tmp_path / "new", {"start_git": False})
    before = tree(new)
    assert "Note:" not in run_hook(new, template, start_git=False).stderr
    assert tree(new) == before


def test_own_file_at_a_demo_path_stays_on_copy(
    template: Path, tmp_path: Path, put_own: Callable[[Path], None]
) -> None:
    """A file at a path of the demo with other content is kept."""
    new = render(template, tmp_path / "new", {"keep_demo": True, "start_git": False})
    put_own(new / SCRIPT)
    before = tree(new)
    result = run_hook(new, template, start_git=False)
    assert tree(new)[SCRIPT] == before[SCRIPT]
    assert not (new / CONTROL).exists()
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("Note:")]
    assert note.endswith(f"they differ from the template's demo: {SCRIPT}")


def test_folder_at_a_demo_path_stays(template: Path, tmp_path: Path) -> None:
    """A folder at a path of the demo is kept."""
    new = render(template, tmp_path / "new", {"keep_demo": True, "start_git": False})
    (new / SCRIPT).unlink()
    (new / SCRIPT / "deep").mkdir(parents=True)
    (new / SCRIPT / "deep" / "own").write_text("ours\n")
    run_hook(new, template, start_git=False)
    assert (new / SCRIPT / "deep" / "own").read_text() == "ours\n"


def test_file_that_the_person_kept_when_asked_stays(template: Path, tmp_path: Path) -> None:
    """A file that the user chose not to overwrite is kept."""
    new = tmp_path / "new"
    (new / SCRIPT).parent.mkdir(parents=True)
    (new / SCRIPT).write_text("ours\n")
    render(template, new, skip_if_exists=[SCRIPT], overwrite=True)
    assert (new / SCRIPT).read_text() == "ours\n"
    assert not (new / CONTROL).exists()


def test_linked_folder_is_not_followed_out_of_the_repository(
    template: Path, tmp_path: Path
) -> None:
    """The hook follows no symbolic link, neither out of the repository nor within it."""
    new = render(template, tmp_path / "new", {"keep_demo": True, "start_git": False})
    outside = tmp_path / "outside"
    shutil.move(new / "provisioners" / "shell", outside)
    (new / "provisioners" / "shell").symlink_to(outside)
    before = tree(outside)
    result = run_hook(new, template, start_git=False)
    assert tree(outside) == before
    assert SCRIPT in result.stderr


@pytest.mark.parametrize("entry", ["../outside", "{absolute}", "inspec/*", "inspec", "", ".git/x"])
def test_wrong_line_in_the_manifest_removes_nothing(
    template: Path, tmp_path: Path, entry: str
) -> None:
    """An invalid line of the manifest removes nothing, and the rest of the demo is removed."""
    own = Path(shutil.copytree(template, tmp_path / "template", symlinks=True))
    new = render(template, tmp_path / "new", {"keep_demo": True, "start_git": False})
    outside = tmp_path / "outside"
    line = entry.format(absolute=outside)
    for path in (outside, own / "outside", new / line, own / "template" / line):
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_text("the same\n")
    (own / "hooks" / "demo-manifest.txt").write_text(f"{line}\n{SCRIPT}\n")
    inside_git = entry.startswith(".git")  # makes it a repository, and a broken one
    before = tree(tmp_path)
    result = run_hook(new, own, start_git=False)
    assert "Note: " in result.stderr
    gone = set() if inside_git else {f"new/{SCRIPT}"}
    assert before.keys() - tree(tmp_path).keys() == gone


def test_file_that_cannot_be_removed_is_named(template: Path, tmp_path: Path) -> None:
    """A file that cannot be removed is reported, and the rest of the demo is removed."""
    if os.geteuid() == 0:
        pytest.skip("root removes from every folder")
    new = render(template, tmp_path / "new", {"keep_demo": True, "start_git": False})
    (new / SCRIPT).parent.chmod(0o555)
    result = run_hook(new, template, start_git=False)
    (new / SCRIPT).parent.chmod(0o755)
    assert (
        f"Some demo files could not be removed; delete them: '{SCRIPT} (Permission denied)'"
        in result.stderr
    )
    assert not (new / CONTROL).exists()


def _recopy(repository: Path, **options: Any) -> None:
    hand_over_environment()
    copier.run_recopy(repository, defaults=True, unsafe=True, overwrite=True, **options)


def test_recopy_puts_back_own_committed_file(
    without_demo: Path,
    put_own: Callable[[Path], None],
    git_way: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A team's committed file at a path of the demo is restored after a recopy."""
    put_own(without_demo / SCRIPT)
    git(without_demo, "add", "--all")
    git(without_demo, "commit", "-m", "Our own")
    before, git_before = tree(without_demo), git_state(without_demo)
    _recopy(without_demo)
    assert (tree(without_demo), git_state(without_demo)) == (before, git_before), git_way
    assert git(without_demo, "status", "--porcelain") == ""
    assert f"Restored from git, because they may be yours: {SCRIPT}" in capfd.readouterr().err


def test_recopy_puts_back_own_staged_file(without_demo: Path, git_way: str) -> None:
    """A team's staged file at a path of the demo is restored after a recopy."""
    (without_demo / CONTROL).write_text("ours\n")
    git(without_demo, "add", "--all")
    before, git_before = tree(without_demo), git_state(without_demo)
    _recopy(without_demo, quiet=True)
    assert (tree(without_demo), git_state(without_demo)) == (before, git_before), git_way


def test_recopy_in_repository_without_a_commit_takes_the_demo_out(
    template: Path, tmp_path: Path, git_way: str
) -> None:
    """In a repository without a commit, a recopy removes the demo."""
    new = render(template, tmp_path / "new", {"start_git": False})
    git(new, "init", "--quiet")
    before = tree(new)
    _recopy(new, quiet=True)
    assert tree(new) == before, git_way


def test_recopy_keeps_an_edit_that_copier_was_told_to_skip(without_demo: Path) -> None:
    """An edit that Copier was told to skip is kept after a recopy."""
    (without_demo / SCRIPT).write_text("ours\n")
    git(without_demo, "add", "--all")
    git(without_demo, "commit", "-m", "Our own")
    (without_demo / SCRIPT).write_text("ours, edited\n")
    _recopy(without_demo, quiet=True, skip_if_exists=[SCRIPT])
    assert (without_demo / SCRIPT).read_text() == "ours, edited\n"


def test_recopy_in_a_folder_of_a_repository_puts_back_own_file(
    template: Path, tmp_path: Path, git_way: str
) -> None:
    """In a subfolder of a repository, a team's own file is restored after a recopy."""
    git(tmp_path, "init", "--quiet")
    new = render(template, tmp_path / "images" / "web")
    (new / SCRIPT).write_text("ours\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-m", "One of many")
    before = tree(new)
    _recopy(new, quiet=True)
    assert tree(new) == before, git_way
    assert git(tmp_path, "status", "--porcelain") == ""


def test_recopy_from_demo_to_none_leaves_committed_demo_and_says_how_to_remove_it(
    with_demo: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A recopy without the demo keeps the committed demo and prints how to remove it."""
    _recopy(with_demo, data={"keep_demo": False})
    assert set(tree(with_demo)) >= set(manifest())
    assert "if they are the demo, remove them with: git rm -- " in capfd.readouterr().err


def _break_head(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("garbage\n")


def _lose_the_branch(repository: Path) -> None:
    (repository / ".git" / "refs" / "heads" / "main").unlink()


def _break_index(repository: Path) -> None:
    (repository / ".git" / "index").write_bytes(b"garbage")


def _lose_objects(repository: Path) -> None:
    shutil.rmtree(repository / ".git" / "objects")
    (repository / ".git" / "objects").mkdir()


@pytest.mark.parametrize("damage", [_break_head, _lose_the_branch, _break_index, _lose_objects])
def test_broken_repository_is_left_alone(
    template: Path, with_demo: Path, git_way: str, damage: Callable[[Path], None]
) -> None:
    """In a broken repository, nothing is removed."""
    damage(with_demo)
    before = tree(with_demo)
    result = run_hook(with_demo, template)
    assert tree(with_demo) == before, git_way
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("Note:")]
    assert note.startswith("Note: The demo was not removed, because git cannot read the repository")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_repository_of_somebody_else_is_left_alone(
    template: Path, with_demo: Path, git_way: str
) -> None:
    """In a repository of another user, which git refuses to read, nothing is removed."""
    for path in (with_demo, with_demo / ".git"):
        os.chown(path, 12345, 12345)
    before = tree(with_demo)
    result = run_hook(with_demo, template)
    assert tree(with_demo) == before, git_way
    assert "dubious ownership" in result.stderr


def test_without_git_a_repository_is_left_alone(
    template: Path, with_demo: Path, git_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a repository on a machine without git, nothing is removed."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent / "no-such-folder"))
    before = tree(with_demo)
    result = run_hook(with_demo, template)
    assert tree(with_demo) == before, git_way
    assert "The demo was not removed, because git cannot read the repository" in result.stderr


def test_pretended_copy_writes_nothing(template: Path, tmp_path: Path) -> None:
    """A copy with --pretend writes nothing."""
    render(template, tmp_path / "new", pretend=True)
    assert not (tmp_path / "new").exists()


def test_template_without_the_manifest_still_makes_a_repository(
    template: Path, tmp_path: Path
) -> None:
    """A template without the manifest still creates a repository, with one note."""
    own = Path(shutil.copytree(template, tmp_path / "template", symlinks=True))
    (own / "hooks" / "demo-manifest.txt").unlink()
    release(own, "v2.0.0")
    new = render(own, tmp_path / "new")
    assert (new / SCRIPT).exists()
    assert git(new, "rev-list", "--count", "HEAD") == "1"
