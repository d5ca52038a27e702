"""`packer-toolkit template-pr`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packer_toolkit.github_options import github_options, run_url, token
from packer_toolkit.outputs import add_summary, set_outputs
from packer_toolkit.template.options import answers_options, collect_answers, trust_option
from packer_toolkit.template.project import Project, printable

if TYPE_CHECKING:
    from github.Repository import Repository

_CONTEXT = "update-from-template"


@click.command("template-pr")
@click.option("--to", "release", metavar="VERSION", help="A release other than the newest.")
@click.option("--base", envvar="GITHUB_REF_NAME", default="main", help="The branch to merge into.")
@click.option("--branch", default=None, help="The branch to push.  [update-from-template]")
@click.option(
    "--checked",
    type=click.Choice(["success", "failure", "cancelled", "skipped"]),
    help="Only note at the pull request's commit how its checks ended.",
)
@click.option("--commit", help="With --checked: the commit.")
@answers_options
@trust_option
@github_options
@click.option("--dry-run", is_flag=True, help="Show what would be opened; push and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; set no outputs.")
def command(
    release: str | None,
    base: str,
    branch: str | None,
    checked: str | None,
    commit: str | None,
    data: tuple[str, ...],
    answers: Path | None,
    trust: bool,
    repository: str,
    api_url: str,
    patience: float,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Open a pull request with the template's newest release, or refresh the one that is open.

    For a workflow.  Files with conflicts keep the team's version, and the pull request's text shows
    what the release changes in them; no marker is ever committed.  A branch that somebody has
    committed to is left alone.

    The token is read from GITHUB_TOKEN; it needs contents and pull-requests: write, and, where a
    release changes workflows, the right to do that.  Outputs: updated, commit, release.

    Exit code 0: there is one, or nothing to update.  1: the branch has commits of somebody else.
    3: the update cannot be done.  4: the template or GitHub cannot be reached, or refused.
    """
    from packer_toolkit.github_api import Place, speaking

    hub = None if dry_run else Place(repository, token(), api_url, patience).connect()
    if checked:
        state = "success" if checked == "success" else "failure"
        if hub:
            with speaking("note the result of the checks"):
                hub.get_commit(commit or "").create_status(
                    state,
                    target_url=run_url(),
                    description=f"task check: {checked}",
                    context=_CONTEXT,
                )
        if as_json:
            click.echo(json.dumps({"commit": commit, "state": state, "dry_run": dry_run}, indent=2))
        elif dry_run:
            click.echo(f"would note at {commit}: {state}")
        return 0
    from packer_toolkit.template import pull_request
    from packer_toolkit.template.journal import Journal
    from packer_toolkit.template.source import changes, named, require_version, up_to_date
    from packer_toolkit.template.update import planned, require_seen, target

    project = Project.at(Path.cwd())
    journal = Journal(project)
    if not dry_run:
        click.get_current_context().with_resource(journal.exclusive())
    journal.require_settled()
    project.require_clean()
    # For the template too, where it is private and on the same host.
    os.environ.update(pull_request.authorized(pull_request.origin(project), token()))
    given = collect_answers(data, answers)
    wanted = target(project, release)
    shown = {
        "updated": False,
        "release": wanted,
        "commit": None,
        "url": None,
        "title": None,
        "text": None,
        "conflicts": [],
        "dry_run": dry_run,
    }
    if wanted == project.release and not given:
        if as_json:
            click.echo(json.dumps(shown, indent=2))
            return 0
        click.echo(up_to_date(wanted, release))
        if not dry_run:
            set_outputs({"updated": "false", "release": wanted, "commit": ""})
        return 0
    with planned(project, wanted, given, trust) as plan:
        require_seen(plan)
        news = changes(
            project.source, require_version(project.release), named(project.source, wanted)
        )
        title, body = pull_request.title(plan), pull_request.body(plan, news)
        conflicts = [printable(item.path) for item in plan.conflicts]
        shown |= {"title": title, "text": body, "conflicts": conflicts}
        if hub:
            made = pull_request.commit_update(plan, pull_request.files_without_markers(plan))
            pushed = pull_request.Branch(project, branch or pull_request.BRANCH).push(made)
    if not hub:
        click.echo(json.dumps(shown, indent=2) if as_json else f"would open: {title}\n\n{body}")
        return 0
    with speaking("open the pull request"):
        address = _open(hub, repository, branch or pull_request.BRANCH, base, title, body)
    if as_json:
        shown |= {"updated": True, "commit": pushed.commit, "url": address}
        click.echo(json.dumps(shown, indent=2))
        return 0
    set_outputs({"updated": "true", "release": wanted, "commit": pushed.commit})
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        add_summary(f"[{title}]({address})")
    click.echo(f"{title}: {address}")
    return 0


def _open(hub: Repository, name: str, branch: str, base: str, title: str, body: str) -> str:
    """Open the pull request of a branch, or change the text of the one that is open."""
    owner = name.partition("/")[0]
    for pull in hub.get_pulls(state="open", head=f"{owner}:{branch}", base=base):
        if (pull.title, pull.body) != (title, body):
            pull.edit(title=title, body=body)
        return str(pull.html_url)
    pull = hub.create_pull(base=base, head=branch, title=title, body=body)
    return str(pull.html_url)
