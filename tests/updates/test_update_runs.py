"""Updates as the commands run them, with a render that copies given files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plain_project import NEW, OLD, QUESTIONS, commit_all, create_project, write_files

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.answers_file import DEFAULT as ANSWERS_FILE
from packer_toolkit.template import render
from packer_toolkit.template.journal import undo_update
from packer_toolkit.template.project import Project
from packer_toolkit.template.pull_request_job import PullRequestJob
from packer_toolkit.template.undo import describe_copies
from packer_toolkit.template.update import update_repository
from packer_toolkit.template.update_plan import UpdateRequest
from packer_toolkit.template.update_record import RecordFolder
from rig.repositories.template import git, release
from rig.run.updating import state


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with an origin, of a template with a newer release."""
    template = tmp_path / "template"
    template.mkdir()
    git(template, "init", "--quiet", "--template=", "-b", "main")
    release(template, "v1.0.0")
    write_files(template, {"CHANGELOG.md": "## 1.1.0\n\n- New.\n"})
    release(template, "v1.1.0")

    def answers(tag: str) -> str:
        return f"_commit: {tag}\n_src_path: {template}\n{QUESTIONS}"

    def copy_files(
        _: Path,
        steps: render.RenderSteps,
        options: render.RenderOptions,
        env: Mapping[str, str],
    ) -> None:
        write_files(steps.old, {**OLD, ANSWERS_FILE: answers(options.present)})
        write_files(steps.new, {**NEW, ANSWERS_FILE: answers(options.release)})
        steps.merge()

    monkeypatch.setattr(render, "render_update", copy_files)
    folder = create_project(tmp_path / "web").folder
    write_files(folder, {ANSWERS_FILE: answers("v1.0.0"), "build.hcl": "one\ntwo\nours\n"})
    commit_all(folder)
    git(tmp_path, "clone", "--quiet", "--bare", str(folder), "origin.git")
    git(folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    return Project.read(folder)


def update(project: Project, dry_run: bool = False, **options: Any) -> Any:
    """Run an update of a project."""
    printed: list[str] = []
    result = update_repository(
        Project.read(project.folder),
        UpdateRequest(**options),
        dry_run=dry_run,
        echo=printed.append,
    )
    return SimpleNamespace(result=result, printed=printed)


def test_an_update_is_written_and_undone(plain: Project) -> None:
    """A dry run changes nothing; an update names how to undo it, and its conflicts."""
    before = state(plain.folder)
    assert update(plain, dry_run=True).result.verdict["dry_run"]
    assert state(plain.folder) == before
    ran = update(plain)
    assert ran.printed[0].startswith("If this is interrupted, undo it with: ")
    assert not ran.result.is_clean
    assert "1 file with conflicts:" in ran.result.lines
    with pytest.raises(SetupError, match="the last update is not committed yet"):
        update(plain)
    (plain.folder / "run.sh").write_text("saved\n")
    undone, copies = undo_update(plain.folder, dry_run=False)
    assert copies == undone.copies["run.sh"].parents[1]
    (line,) = describe_copies(undone)
    assert line.startswith("What you wrote into run.sh since is kept: git cat-file -p ")
    assert state(plain.folder) == before


def test_an_outdated_record_names_its_copies(plain: Project) -> None:
    """Files that only an outdated record has become copies, which are named."""
    update(plain)
    next((RecordFolder(plain).path / "files").iterdir()).write_text("saved late\n")
    git(plain.folder, "reset", "--quiet", "--hard")
    git(plain.folder, "clean", "-ffdxq")
    ran = update(plain)
    assert ran.printed[0].startswith("What you wrote into ")
    assert undo_update(plain.folder, dry_run=True)[0].release == "v1.0.0"


def test_a_repository_at_the_release_is_up_to_date(plain: Project) -> None:
    """An update to the present release reports that, and changes nothing."""
    result = update(plain, release="v1.0.0").result
    assert result.lines == ["This repository is at v1.0.0 already."]
    assert (result.verdict["files"], result.is_clean) == ([], True)


def run_job(
    project: Project, dry_run: bool = False, release: str | None = None, **files: str
) -> Any:
    """Run a job of the pull request, without GitHub."""
    access: Any = SimpleNamespace(
        repository="acme/web", token="", connect=lambda: SimpleNamespace(get_pulls=lambda **_: [])
    )
    request = UpdateRequest(release)
    return PullRequestJob(
        Project.read(project.folder), access, base="main", request=request, dry_run=dry_run
    ).run(**files)


def test_three_jobs_pass_an_update_on(plain: Project, tmp_path: Path) -> None:
    """The first job fetches the template, the second one saves the update, the third shows it."""
    files = {name: str(tmp_path / name) for name in ("template.line", "update.line")}
    fetched = run_job(plain, fetch_into=files["template.line"])
    assert fetched.outputs == {"updated": "true", "release": "v1.1.0"}
    saved = run_job(plain, template=files["template.line"], save_into=files["update.line"])
    assert saved.parts["conflicts"] == ["build.hcl"]
    shown = run_job(plain, saved_in=files["update.line"], dry_run=True)
    assert shown.message.startswith("would open: Update from the template to v1.1.0 (1 file to")
    assert "- New." in shown.message
    assert git(plain.folder, "status", "--porcelain") == ""


def test_a_pull_request_at_the_release_is_not_needed(plain: Project) -> None:
    """A job for the present release reports that there is nothing to do."""
    result = run_job(plain, release="v1.0.0")
    assert result.outputs == {"updated": "false", "release": "v1.0.0", "commit": ""}
    message = run_job(plain, fetch_into="x", dry_run=True).message
    assert message.startswith("would write v1.1.0 for the next job: ")
