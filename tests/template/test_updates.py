"""`copier update` applies changes of the template and loses no changes of a team."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from rig.repositories.hook import git_state, manifest, tree
from rig.repositories.releases import create_template, releases
from rig.repositories.template import ROOT, git, hand_over_environment, release, render, snapshot
from rig.run.updating import toolkit

SCRIPT = "provisioners/shell/50-demo.sh"
NEW_DEMO = "provisioners/shell/60-demo.sh"
RELEASES = releases()


def update(repository: Path, **options: Any) -> None:
    """Run `copier update` with the recorded answers."""
    hand_over_environment()
    options = {"defaults": True, "unsafe": True, "overwrite": True, "quiet": True, **options}
    copier.run_update(repository, **options)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template whose v1.1.0 adds a demo file, changes another and changes the build."""
    template = snapshot(tmp_path_factory.mktemp("history") / "template")
    (template / "template" / NEW_DEMO).write_text("#!/usr/bin/env bash\necho new\n")
    (template / "hooks" / "demo-manifest.txt").write_text(
        "".join(f"{entry}\n" for entry in [*manifest(), NEW_DEMO])
    )
    for path in (SCRIPT, "build.pkr.hcl"):
        with (template / "template" / path).open("a") as file:
            file.write("# learnt in v1.1.0\n")
    release(template, "v1.1.0")
    return template


