"""Computing an update from two renders, a repository and migrations."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from plain_project import NEW, OLD, commit_all, create_project, plan

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.answers_file import DEFAULT as ANSWERS_FILE
from packer_toolkit.template.blocking_files import require_writable
from packer_toolkit.template.project import Project
from packer_toolkit.template.pull_request import summarize_update
from packer_toolkit.template.trees import read_tree
from packer_toolkit.template.update_result import (
    describe_no_update,
    describe_update,
    format_result,
    format_undo_command,
)
from rig.repositories.template import git


@pytest.fixture
def plain(tmp_path: Path) -> Project:
    """Return a committed project at release v1.0.0, without changes of a team."""
    return create_project(tmp_path / "web")


def edit(project: Project, path: str, text: str) -> None:
    """Write a file of a project, and commit it."""
    file = project.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    commit_all(project.folder)


def reread(project: Project) -> Project:
    """Return a project without what was read before."""
    return Project.read(project.folder)


def test_an_unchanged_project_becomes_the_new_release(plain: Project) -> None:
    """Without changes of the team each file is as the release has it, and nothing is written."""
    with plan(plain) as update:
        assert update.changes == {
            ANSWERS_FILE: "changed",
            "build.hcl": "changed",
            "gone.txt": "deleted",
            "lib/added.txt": "added",
            "logo.bin": "changed",
            "new-name.txt": "added",
            "old-name.txt": "deleted",
            "run.sh": "changed",
        }
        assert (update.conflicts, update.blocking_files, update.list_ignored()) == ([], [], [])
        assert "+THREE" in update.format_diff()
        assert "\x1b[" in update.format_diff(color=True)
        assert read_tree(update.sandbox, update.after_tree) == update.after
        require_writable(update)
    assert git(plain.folder, "status", "--porcelain") == ""


def test_each_conflict_names_its_cause(plain: Project) -> None:
    """Each kind of conflict is found, and the pull request and the result name its cause."""
    folder = plain.folder
    edit(plain, "build.hcl", "one\ntwo\nours\nfour\nfive\n")
    edit(plain, "gone.txt", "gone\nours\n")
    edit(plain, "lib/added.txt", "ours\n")
    (folder / "logo.bin").write_bytes(b"\0\3")
    git(folder, "mv", "old-name.txt", "ours.txt")
    (folder / "scripts/first.sh").unlink()
    commit_all(folder)
    new = {**NEW, "scripts/first.sh": "echo first\necho more\n", "ours.txt/file": "release\n"}
    with plan(reread(plain), new=new) as update:
        kinds = {item.path: item.kind for item in update.conflicts}
        assert kinds == {
            "build.hcl": "both changed",
            "gone.txt": "removed",
            "lib/added.txt": "both added",
            "logo.bin": "no text",
            "ours.txt/file": "in the way",
        }
        lines = format_result(update, is_written=False)
        assert "  build.hcl: both changed the same lines; they are marked in the file" in lines
        assert "5 files would conflict:" in lines
        assert "scripts/first.sh stays deleted, although the release changes it." in lines
        summary = summarize_update(update, "news")
        causes = {item.path: item.reason for item in summary.conflicts}
        assert causes["gone.txt"] == "the release removes it, and you changed it"
        assert "+THREE" in next(i.diff for i in summary.conflicts if i.path == "build.hcl")
        described = describe_update(update)
        assert [item["path"] for item in described["conflicts"]] == sorted(kinds)
        assert described["kept_deleted"] == ["scripts/first.sh"]


def test_changes_of_the_team_move_with_a_renamed_file(plain: Project) -> None:
    """A file that the release renames keeps the team's lines, and a note names both paths."""
    edit(plain, "old-name.txt", f"ours\n{OLD['old-name.txt']!s}")
    with plan(reread(plain)) as update:
        entry = update.after["new-name.txt"]
        text = update.sandbox.text("cat-file", "blob", entry.oid)
        assert text.splitlines()[0] == "ours"
        assert text.splitlines()[-1] == "line 20"
        lines = format_result(update, is_written=True)
    assert "old-name.txt was renamed to new-name.txt, with your changes in it." in lines
    assert "Next: review git diff, and commit everything." in lines
    assert lines[-1].startswith("To undo with git alone: git reset --quiet --hard && git clean")


