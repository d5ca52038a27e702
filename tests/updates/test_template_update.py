"""`packer-toolkit template-update`: pre-flight, verdict, and what a team is told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rig.repositories.template import git, release, render
from rig.run.updating import files, state, toolkit, unmerged

pytestmark = pytest.mark.integration

ANSWERS = ".copier-answers.yml"


def commit(repository: Path) -> None:
    """Commit everything."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Ours")


def change(repository: Path, path: str, old: str, new: str) -> None:
    """Change a text in a file, and commit it."""
    file = repository / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    commit(repository)


# ------------------------------------------------------------------------------- the verdict


def test_clean_is_exit_code_0_and_says_how_to_go_on_and_back(project: Path) -> None:
    """Nothing is staged or committed."""
    index, head = git(project, "ls-files", "--stage"), git(project, "rev-parse", "HEAD")
    answer = toolkit(project, "template-update")
    assert answer.code == 0
    assert answer.stdout.splitlines()[:2] == [
        "Updated from v1.0.0 to v2.1.0; files: 12 changed, 6 added, 5 deleted.",
        "No conflicts.",
    ]
    assert "Next: review git diff, and commit everything." in answer.stdout
    assert "To undo: packer-toolkit template-update --undo" in answer.stdout
    assert (git(project, "ls-files", "--stage"), git(project, "rev-parse", "HEAD")) == (index, head)


def test_the_way_back_is_there_for_who_has_only_uv(project: Path) -> None:
    """What uvx runs is not on the person's PATH, but the repository's launcher is there."""
    (project / "toolkit-host.sh").write_text("#!/bin/sh\n")
    commit(project)
    answer = toolkit(project, "template-update")
    assert "To undo: ./toolkit-host.sh packer-toolkit template-update --undo" in answer.stdout


@pytest.mark.parametrize("start", ["v1.0.0", "v1.1.0", "v2.0.0"])
def test_an_untouched_repository_becomes_a_fresh_one(
    made_by: dict[str, Path], tmp_path: Path, start: str
) -> None:
    """To the byte; and a second update changes nothing."""
    project = Path(shutil.copytree(made_by[start], tmp_path / "web", symlinks=True))
    assert toolkit(project, "template-update").code == 0
    assert files(project) == files(made_by["v2.1.0"])
    commit(project)
    before = state(project)
    answer = toolkit(project, "template-update")
    assert (answer.code, "Up to date" in answer.stdout) == (0, True)
    assert state(project) == before


def test_conflicts_are_exit_code_1_and_listed(project: Path) -> None:
    """Each with its reason; git's index has the same, so git status and editors know them."""
    change(project, "build.hcl", "build 3\n", "ours 3\n")
    change(project, "gone.txt", "gone 1", "ours 1")
    (project / "added.txt").write_text("ours\n")
    (project / "logo.bin").write_bytes(b"\0ours")
    (project / "link").unlink()
    (project / "link").symlink_to("run.sh")
    commit(project)
    answer = toolkit(project, "template-update")
    assert answer.code == 1
    listed = [line.split(":")[0].strip() for line in answer.stdout.splitlines() if line[:2] == "  "]
    assert listed == ["added.txt", "build.hcl", "gone.txt", "link", "logo.bin"] == unmerged(project)
    assert (project / "logo.bin").read_bytes() == b"\0ours"
    assert (project / "link").readlink() == Path("run.sh")
    assert (project / "gone.txt").read_text().startswith("ours 1\n")
    assert (
        "<<<<<<< before updating\nours 3\n=======\nbuild 3, better\n>>>>>>> after updating\n"
        in (project / "build.hcl").read_text()
    )
    assert git(project, "show", ":3:./added.txt") == "added\nby a release"
    assert git(project, "show", ":2:./build.hcl").splitlines()[2] == "ours 3"
    assert not list(project.rglob("*.rej"))
    # The way on that is printed.
    git(project, "add", *listed)
    assert unmerged(project) == []