@pytest.fixture(scope="module")
def _made_by_first_release(
    history: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp("first")
    return {
        demo: render(
            history,
            folder / f"demo-{demo}",
            {"keep_demo": demo, "image_name": "web"},
            vcs_ref="v1.0.0",
        )
        for demo in (False, True)
    }


@pytest.fixture
def without_demo(_made_by_first_release: dict[bool, Path], tmp_path: Path) -> Path:
    """Return a repository that v1.0.0 made with keep_demo=false."""
    return Path(shutil.copytree(_made_by_first_release[False], tmp_path / "web", symlinks=True))


@pytest.fixture
def with_demo(_made_by_first_release: dict[bool, Path], tmp_path: Path) -> Path:
    """Return a repository that v1.0.0 made with keep_demo=true."""
    return Path(shutil.copytree(_made_by_first_release[True], tmp_path / "web", symlinks=True))


def test_update_leaves_committing_to_the_team(without_demo: Path) -> None:
    """An update does not change HEAD, branches or the index, so that the team can review it."""
    before = git_state(without_demo)
    update(without_demo)
    assert git_state(without_demo) == before
    assert "# learnt in v1.1.0" in (without_demo / "build.pkr.hcl").read_text()


def test_update_never_runs_the_hook(history: Path, tmp_path: Path) -> None:
    """An update runs neither the hook of the old release nor that of the new one."""
    template = Path(shutil.copytree(history, tmp_path / "template", symlinks=True))
    runs = tmp_path / "runs"
    for tag in ("v2.0.0", "v3.0.0"):
        (template / "hooks" / "post_gen.py").write_text(
            f"open({str(runs)!r}, 'a').write('{tag}\\n')\n"
        )
        versions = template / "template" / "versions.pkr.hcl"
        versions.write_text(f"{versions.read_text()}# {tag}\n")
        release(template, tag)
    new = render(template, tmp_path / "new", vcs_ref="v2.0.0")
    git(new, "init", "--quiet")
    git(new, "add", "--all")
    git(new, "commit", "-m", "Mine")
    update(new)
    assert "# v3.0.0" in (new / "versions.pkr.hcl").read_text()
    assert runs.read_text() == "v2.0.0\n"


def test_without_demo_own_files_at_its_paths_survive(without_demo: Path) -> None:
    """A team's files at paths of the demo survive an update without the demo."""
    script, binary, link, empty, ignored, *texts = [*manifest(), NEW_DEMO]
    for entry in [*manifest(), NEW_DEMO]:
        (without_demo / entry).parent.mkdir(parents=True, exist_ok=True)
    for text in texts:
        (without_demo / text).write_text("ours, before the template had it\n")
    (without_demo / script).write_text("#!/bin/sh\necho ours\n")
    (without_demo / script).chmod(0o755)
    (without_demo / binary).write_bytes(bytes(range(256)))
    (without_demo / link).symlink_to("../../../README.md")
    (without_demo / empty).touch()
    (without_demo / ignored).write_text("ours, ignored\n")
    with (without_demo / ".gitignore").open("a") as file:
        file.write(f"/{ignored}\n")
    git(without_demo, "add", "--all")
    git(without_demo, "commit", "-m", "Our own")
    assert ignored not in git(without_demo, "ls-files")
    before = tree(without_demo)
    update(without_demo)
    after = tree(without_demo)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {".copier-answers.yml", "build.pkr.hcl"}


def test_demo_file_of_a_newer_release_does_not_reach_who_has_no_demo(without_demo: Path) -> None:
    """A new demo file does not reach a repository without the demo."""
    update(without_demo)
    assert not set(tree(without_demo)) & {*manifest(), NEW_DEMO}
    assert "empty folder" not in tree(without_demo).values()


def test_demo_is_updated_for_who_has_it(with_demo: Path) -> None:
    """An update adds and changes files of the demo in a repository that has it."""
    update(with_demo)
    assert (with_demo / NEW_DEMO).exists()
    assert (with_demo / SCRIPT).read_text().endswith("# learnt in v1.1.0\n")


def test_answer_changed_to_no_removes_the_demo_only(with_demo: Path) -> None:
    """The answer keep_demo=false removes the demo, but none of the team's files."""
    own = "provisioners/ansible/roles/demo/tasks/own.yml"
    (with_demo / own).write_text("---\n")
    git(with_demo, "add", "--all")
    git(with_demo, "commit", "-m", "Our own")
    before = tree(with_demo)
    update(with_demo, data={"keep_demo": False})
    after = tree(with_demo)
    assert before.keys() - after.keys() == set(manifest())
    assert after.keys() <= before.keys()
    assert after[own] == before[own]
    assert "keep_demo: false" in (with_demo / ".copier-answers.yml").read_text()


def test_answer_changed_to_yes_brings_all_of_the_demo(without_demo: Path, history: Path) -> None:
    """The answer keep_demo=true adds the demo of the newest release."""
    update(without_demo, data={"keep_demo": True})
    shipped, found = tree(history / "template"), tree(without_demo)
    for entry in [*manifest(), NEW_DEMO]:
        assert found[entry] == shipped[entry]


@pytest.mark.parametrize("demo", [False, True])
def test_update_to_the_same_release_changes_nothing(
    request: pytest.FixtureRequest, demo: bool
) -> None:
    """An update to the same release changes neither files nor git."""
    repository = request.getfixturevalue("with_demo" if demo else "without_demo")
    before, git_before = tree(repository), git_state(repository)
    update(repository, vcs_ref="v1.0.0")
    assert (tree(repository), git_state(repository)) == (before, git_before)
    assert git(repository, "status", "--porcelain") == ""


def test_demo_file_that_the_team_deleted_stays_deleted(with_demo: Path) -> None:
    """A demo file that the team deleted stays deleted, even if the release changes it."""
    git(with_demo, "rm", "--quiet", SCRIPT)
    git(with_demo, "commit", "-m", "Not this one")
    update(with_demo)
    assert not (with_demo / SCRIPT).exists()
    assert (with_demo / NEW_DEMO).exists()


def test_own_edit_of_a_template_file_survives(without_demo: Path) -> None:
    """A team's edit of a template file is merged with the changes of the release."""
    build = without_demo / "build.pkr.hcl"
    build.write_text("# ours\n" + build.read_text())
    git(without_demo, "commit", "--all", "-m", "Our own")
    update(without_demo)
    assert build.read_text().startswith("# ours\n")
    assert build.read_text().endswith("# learnt in v1.1.0\n")
    assert git(without_demo, "ls-files", "--unmerged") == ""


@pytest.mark.parametrize("change", ["edited", "untracked"])
def test_update_of_a_dirty_repository_is_refused(without_demo: Path, change: str) -> None:
    """Copier refuses to update a repository with uncommitted changes."""
    path = without_demo / ("README.md" if change == "edited" else "own.txt")
    path.write_text("ours, not committed\n")
    before = tree(without_demo)
    with pytest.raises(copier.errors.UserMessageError, match="Destination repository is dirty"):
        update(without_demo)
    assert tree(without_demo) == before


def test_update_in_a_folder_of_a_repository_keeps_own_files(history: Path, tmp_path: Path) -> None:
    """An update in a subfolder of a repository keeps the team's files."""
    git(tmp_path, "init", "--quiet")
    new = render(history, tmp_path / "images" / "web", vcs_ref="v1.0.0")
    (new / SCRIPT).write_text("ours\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-m", "One of many")
    update(new)
    assert (new / SCRIPT).read_text() == "ours\n"
    assert not (new / NEW_DEMO).exists()
    assert "# learnt in v1.1.0" in (new / "build.pkr.hcl").read_text()


# ----------------------------------------------------------------------- from every release


def add_oldest_release(template: Path) -> None:
    """Add v0.0.1: no hook, no manifest, no demo, another README, a file that is gone now."""
    for entry in manifest():
        (template / "template" / entry).unlink()
    shutil.rmtree(template / "hooks")
    (template / "template" / "README.md.jinja").write_text("# {{ image_name }}\n")
    (template / "template" / "gone.txt").write_text("gone in later releases\n")
    file = template / "copier.yml"
    questions = {
        name: value
        for name, value in yaml.safe_load(file.read_text()).items()
        if name not in {"_exclude", "_tasks"}
    }
    file.write_text(yaml.safe_dump(questions, sort_keys=False))
    release(template, "v0.0.1")


@pytest.fixture(scope="module")
def all_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with every release, one before them, and the working tree."""
    return create_template(tmp_path_factory.mktemp("releases"), "v9999.0.0", add_oldest_release)


@pytest.mark.parametrize("demo", ["on", "off", "switched on", "switched off"])
@pytest.mark.parametrize("tag", ["v0.0.1", *RELEASES])
def test_update_from_a_release_equals_a_new_repository(
    all_releases: Path, tmp_path: Path, tag: str, demo: str
) -> None:
    """An update from any release equals a new repository, and a second one changes nothing.

    And no recorded answer is changed on the way, by a tighter validator or a lost choice.
    """
    had, has = demo in {"on", "switched off"}, demo in {"on", "switched on"}
    old, twin, fresh = (tmp_path / name / "web" for name in ("old", "twin", "fresh"))
    render(all_releases, old, {"image_name": "web", "keep_demo": had}, vcs_ref=tag)
    if not (old / ".git").exists():
        git(old, "init", "--quiet")
        _commit(old)
    shutil.copytree(old, twin, symlinks=True)
    answers = yaml.safe_load((old / ".copier-answers.yml").read_text())
    update(old, data={"keep_demo": has} if had != has else {})
    render(all_releases, fresh, {"image_name": "web", "keep_demo": has})
    assert tree(old) == tree(fresh)
    assert git(old, "ls-files", "--unmerged") == ""
    updated = yaml.safe_load((old / ".copier-answers.yml").read_text())
    expected = {**answers, "_commit": "v9999.0.0", "keep_demo": has}
    assert expected == {name: updated[name] for name in answers}

    switched = [f"--data=keep_demo={str(has).lower()}"] if had != has else []
    answer = toolkit(twin, "template-update", "--trust", "--json", *switched)
    assert (answer.code, answer.json["conflicts"]) == (0, [])
    assert tree(twin) == tree(fresh)
    _commit(twin)
    # An answer that is given again is a reason to render again.
    assert toolkit(twin, "template-update", "--trust", "--data=image_name=web").code == 0
    assert tree(twin) == tree(fresh)
    assert git(twin, "status", "--porcelain") == ""


@pytest.mark.parametrize("tag", [tag for tag in RELEASES if tag == "v1.0.0"])
def test_release_role_of_an_older_repository_is_its_build_role(
    all_releases: Path, tmp_path: Path, tag: str
) -> None:
    """An update without questions records the build role as the release role, and edits survive.

    With --data the release role becomes another one, and only the workflow, the README and the
    answers change.  (issue 9)
    """
    builder, releaser = (f"arn:aws:iam::444455556666:role/{name}" for name in ("ami", "releases"))
    answers = {"image_name": "web", "aws_build_role": builder}
    old = render(all_releases, tmp_path / "packer-ami-web", answers, vcs_ref=tag)
    action = old / ".github/actions/toolkit/action.yml"
    mirror = action.read_text().replace("uses: aws-actions/", "uses: our-mirror/")
    action.write_text(mirror.replace("role-session-name: packer-ami-", "role-session-name: ours-"))
    _commit(old)
    update(old)
    assert git(old, "ls-files", "--unmerged") == ""
    recorded = yaml.safe_load((old / ".copier-answers.yml").read_text())
    assert recorded["aws_release_role"] == recorded["aws_build_role"] == builder
    assert "uses: our-mirror/" in action.read_text()
    assert "role-session-name: ours-" in action.read_text()
    _commit(old)
    update(old, data={"aws_release_role": releaser})
    changed = git(old, "diff", "--name-only", "HEAD").splitlines()
    assert changed == [
        ".copier-answers.yml",
        ".github/workflows/push-packer-build-ami.yml",
        "README.md",
    ]
    workflow = (old / ".github/workflows/push-packer-build-ami.yml").read_text()
    assert releaser in workflow
    assert git(old, "ls-files", "--unmerged") == ""


def _commit(repository: Path) -> None:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "Ours")


@pytest.mark.skipif(not RELEASES, reason="the history has no releases")
def test_an_edited_gitignore_gets_the_lines_of_a_release(
    all_releases: Path, tmp_path: Path
) -> None:
    """Lines that a team added at the end stay, and what builds write is ignored (inspec 2)."""
    old = tmp_path / "web"
    render(all_releases, old, {"image_name": "web"}, vcs_ref=next(iter(RELEASES)))
    with (old / ".gitignore").open("a") as file:
        file.write("\n# Ours\n*.swp\n")
    git(old, "add", "--all")
    git(old, "commit", "--quiet", "--message=Ours")
    update(old)
    lines = (old / ".gitignore").read_text().splitlines()
    assert lines[-2:] == ["# Ours", "*.swp"]
    assert {"/inspec/inspec.lock", "/manifest.json.lock", "__pycache__/"} <= set(lines)
    assert git(old, "ls-files", "--unmerged") == ""


def lost_choices(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Return the questions, and the values of choices, that teams may have answered and are gone.

    Args:
        old: an older copier.yml, parsed.
        new: the present one.
    """
    lost = set()
    for name, question in old.items():
        if name.startswith("_"):
            continue
        if name not in new:
            lost.add(name)
            continue
        lost |= {f"{name}={value}" for value in _choices(question) - _choices(new[name])}
    return lost


def _choices(question: Mapping[str, Any]) -> set[str]:
    choices = question.get("choices", {})
    return {str(value) for value in (choices.values() if isinstance(choices, dict) else choices)}


@pytest.mark.parametrize("tag", RELEASES)
def test_no_answer_of_a_release_is_lost(tag: str) -> None:
    """A migration translates every answer that a newer release no longer accepts."""
    old = yaml.safe_load(git(ROOT, "show", f"{RELEASES[tag]}:copier.yml"))
    assert lost_choices(old, yaml.safe_load((ROOT / "copier.yml").read_text())) == set()


def test_lost_answers_are_found() -> None:
    """Removed questions and choices are found, but not choices with another label."""
    old = {
        "_exclude": [],
        "gone": {"type": "str"},
        "os": {"choices": {"Amazon Linux 1": "al1", "Amazon Linux 2": "al2"}},
    }
    new = {"os": {"choices": {"Amazon Linux 2 (old)": "al2"}}}
    assert lost_choices(old, new) == {"gone", "os=al1"}