def test_a_file_is_not_renamed_to_a_folder_of_the_team(plain: Project) -> None:
    """What the team has changed stays where it is, and both paths are conflicts."""
    edit(plain, "old-name.txt", f"ours\n{OLD['old-name.txt']!s}")
    edit(plain, "new-name.txt/file", "ours\n")
    with plan(reread(plain)) as update:
        kinds = {item.path: item.kind for item in update.conflicts}
        assert kinds == {"old-name.txt": "removed", "new-name.txt": "in the way"}
        assert update.after["old-name.txt"] == update.before["old-name.txt"]
        assert read_tree(update.sandbox, update.after_tree) == update.after


def test_the_result_names_each_changed_answer(tmp_path: Path) -> None:
    """New, changed and removed answers are in the lines, in the JSON and in the summary."""
    project = create_project(tmp_path / "web", answers="size: small\nold: true\n")
    with plan(project, answers="size: large\nnew: 3\n") as update:
        lines = format_result(update, is_written=False)
        assert "New question new: 3; change it with --data new=ANSWER." in lines
        assert 'Answer size changed from "small" to "large".' in lines
        assert "No longer asked: old; your answer was true." in lines
        assert lines[0].startswith("An update from v1.0.0 to v1.1.0; files: ")
        assert describe_update(update)["answers"] == update.answers
        assert summarize_update(update, "").changed == {"size": ("small", "large")}
    assert {*describe_no_update(project)} == {*describe_update(update)}


@pytest.mark.parametrize(
    ("path", "ignored"), [("lib/added.txt", True), ("lib", False), ("new-name.txt/x", True)]
)
def test_untracked_files_are_not_overwritten(plain: Project, path: str, ignored: bool) -> None:
    """A file that git does not have blocks the update, whether git ignores it or not."""
    if ignored:
        edit(plain, ".gitignore", f"/{path}\n")
    file = plain.folder / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("ours\n")
    with plan(reread(plain)) as update:
        assert update.blocking_files == [path]
        notes = format_result(update, is_written=False)
        assert f"Untracked file {path} would be overwritten: rename it first." in notes
        with pytest.raises(SetupError, match=f"untracked file {path} would be overwritten"):
            require_writable(update)


def test_new_files_that_git_ignores_are_named(plain: Project) -> None:
    """A new file that git ignores would be missing in the next commit, so a note names it."""
    edit(plain, ".gitignore", "/lib/\n")
    with plan(reread(plain)) as update:
        assert update.list_ignored() == ["lib/added.txt"]
        lines = format_result(update, is_written=False)
    assert "lib/added.txt is new and ignored by git: git add --force lib/added.txt." in lines


def test_migrations_change_the_files_before_and_after_the_merge(plain: Project) -> None:
    """What migrations write is in the update, a conflict that they leave too."""

    def migrate(folder: Path, stage: str) -> None:
        (folder / f"{stage}.txt").write_text(stage)
        if stage == "before":
            (folder / "gone.txt").rename(folder / "moved.txt")
        else:
            (folder / "run.sh").write_text("migrated\n")
            entries = git(folder, "ls-files", "--stage", "build.hcl").split()
            lines = "".join(f"100644 {entries[1]} {stage}\tbuild.hcl\n" for stage in (1, 2, 3))
            git(folder, "update-index", "--force-remove", "build.hcl")
            command = ["git", "-C", str(folder), "update-index", "--index-info"]
            subprocess.run(command, input=lines.encode(), check=True)

    with plan(plain, migrate=migrate) as update:
        assert {"before.txt", "after.txt", "moved.txt"} <= {*update.after}
        assert update.sandbox.text("cat-file", "blob", update.after["run.sh"].oid) == "migrated"
        assert [item.path for item in update.conflicts] == ["build.hcl"]


def test_a_release_that_leaves_the_repository_is_refused(plain: Project) -> None:
    """A link that leads out of the repository is refused before anything is written."""
    with (
        pytest.raises(SetupError, match=r"the release is refused because of x: it is a link that"),
        plan(plain, new={**NEW, "x": "->../../etc/passwd"}),
    ):
        pass


def test_the_undo_command_is_the_launcher_of_the_project(plain: Project) -> None:
    """The command starts toolkit-host.sh where the project has it."""
    (plain.folder / "toolkit-host.sh").touch()
    command = "./toolkit-host.sh packer-toolkit template-update --undo"
    assert format_undo_command(plain) == command
