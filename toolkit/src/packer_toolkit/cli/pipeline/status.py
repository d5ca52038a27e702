"""`packer-toolkit pipeline status`."""

from __future__ import annotations

import click

from packer_toolkit.cli.options import dry_run_option, github_options, json_option, print_json
from packer_toolkit.github.actions import read_token


@click.command()
@click.option(
    "--outcome",
    type=click.Choice(["success", "failure", "cancelled", "skipped"]),
    required=True,
    help="Outcome of the job that ran the checks.",
)
@click.option(
    "--commit",
    required=True,
    metavar="SHA",
    help="SHA of the checked commit: the output `commit` of `template pr`.",
)
@github_options
@dry_run_option
@json_option
def command(
    outcome: str,
    commit: str,
    repository: str,
    api_url: str,
    timeout: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set the commit status that shows the result of an update's checks.

    For a workflow: a pull request that `template pr` opened with the workflow's own token starts no
    other workflow, so the job that ran the checks reports their result.  The token is read from
    GITHUB_TOKEN; it needs statuses: write.

    Exit code 0: set.  3: the repository or the token is missing.  4: GitHub cannot be reached or
    refused the request.
    """
    set_status(outcome, commit, repository, api_url, timeout, dry_run=dry_run, as_json=as_json)


def set_status(
    outcome: str,
    commit: str,
    repository: str,
    api_url: str,
    timeout: float,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set the status of a commit, and print it; `template-pr --checked` of 1.x does it too."""
    from packer_toolkit.github.client import RepositoryAccess
    from packer_toolkit.pipeline.status import find_state, set_check_status

    state = find_state(outcome)
    if not dry_run:
        access = RepositoryAccess(repository, read_token(), api_url, timeout)
        set_check_status(access, commit, outcome)
    if as_json:
        print_json({"commit": commit, "state": state, "dry_run": dry_run})
    elif dry_run:
        click.echo(f"would set the status of {commit}: {state}")
