"""An update from each prepared ancestor equals a new repository; migrations carry edits along."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from click.testing import CliRunner

from packer_toolkit.cli.template.update import command as template_update
from rig.repositories.ancestors import STEPS, TODAY, recorded, wiring, with_ancestors
from rig.repositories.hook import git_state, tree
from rig.repositories.template import ROOT, git, hand_over_environment, render
from rig.run.updating import toolkit

BY_RELEASE = {step.before: step for step in STEPS}


@pytest.fixture(scope="module")
def ancestors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with its prepared ancestors."""
    return with_ancestors(tmp_path_factory.mktemp("ancestors") / "template")


def make(template: Path, folder: Path, release: str, **answers: Any) -> Path:
    """Make a committed repository of a release."""
    answers = {"image_name": "web", **BY_RELEASE[release].answers, **answers}
    return render(template, folder / "packer-ami-web", answers, vcs_ref=release)


def update(repository: Path, **options: Any) -> None:
    """Run `copier update` with the recorded answers."""
    hand_over_environment()
    options = {"defaults": True, "unsafe": True, "overwrite": True, "quiet": True, **options}
    copier.run_update(repository, **options)


def commit(repository: Path) -> None:
    """Commit everything."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "Ours")


# The demo is switched both ways where it changed, and in turn elsewhere.
CASES = [
    *((release, demo) for release in BY_RELEASE for demo in ("on", "off")),
    *(
        (release, ("switched on", "switched off")[index % 2])
        for index, release in enumerate(BY_RELEASE)
    ),
    (STEPS[0].before, "switched off"),
]


@pytest.mark.parametrize(("release", "demo"), CASES)
def test_update_from_an_ancestor_equals_a_new_repository(
    ancestors: Path, tmp_path: Path, release: str, demo: str
) -> None:
    """To the byte, with the same answers, by either command; a second update changes nothing."""
    had, has = demo in {"on", "switched off"}, demo in {"on", "switched on"}
    old = make(ancestors, tmp_path, release, keep_demo=had)
    twin = Path(shutil.copytree(old, tmp_path / "twin" / "packer-ami-web", symlinks=True))
    update(old, data={"keep_demo": has} if had != has else {})
    new = render(ancestors, tmp_path / "new" / "packer-ami-web", recorded(old))
    assert tree(old) == tree(new)
    assert yaml.safe_load((old / ".copier-answers.yml").read_text())["_commit"] == TODAY
    assert git(old, "ls-files", "--unmerged") == ""

    switched = [f"--data=keep_demo={str(has).lower()}"] if had != has else []
    answer = toolkit(twin, "template-update", "--trust", "--json", *switched)
    assert (answer.code, answer.json["conflicts"]) == (0, [])
    assert tree(twin) == tree(new)
    commit(twin)
    # An answer that is given again is a reason to render again.
    assert toolkit(twin, "template-update", "--trust", "--data=image_name=web").code == 0
    assert tree(twin) == tree(new)
    assert git(twin, "status", "--porcelain") == ""


# ------------------------------------------------------------------------------- migrations


def test_removed_choice_and_tightened_validator_are_told(
    ancestors: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A migrated answer is recorded, and a note reports the old and the new value."""
    old = make(ancestors, tmp_path, "v0.1.0")
    capfd.readouterr()
    update(old, data={})
    told = capfd.readouterr().err
    assert recorded(old)["parent_image"] == "amazon-linux-2"
    assert recorded(old)["image_description"] == "A web server"
    assert recorded(old)["aws_copy_regions"] == "eu-west-3"
    assert "Note: parent_image changed from 'amazon-linux-1' to 'amazon-linux-2': " in told
    assert "Note: image_description changed from ' A web server ' to 'A web server': " in told
    assert "Note: aws_copy_region is replaced by aws_copy_regions, which now contains " in told


def test_migrated_answer_is_taken_by_an_update_that_skips_what_is_answered(
    ancestors: Path, tmp_path: Path
) -> None:
    """Renovate updates this way."""
    old = make(ancestors, tmp_path, "v0.2.0")
    update(old, skip_answered=True)
    assert recorded(old)["parent_image"] == "amazon-linux-2"


def test_changed_default_leaves_recorded_answers_alone(ancestors: Path, tmp_path: Path) -> None:
    """Who took the old default by Enter keeps it."""
    old = make(ancestors, tmp_path, "v0.4.0")
    update(old)
    assert recorded(old)["github_runner"] == "ubuntu-22.04"
    assert '"5m"' in (old / "variables.pkr.hcl").read_text()


