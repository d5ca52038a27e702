"""The roles that the workflows of a repository assume, as adoption reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from packer_toolkit.adopt.ci_config import read_ci_config
from packer_toolkit.git.command import Git
from rig.repositories.template import git

ROLE = "arn:aws:iam::222233334444:role/"
BUILDER, RELEASER = ROLE + "builder", ROLE + "releaser"


def workflow(triggers: str, role: str, *, job_if: str = "", step_if: str = "") -> str:
    """Return a workflow with one job that assumes a role."""
    return (
        f"on: {triggers}\njobs:\n  build:\n    runs-on: ubuntu-24.04\n"
        + (f'    if: "{job_if}"\n' if job_if else "")
        + "    steps:\n      - uses: aws-actions/configure-aws-credentials@v4\n"
        + (f'        if: "{step_if}"\n' if step_if else "")
        + f"        with:\n          role-to-assume: {role}\n"
    )


CASES = {
    "one-role": ([workflow("[push, release]", BUILDER)], BUILDER, None),
    "a-release-workflow": (
        [workflow("{release: {types: [published]}}", RELEASER), workflow("push", BUILDER)],
        BUILDER,
        RELEASER,
    ),
    "a-tag-workflow": (
        [
            workflow("{push: {tags: ['v*']}, workflow_dispatch: {}}", RELEASER),
            workflow("pull_request", BUILDER),
        ],
        BUILDER,
        RELEASER,
    ),
    "branches-and-tags": (
        [workflow("{push: {tags: ['v*'], branches: [main]}}", BUILDER)],
        BUILDER,
        None,
    ),
    "a-job-for-tags": (
        [
            workflow("push", RELEASER, job_if="startsWith(github.ref, 'refs/tags/v')"),
            workflow("push", BUILDER),
        ],
        BUILDER,
        RELEASER,
    ),
    "a-step-for-releases": (
        [
            workflow("[push, release]", RELEASER, step_if="github.event_name == 'release'"),
            workflow("push", BUILDER),
        ],
        BUILDER,
        RELEASER,
    ),
    "releases-alone": ([workflow("release", RELEASER)], None, RELEASER),
    "people-alone": ([workflow("workflow_dispatch", BUILDER)], BUILDER, None),
    "an-expression": ([workflow("push", "${{ vars.ROLE }}")], None, None),
}


@pytest.mark.parametrize("name", CASES)
def test_role_of_releases_is_told_from_that_of_builds(tmp_path: Path, name: str) -> None:
    """A role is for releases if a trigger or a condition allows only releases (issue 9)."""
    workflows, build, release = CASES[name]
    git(tmp_path, "init", "--quiet")
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    for number, text in enumerate(workflows):
        (folder / f"{number}.yml").write_text(text)
    found = read_ci_config(tmp_path, Git(tmp_path))
    assert [value and value.value for value in (found.role, found.release_role)] == [build, release]
