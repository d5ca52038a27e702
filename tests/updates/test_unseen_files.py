"""Files that git does not look at: the advice leads to an update, and nothing is lost."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from packer_toolkit.git.command import Git
from packer_toolkit.template.project_copy import fetch_missing
from rig.repositories.template import git
from rig.run.updating import Answer, files, state, toolkit

pytestmark = pytest.mark.integration

_ALL = ["--no-cone", "/*"]


def set_sparse(repository: Path, *options: str) -> None:
    """Make a checkout sparse; of a copied one, git has to see first that nothing changed."""
    git(repository, "update-index", "-q", "--refresh")
    git(repository, "sparse-checkout", "set", *options)


def update(project: Path) -> Answer:
    """Run the update."""
    return toolkit(project, "template-update", "--trust")


def follow(project: Path, answer: Answer) -> None:
    """Run the git command of a message, as a user does."""
    match = re.search("git (sparse-checkout|update-index) [^;]*", answer.stderr)
    assert match, answer.stderr
    subprocess.run(["sh", "-ec", match[0]], cwd=project, check=True, capture_output=True)


@pytest.mark.parametrize(
    "options",
    [
        ["scripts"],
        ["--no-cone", "/*", "!/lib/"],
        ["--sparse-index", "scripts"],
        ["--no-cone", "/*"],
    ],
    ids=["cone", "patterns", "sparse index", "all"],
)
def test_advice_for_a_sparse_checkout_leads_to_the_update(
    project: Path, options: list[str]
) -> None:
    """After one refusal and the command that it names, the update is written (review C30)."""
    set_sparse(project, *options)
    before = state(project)
    answer = update(project)
    if options != _ALL:
        assert answer.code == 3
        assert "this sparse checkout leaves out lib/" in answer.stderr
        assert "git sparse-checkout disable" in answer.stderr
        assert "skip-worktree" not in answer.stderr
        assert state(project) == before
        follow(project, answer)
        answer = update(project)
    assert answer.code == 0, answer.stderr
    assert "_commit: v2.1.0" in (project / ".copier-answers.yml").read_text()


def test_new_files_outside_of_a_sparse_checkout_are_noticed(project: Path) -> None:
    """Git adds no file outside of a sparse checkout, so the update needs all of it (review C30)."""
    git(project, "rm", "--quiet", "-r", "scripts", "lib")
    git(project, "commit", "--quiet", "-m", "Without these")
    set_sparse(project, "--no-cone", "/*", "!/scripts/")
    answer = update(project)
    assert answer.code == 3
    assert "sparse checkout leaves out scripts/20-second.sh, which" in answer.stderr
    follow(project, answer)
    assert update(project).code == 0


def test_sparse_checkout_of_another_project_does_not_matter(project: Path, tmp_path: Path) -> None:
    """Only what is left out of this project counts, in a repository of several (review C30)."""
    top = tmp_path / "top"
    git(tmp_path, "init", "--quiet", str(top))
    project.rename(top / "web")
    for name in (".git",):
        subprocess.run(["rm", "-rf", top / "web" / name], check=True)
    (top / "db").mkdir()
    (top / "db" / "own.txt").write_text("own\n")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "-m", "Two")
    set_sparse(top, "web")
    answer = update(top / "web")
    assert answer.code == 0, answer.stderr
    git(top, "reset", "--quiet", "--hard")
    git(top, "clean", "-ffdxq")
    set_sparse(top, "--no-cone", "/*", "!/web/lib/")
    answer = update(top / "web")
    assert (answer.code, "sparse checkout leaves out lib/" in answer.stderr) == (3, True)


@pytest.mark.parametrize(
    "flags",
    [["--skip-worktree"], ["--assume-unchanged"], ["--assume-unchanged", "--skip-worktree"]],
    ids=" ".join,
)
def test_advice_for_one_file_leads_to_the_update(project: Path, flags: list[str]) -> None:
    """A flag that a user has set is named with its command, for this file (review C30)."""
    for flag in flags:
        git(project, "update-index", flag, "build.hcl")
    text = (project / "build.hcl").read_text() + "mine\n"
    (project / "build.hcl").write_text(text)
    answer = update(project)
    assert answer.code == 3
    assert "git is set to ignore changes of build.hcl" in answer.stderr
    assert "sparse" not in answer.stderr
    follow(project, answer)
    assert (project / "build.hcl").read_text() == text
    git(project, "commit", "--quiet", "--all", "-m", "Mine")
    assert update(project).code in (0, 1)


def test_flags_of_both_kinds_need_two_steps(project: Path) -> None:
    """A sparse checkout comes first, because git would set its flags again (review C30)."""
    git(project, "update-index", "--assume-unchanged", "build.hcl")
    set_sparse(project, "scripts")
    steps = []
    while (answer := update(project)).code == 3 and len(steps) < 3:
        steps.append("sparse" in answer.stderr)
        follow(project, answer)
    assert steps in ([True, False], [True])
    assert answer.code == 0


@pytest.mark.parametrize("filters", ["blob:none", "tree:0", "blob:limit=10"])
def test_partial_clone_fetches_what_it_lacks(project: Path, tmp_path: Path, filters: str) -> None:
    """A partial and sparse clone is compared and updated as any other (review C30)."""
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(project, "config", name, "true")
    clone = tmp_path / "clone"
    options = ["--quiet", "--no-checkout", f"--filter={filters}"]
    git(tmp_path, "clone", *options, f"file://{project}", str(clone))
    git(clone, "sparse-checkout", "set", "scripts")
    git(clone, "checkout", "--quiet", "main")
    shown = toolkit(clone, "template-diff", "--trust", "--json")
    assert shown.code == 0, shown.stderr
    assert shown.json["diff"] == toolkit(project, "template-diff", "--trust", "--json").json["diff"]
    git(clone, "sparse-checkout", "disable")
    assert update(clone).code == 0
    assert update(project).code == 0
    assert files(clone) == files(project)


def test_partial_clone_without_its_remote_is_one_line(project: Path, tmp_path: Path) -> None:
    """Without the remote the error names it, and what cannot be fetched (review C30)."""
    git(project, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    options = ["--quiet", "--no-checkout", "--filter=blob:none"]
    git(tmp_path, "clone", *options, f"file://{project}", str(clone))
    git(clone, "sparse-checkout", "set", "scripts")
    git(clone, "checkout", "--quiet", "main")
    git(clone, "remote", "set-url", "origin", "/nowhere/web.git")
    answer = toolkit(clone, "template-diff", "--trust")
    assert answer.code == 4
    assert "cannot be fetched from origin" in answer.stderr
    fetch_missing(Git(project), "HEAD^{tree}")  # Not a partial clone: nothing is asked.