def test_json_is_the_verdict(project: Path) -> None:
    """Progress goes to stderr."""
    change(project, "build.hcl", "build 3\n", "ours 3\n")
    answer = toolkit(project, "template-update", "--json", "--to", "v1.1.0")
    assert answer.code == 1
    assert (answer.json["from"], answer.json["to"]) == ("v1.0.0", "v1.1.0")
    assert [item["path"] for item in answer.json["conflicts"]] == ["build.hcl"]
    assert "If this is interrupted" in answer.stderr


def test_dry_run_says_the_same_and_changes_nothing(project: Path) -> None:
    """Conflicts are exit code 1 there too."""
    change(project, "build.hcl", "build 3\n", "ours 3\n")
    before = state(project)
    answer = toolkit(project, "template-update", "--dry-run")
    assert answer.code == 1
    assert "build.hcl: both changed the same lines" in answer.stdout
    assert state(project) == before


def test_to_takes_an_older_release_than_the_newest(project: Path, made_by: dict[str, Path]) -> None:
    """Never one that is older than the present one."""
    assert toolkit(project, "template-update", "--to", "v1.1.0").code == 0
    assert files(project) == files(made_by["v1.1.0"])
    commit(project)
    answer = toolkit(project, "template-update", "--to", "v1.0.0")
    assert (answer.code, "updates only go forward" in answer.stderr) == (3, True)


def test_to_the_present_release_does_not_call_it_the_newest(project: Path) -> None:
    """There is a newer one."""
    answer = toolkit(project, "template-update", "--to", "v1.0.0")
    assert (answer.code, answer.stdout) == (0, "This repository is at v1.0.0 already.\n")


def test_an_update_that_is_not_committed_is_finished_or_taken_back_first(project: Path) -> None:
    """The next one could not be told from it."""
    change(project, "build.hcl", "build 3\n", "ours 3\n")
    toolkit(project, "template-update", "--to", "v1.1.0")
    before = state(project)
    answer = toolkit(project, "template-update")
    assert (answer.code, "the last update is not committed yet" in answer.stderr) == (3, True)
    assert answer.stderr.endswith("undo it: packer-toolkit template-update --undo")
    assert state(project) == before
    commit(project)
    assert toolkit(project, "template-update").code == 0


def test_a_file_of_the_template_that_was_deleted_stays_so_and_is_named(project: Path) -> None:
    """If the release changes it."""
    (project / "build.hcl").unlink()
    commit(project)
    answer = toolkit(project, "template-update")
    assert answer.code == 0
    assert not (project / "build.hcl").exists()
    assert "build.hcl stays deleted, although the release changes it." in answer.stdout


def test_changes_move_along_when_the_release_renames_a_file(project: Path) -> None:
    """The team's line and the release's stand in the new one."""
    change(project, "old-name.txt", "named 11", "ours 11")
    answer = toolkit(project, "template-update")
    assert answer.code == 0
    assert "old-name.txt was renamed to new-name.txt, with your changes in it." in answer.stdout
    text = (project / "new-name.txt").read_text()
    assert "ours 11\n" in text
    assert "named 5, renamed\n" in text
    assert not (project / "old-name.txt").exists()


def test_a_renamed_file_with_conflicts_can_be_resolved_by_git(project: Path) -> None:
    """Its three versions are at the new path."""
    change(project, "old-name.txt", "named 5", "ours 5")
    assert toolkit(project, "template-update").code == 1
    assert unmerged(project) == ["new-name.txt"]
    git(project, "checkout", "--theirs", "new-name.txt")
    commit(project)
    assert git(project, "status", "--porcelain") == ""


def test_a_new_file_that_git_ignores_here_is_named(project: Path) -> None:
    """The next commit would leave it out, and the update after that would take it for deleted."""
    with (project / ".gitignore").open("a") as file:
        file.write("added.*\n")
    commit(project)
    answer = toolkit(project, "template-update")
    assert "added.txt is new and ignored by git: git add --force added.txt." in answer.stdout
    git(project, "add", "--force", "added.txt")
    assert git(project, "ls-files", "added.txt") == "added.txt"


