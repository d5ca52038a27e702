"""`packer-toolkit template pr`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.cli.options import dry_run_option, github_options, json_option
from packer_toolkit.cli.pipeline.status import set_status
from packer_toolkit.cli.template.update import update_options
from packer_toolkit.github.actions import add_summary, read_token, set_outputs

if TYPE_CHECKING:
    from packer_toolkit.template.update_plan import UpdateRequest

_WRITTEN = "; - sets the outputs of the step in a workflow, and is standard output elsewhere."
_READ = "; - is standard input."


@click.command()
@update_options
@click.option(
    "--base",
    envvar="GITHUB_REF_NAME",
    default="main",
    show_default=True,
    show_envvar=True,
    metavar="BRANCH",
    help="Branch to merge into.",
)
@click.option(
    "--branch",
    default="update-from-template",
    show_default=True,
    metavar="BRANCH",
    help="Branch to push.",
)
@click.option(
    "--fetch",
    "fetch_into",
    metavar="FILE",
    help="Only fetch the template, without running its code, and write it to FILE" + _WRITTEN,
)
@click.option(
    "--template",
    metavar="FILE",
    help="Read the template from FILE, as --fetch wrote it" + _READ,
)
@click.option(
    "--save",
    "save_into",
    metavar="FILE",
    help="Only render the update, without a token, and write it to FILE" + _WRITTEN,
)
@click.option(
    "--from",
    "saved_in",
    metavar="FILE",
    help="Validate and push the update in FILE, as --save wrote it" + _READ,
)
@click.option("--checked", type=click.Choice(["success", "failure", "cancelled", "skipped"]),
              hidden=True, help="Use `pipeline status`.")  # fmt: skip
@click.option("--commit", hidden=True, help="Use `pipeline status`.")
@github_options
@dry_run_option
@json_option
def command(
    request: UpdateRequest,
    answers_file: str | None,
    base: str,
    branch: str,
    fetch_into: str | None,
    template: str | None,
    save_into: str | None,
    saved_in: str | None,
    checked: str | None,
    commit: str | None,
    repository: str,
    api_url: str,
    timeout: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Open or refresh the pull request with the latest template release.

    For workflows.  A file with a conflict keeps the team's version, and the text of the pull
    request shows what the release changes in it; conflict markers are never committed.  A branch
    with commits by others is not changed.  If the pull request for a release was closed without a
    merge, no other one is opened for that release, unless a user has started the workflow.

    Rendering a release runs its migrations, which were not reviewed in this repository.  A
    workflow therefore uses three jobs: --fetch has the token, --save has no permissions, and
    --from, which pushes, runs no code of the release.  Without these options, one process does all
    three; the code of the release gets no token then, but runs as the same user on the same
    machine.

    The token is read from GITHUB_TOKEN; it needs contents: write and pull-requests: write, and
    permission to change workflows if a release changes them.  Sets the job outputs updated,
    commit and release; with --fetch and --save: updated, release, and part_1 to part_4; with --json
    it sets none of them.

    Exit code 0: the pull request is open, it was closed, or there is nothing to update.  1: the
    branch has commits by others.  3: the update is not possible.  4: the template or GitHub cannot
    be reached or refused the request.
    """
    from packer_toolkit.github.client import RepositoryAccess
    from packer_toolkit.template.journal import find_project
    from packer_toolkit.template.pull_request_job import PullRequestJob

    if sum(map(bool, (fetch_into, save_into, saved_in, checked))) > 1:
        raise click.UsageError("--fetch, --save and --from cannot be combined")
    if template and (fetch_into or saved_in or checked or request.release):
        raise click.UsageError(
            "--template contains the release, so it cannot be combined with --vcs-ref, --fetch or "
            "--from"
        )
    if checked:
        options = {"dry_run": dry_run, "as_json": as_json}
        set_status(checked, commit or "", repository, api_url, timeout, **options)
        return
    result = PullRequestJob(
        find_project(Path.cwd(), answers_file),
        RepositoryAccess(repository, read_token(), api_url, timeout),
        base=base,
        branch=branch,
        request=request,
        dry_run=dry_run,
    ).run(fetch_into=fetch_into, template=template, save_into=save_into, saved_in=saved_in)
    if as_json:
        empty = dict.fromkeys(("release", "commit", "url", "title", "text"))
        parts = {"updated": False, **empty, "conflicts": [], "workflows": [], **result.parts}
        click.echo(json.dumps({**parts, "dry_run": dry_run}, indent=2))
        return
    if result.outputs and not dry_run:
        set_outputs(result.outputs)
    if result.link and os.environ.get("GITHUB_STEP_SUMMARY"):
        add_summary(result.link)
    if result.message:
        click.echo(result.message)