def test_renamed_files_bring_edits_along(
    ancestors: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Raw ones and those that Jinja makes, merged with what the release changes in them."""
    old = make(ancestors, tmp_path, "v0.6.0", keep_demo=True)
    for name in ("image.pkr.hcl", "values.auto.pkrvars.hcl", "provisioners/shell/40-demo.sh"):
        (old / name).write_text(f"# ours\n{(old / name).read_text()}")
    (old / "values.auto.pkrvars.hcl").chmod(0o755)
    commit(old)
    capfd.readouterr()
    update(old)
    new = render(ancestors, tmp_path / "new" / "packer-ami-web", recorded(old))
    for name in ("build.pkr.hcl", "image.auto.pkrvars.hcl", "provisioners/shell/50-demo.sh"):
        assert (old / name).read_text() == f"# ours\n{(new / name).read_text()}"
    assert (old / "image.auto.pkrvars.hcl").stat().st_mode & 0o111
    assert tree(old).keys() == tree(new).keys()
    assert git(old, "ls-files", "--unmerged") == ""
    assert "image.pkr.hcl is now named build.pkr.hcl; your changes" in capfd.readouterr().err


def test_conflict_in_a_renamed_file_is_marked_and_unmerged(ancestors: Path, tmp_path: Path) -> None:
    """Both texts stand in the new file, and git names it; git's way back works."""
    git(tmp_path, "init", "--quiet")
    old = make(ancestors, tmp_path, "v0.6.0")
    file = old / "image.pkr.hcl"
    file.write_text(file.read_text().replace("# as of old", "# ours"))
    commit(old)
    before = tree(old)
    update(old)
    merged = (old / "build.pkr.hcl").read_text()
    assert "<<<<<<< image.pkr.hcl, before updating\n" in merged
    assert "# ours\n" in merged
    assert ">>>>>>> after updating\n" in merged
    unmerged = git(old, "ls-files", "--unmerged", "--full-name").splitlines()
    assert {line.split("\t")[1] for line in unmerged} == {"packer-ami-web/build.pkr.hcl"}
    git(old, "reset", "--quiet", "--hard")
    git(old, "clean", "-d", "--force", "--quiet")
    assert tree(old) == before


def test_renamed_file_that_was_deleted_does_not_come_back(ancestors: Path, tmp_path: Path) -> None:
    """Under no name."""
    old = make(ancestors, tmp_path, "v0.6.0", keep_demo=True)
    for name in ("image.pkr.hcl", "provisioners/shell/40-demo.sh"):
        (old / name).unlink()
    commit(old)
    update(old)
    assert not {"build.pkr.hcl", "image.pkr.hcl"} & tree(old).keys()
    assert not list((old / "provisioners" / "shell").glob("*-demo.sh"))


def test_renamed_file_that_became_a_link_or_has_a_successor_is_left(
    ancestors: Path, tmp_path: Path
) -> None:
    """What cannot be merged stays where the team put it."""
    old = make(ancestors, tmp_path, "v0.6.0")
    (old / "image.pkr.hcl").unlink()
    (old / "image.pkr.hcl").symlink_to("elsewhere.hcl")
    with (old / "values.auto.pkrvars.hcl").open("a") as file:
        file.write("# ours\n")
    (old / "image.auto.pkrvars.hcl").write_text("# ours, too\n")
    commit(old)
    before = tree(old)
    update(old)
    after = tree(old)
    assert after["image.pkr.hcl"] == before["image.pkr.hcl"]
    assert after["values.auto.pkrvars.hcl"] == before["values.auto.pkrvars.hcl"]
    assert "# ours, too" in after["image.auto.pkrvars.hcl"]


def test_own_file_at_a_demo_path_is_not_taken_for_the_renamed_demo(
    ancestors: Path, tmp_path: Path
) -> None:
    """Where the demo was never wanted."""
    old = make(ancestors, tmp_path, "v0.7.0", keep_demo=False)
    own = old / "provisioners" / "shell" / "40-demo.sh"
    own.write_text("ours\n")
    commit(old)
    update(old, data={"keep_demo": True})
    assert own.read_text() == "ours\n"
    assert (old / "provisioners" / "shell" / "50-demo.sh").exists()


def test_edit_in_the_part_of_a_file_that_moved_is_marked(ancestors: Path, tmp_path: Path) -> None:
    """A split keeps the old path for one part; edits of the other part are a conflict there."""
    old = make(ancestors, tmp_path, "v0.3.0")
    sources = old / "sources.pkr.hcl"
    sources.write_text(sources.read_text().replace('default     = "9m"', 'default     = "20m"'))
    commit(old)
    update(old)
    assert 'default     = "20m"' in sources.read_text()
    assert "sources.pkr.hcl" in git(old, "ls-files", "--unmerged")


def test_template_update_runs_the_same_migrations(
    ancestors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own merge follows renames too; both together lose nothing and do nothing twice."""
    old = make(ancestors, tmp_path, "v0.1.0", keep_demo=True)
    for name in ("image.pkr.hcl", "values.auto.pkrvars.hcl"):
        (old / name).write_text(f"# ours\n{(old / name).read_text()}")
    script = old / "provisioners" / "shell" / "40-demo.sh"
    script.write_text(script.read_text().replace("# as of old", "# ours"))
    (old / "versions.pkr.hcl").unlink()
    # git sees no rename here: the migration alone carries the edit along, into a conflict.
    (old / "inspec" / "HOWTO.md").write_text("Controls test the image.\n\nOurs lie elsewhere.\n")
    commit(old)
    monkeypatch.chdir(old)
    result = CliRunner().invoke(
        template_update, ["--trust", "--json"], catch_exceptions=False, standalone_mode=False
    )
    verdict = json.loads(result.stdout)
    new = render(ancestors, tmp_path / "new" / "packer-ami-web", recorded(old))
    for name in ("build.pkr.hcl", "image.auto.pkrvars.hcl"):
        assert (old / name).read_text() == f"# ours\n{(new / name).read_text()}"
    demo = "provisioners/shell/50-demo.sh"
    assert (old / demo).read_text().count("<<<<<<< ") == 1
    conflicts = ["inspec/README.md", demo]
    assert "\nOurs lie elsewhere.\n" in (old / "inspec" / "README.md").read_text()
    assert [item["path"] for item in verdict["files"] if item["conflict"]] == conflicts
    assert result.return_value == 1
    assert git(old, "diff", "--name-only", "--diff-filter=U").splitlines() == conflicts
    assert tree(old).keys() == tree(new).keys() - {"versions.pkr.hcl"}
    assert recorded(old)["parent_image"] == "amazon-linux-2"


def test_template_update_takes_back_what_migrations_did(
    ancestors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Conflicts too, of which the team's repository had no such path."""
    old = make(ancestors, tmp_path, "v0.6.0")
    (old / "inspec" / "HOWTO.md").write_text("Ours.\n")
    commit(old)
    before = tree(old), git_state(old)
    monkeypatch.chdir(old)
    for options in (["--trust"], ["--undo"]):
        CliRunner().invoke(template_update, options, catch_exceptions=False)
    assert (tree(old), git_state(old)) == before


def test_template_update_lets_a_renamed_file_stay_deleted(
    ancestors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is for a template's file that was not accepted when a repository was adopted."""
    old = make(ancestors, tmp_path, "v0.6.0")
    (old / "image.pkr.hcl").unlink()
    commit(old)
    monkeypatch.chdir(old)
    CliRunner().invoke(template_update, ["--trust"], catch_exceptions=False)
    assert (old / "image.auto.pkrvars.hcl").exists()
    assert not {"build.pkr.hcl", "image.pkr.hcl"} & tree(old).keys()


@pytest.mark.parametrize("stage", ["before", "after"])
def test_migrations_are_idempotent(ancestors: Path, tmp_path: Path, stage: str) -> None:
    """A second run of every one of them changes nothing, with edits and a conflict around."""
    old = make(ancestors, tmp_path, "v0.1.0", keep_demo=True)
    file = old / "image.pkr.hcl"
    file.write_text("# ours\n" + file.read_text().replace("# as of old", "# ours"))
    commit(old)
    update(old)
    before, index = tree(old), git(old, "ls-files", "--stage")
    job = (
        f'{{"template": "{ancestors}", "release": "v0.1.0", "answers_file": ".copier-answers.yml"}}'
    )
    scripts = sorted((ancestors / "hooks" / "migrations").glob("v*.py"))
    assert len(scripts) == sum(bool(step.migration) for step in STEPS)
    for script in scripts:
        command = [sys.executable, "-B", str(script), job]
        environment = {"STAGE": stage, "PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin"}
        subprocess.run(command, cwd=old, env=environment, check=True, capture_output=True)
    assert (tree(old), git(old, "ls-files", "--stage")) == (before, index)


def test_migrations_are_wired_as_the_page_says() -> None:
    """The entry that the tests use is the one that docs/releasing.md shows."""
    assert wiring("v1.1.0") in (ROOT / "docs" / "releasing.md").read_text()


def test_every_migration_file_is_wired_and_every_function_is_described() -> None:
    """A file that copier.yml does not name never runs."""
    wired = {
        Path(command[2]).name: entry["version"]
        for entry in yaml.safe_load((ROOT / "copier.yml").read_text()).get("_migrations", [])
        for command in [entry["command"]]
    }
    files = {
        path.name: path.stem.replace("_", ".")
        for path in (ROOT / "hooks" / "migrations").glob("v*.py")
    }
    assert wired == files