def test_a_repository_of_a_commit_after_the_release_is_up_to_date(
    small: Path, tmp_path: Path
) -> None:
    """Nobody is sent back to the release; an answer can change there too."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    (template / "template/later.txt").write_text("later\n")
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "-m", "After the release")
    project = render(template, tmp_path / "web", vcs_ref="HEAD")
    git(project, "init", "--quiet")
    commit(project)
    for command in ("template-check", "template-update"):
        answer = toolkit(project, command)
        assert answer.code == 0, answer
        assert "is newer than the template's newest release" in answer.stdout
    assert toolkit(project, "template-update", "--data", "name=shop").code == 0
    assert (project / "README.md").read_text().startswith("# shop\n")
    assert (project / "later.txt").exists()


# ------------------------------------------------------------------------------- the pre-flight


def _merge_in_progress(repository: Path) -> None:
    (repository / ".git" / "MERGE_HEAD").write_text(git(repository, "rev-parse", "HEAD") + "\n")


def _overlooked(repository: Path) -> None:
    git(repository, "update-index", "--assume-unchanged", "build.hcl")
    (repository / "build.hcl").write_text("ours, and git was told not to look\n")


def _bad_answer(repository: Path) -> None:
    file = repository / ANSWERS
    file.write_text(file.read_text().replace("_commit: v1.0.0", "_commit: v7.0.0"))
    commit(repository)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: (p / "new.txt").write_text("x"), "there are uncommitted changes (new.txt)"),
        (lambda p: (p / "run.sh").write_text("x"), "there are uncommitted changes (run.sh)"),
        (_merge_in_progress, "a merge is in progress"),
        (lambda p: (p / ".git/rebase-merge").mkdir(), "a rebase is in progress"),
        (lambda p: shutil.rmtree(p / ".git"), "is not in the work tree of a git repository"),
        (lambda p: git(p, "update-ref", "-d", "HEAD"), "has no commit yet"),
        (_overlooked, "git is set to ignore changes of build.hcl"),
        (lambda p: git(p, "config", "status.showUntrackedFiles", "no"), None),
        (_bad_answer, "this repository is at v7.0.0, and v2.1.0 is older"),
    ],
    ids=[
        "untracked", "edited", "merge", "rebase", "no git", "no commit", "assume-unchanged",
        "untracked files not shown", "a release of the future",
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_one_line_and_changes_nothing(
    project: Path, spoil: Callable[[Path], object], said: str | None
) -> None:
    """Exit code 3, before anything is started."""
    spoil(project)
    if said is None:
        (project / "new.txt").write_text("unseen\n")
        said = "new.txt"
    before = files(project)
    answer = toolkit(project, "template-update")
    assert answer.code == 3, answer
    assert said in answer.stderr
    assert "\n" not in answer.stderr
    assert files(project) == before


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("_src_path: .*", "_src_path: /nowhere/at/all", 4, "the folder does not exist"),
        ("_src_path: .*", "_src_path: file:///nowhere/t.git", 4, "cannot be read"),
        ("_commit: .*", "_commit: 0123abc", 3, "is not a release of the template"),
        ("_commit: .*", "_commit: v0.5.0", 3, "has no 'v0.5.0', which .copier-answers.yml names"),
        ("_commit: .*", "", 3, "does not name its release"),
        ("(?s).*", "- no answers", 3, "does not contain answers"),
    ],
)
def test_a_template_that_cannot_be_had_is_one_line(
    project: Path, old: str, new: str, code: int, said: str
) -> None:
    """As template-check says it; nothing is changed."""
    file = project / ANSWERS
    file.write_text(re.sub(old, new, file.read_text(), count=1) + "\n")
    commit(project)
    before = state(project)
    for command in ("template-update", "template-diff"):
        answer = toolkit(project, command)
        assert (answer.code, said in answer.stderr) == (code, True), answer
        assert "\n" not in answer.stderr
    assert state(project) == before


def test_a_template_that_needs_a_newer_copier_is_one_line(
    project: Path, small: Path, tmp_path: Path
) -> None:
    """It names both versions."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    questions = template / "copier.yml"
    questions.write_text(questions.read_text().replace('"9.18.0"', '"999.0.0"'))
    release(template, "v3.0.0")
    _recorded(project, template)
    answer = toolkit(project, "template-update")
    assert (answer.code, "requires Copier version >= 999.0.0" in answer.stderr) == (3, True), answer
    assert "\n" not in answer.stderr


def test_no_name_and_address_are_needed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is committed in a person's name."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    assert toolkit(project, "template-update").code == 0


def test_a_persons_git_settings_do_not_matter(project: Path, made_by: dict[str, Path]) -> None:
    """Neither failing hooks, signatures, whitespace nor names of branches."""
    for name, value in {
        "commit.gpgSign": "true",
        "gpg.program": "/bin/false",
        "apply.whitespace": "fix",
        "core.autocrlf": "input",
        "core.quotePath": "true",
        "diff.noprefix": "true",
        "merge.conflictStyle": "diff3",
        "color.ui": "always",
        "diff.external": "/bin/false",
    }.items():
        git(project, "config", name, value)
    assert toolkit(project, "template-update").code == 0
    assert files(project) == files(made_by["v2.1.0"])


@pytest.fixture
def with_task(small: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Return a template that can run code, and a repository of its first release."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    questions = template / "copier.yml"
    questions.write_text(f"{questions.read_text()}_tasks: ['true']\n")
    release(template, "v3.0.0")
    (template / "template" / "fourth.txt").write_text("4\n")
    release(template, "v4.0.0")
    project = render(template, tmp_path / "web", vcs_ref="v3.0.0")
    git(project, "init", "--quiet")
    commit(project)
    return template, project


def test_a_template_that_is_not_trusted_is_one_line(with_task: tuple[Path, Path]) -> None:
    """It names the settings file; nothing was run or changed."""
    template, project = with_task
    answer = toolkit(project, "template-update")
    assert answer.code == 3
    assert f"the template {template} is not trusted, and it can run code (tasks)" in answer.stderr
    assert "settings.yml, or pass --trust" in answer.stderr


def test_trust_is_given_once_by_copiers_settings_or_for_this_once(
    with_task: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same settings that Copier itself reads."""
    _, project = with_task
    assert toolkit(project, "template-update", "--trust", "--dry-run").code == 0
    settings = tmp_path / "settings.yml"
    settings.write_text(f"trust:\n  - {tmp_path}/\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    assert toolkit(project, "template-update").code == 0
    assert (project / "fourth.txt").exists()


@pytest.mark.parametrize(
    ("text", "reason"), [("trust: [", "line "), ("trust: yes\n", "trust: Input should be")]
)
def test_broken_settings_of_copier_are_named(
    with_task: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    reason: str,
) -> None:
    """The file and what is wrong in it: the template is not to blame."""
    _, project = with_task
    settings = tmp_path / "settings.yml"
    settings.write_text(text)
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    answer = toolkit(project, "template-update")
    assert answer.code == 3
    assert f"Copier's settings {settings} are not valid: {reason}" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


# --------------------------------------------------------------------------------- the answers


@pytest.fixture
def asking(small: Path, tmp_path: Path) -> Path:
    """Return a template whose v3.0.0 asks something new, and takes a choice and a question away."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    (template / "copier.yml").write_text(
        "_subdirectory: template\n_preserve_symlinks: true\n"
        "name: {type: str, default: web}\n"
        "size: {type: str, choices: [medium, large], default: medium}\n"
        "colour: {type: str, default: red}\n"
        "count: {type: int, default: 1}\n"
        "image_name: {type: str, default: web}\n"
        "parent_image: {type: str, default: debian-12}\n"
        "toolkit_image: {type: str, default: example.com/toolkit}\n"
    )
    (template / "template/README.md.jinja").write_text("# {{ name }} {{ size }} {{ colour }}\n")
    release(template, "v3.0.0")
    return template


def _recorded(project: Path, template: Path) -> None:
    file = project / ANSWERS
    answers = yaml.safe_load(file.read_text())
    answers["_src_path"] = str(template)
    file.write_text("# Written by Copier.\n" + yaml.safe_dump(answers))
    commit(project)


def test_new_questions_and_lost_answers_are_told(project: Path, asking: Path) -> None:
    """A choice that is gone becomes the default: Copier alone says nothing."""
    _recorded(project, asking)
    answer = toolkit(project, "template-update")
    assert answer.code == 0
    assert 'New question colour: "red"; change it with --data colour=ANSWER.' in answer.stdout
    assert 'Answer size changed from "small" to "medium".' in answer.stdout
    assert "# web medium red" in (project / "README.md").read_text()


def test_answers_can_be_given(project: Path, asking: Path, tmp_path: Path) -> None:
    """By --data, or in a file; --data goes first."""
    _recorded(project, asking)
    given = tmp_path / "answers.yml"
    given.write_text("colour: blue\nsize: large\n")
    answer = toolkit(
        project, "template-update", "--json", "--answers", str(given), "--data", "colour=green"
    )
    assert answer.code == 0
    assert answer.json["answers"] == {
        "new": {"colour": "green", "count": 1},
        "changed": {"size": ["small", "large"]},
        "gone": {},
    }
    assert "# web large green" in (project / "README.md").read_text()


def test_an_answer_can_change_at_the_newest_release(
    made_by: dict[str, Path], tmp_path: Path
) -> None:
    """Which is then rendered again."""
    project = Path(shutil.copytree(made_by["v2.1.0"], tmp_path / "web", symlinks=True))
    assert toolkit(project, "template-update", "--data", "name=shop").code == 0
    assert (project / "README.md").read_text().startswith("# shop\n")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--data", "size=huge"], 3, "huge"),
        (["--data", "count=many"], 3, "Copier cannot render"),
        (["--data", "size"], 2, "QUESTION=ANSWER"),
        (["--to", "v77.0.0"], 3, "no release v77.0.0; its newest are v3.0.0, v2.1.0, v2.0.0"),
    ],
)
def test_a_refused_answer_is_one_line(
    project: Path, asking: Path, options: list[str], code: int, said: str
) -> None:
    """And nothing is changed."""
    _recorded(project, asking)
    before = state(project)
    command = ["packer-toolkit", "template-update", *options]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if code != 2:
        assert done.stderr.count("\n") == 1
    assert state(project) == before


# ----------------------------------------------------------------------------------- migrations


def test_migrations_see_the_teams_files_and_their_changes_are_taken(
    small: Path, tmp_path: Path
) -> None:
    """Before: the team's own; after: the updated ones.  What they print goes to stderr."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    questions = template / "copier.yml"
    questions.write_text(
        questions.read_text()
        + "_migrations:\n"
        + "  - version: v3.0.0\n"
        + "    when: \"{{ _stage == 'before' }}\"\n"
        + "    command: ['sh', '-c', 'echo before; mv own.txt moved.txt;"
        + " sed -i s/small/large/ .copier-answers.yml']\n"
        + "  - version: v3.0.0\n"
        + "    command: ['sh', '-c', 'echo after; cat third.txt >>moved.txt']\n"
    )
    (template / "template/third.txt").write_text("third\n")
    release(template, "v3.0.0")
    project = render(template, tmp_path / "web", vcs_ref="v2.1.0")
    git(project, "init", "--quiet")
    (project / "own.txt").write_text("ours\n")
    commit(project)
    before = state(project)
    command = ["packer-toolkit", "template-update", "--trust", "--json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["conflicts"] == []
    assert "before\nafter\n" in done.stderr
    assert (project / "moved.txt").read_text() == "ours\nthird\n"
    assert not (project / "own.txt").exists()
    assert "A large one" in (project / "README.md").read_text()
    assert toolkit(project, "template-update", "--undo").code == 0
    assert state(project) == before


def test_a_failing_migration_changes_nothing(small: Path, tmp_path: Path) -> None:
    """One line, with its exit code."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    questions = template / "copier.yml"
    questions.write_text(
        f"{questions.read_text()}_migrations:\n"
        "  - version: v3.0.0\n    command: ['sh', '-c', 'exit 9']\n"
    )
    release(template, "v3.0.0")
    project = render(template, tmp_path / "web", vcs_ref="v2.1.0")
    git(project, "init", "--quiet")
    commit(project)
    before = state(project)
    answer = toolkit(project, "template-update", "--trust")
    assert (answer.code, "failed with exit code 9; nothing was changed" in answer.stderr) == (
        3,
        True,
    )
    assert state(project) == before
