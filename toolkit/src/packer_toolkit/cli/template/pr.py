"""`packer-toolkit template-pr`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packer_toolkit.cli.options import (
    answers_file_option,
    answers_options,
    collect_answers,
    github_options,
    trust_option,
)
from packer_toolkit.github.actions import run_url, token
from packer_toolkit.github.outputs import add_summary, set_outputs
from packer_toolkit.template.project import Project

if TYPE_CHECKING:
    from github.PullRequest import PullRequest
    from github.Repository import Repository

    from packer_toolkit.github.client import Place
    from packer_toolkit.template.summary import UpdateSummary

_CONTEXT = "update-from-template"
_FILE = "; - is standard input, or the outputs of a step of a workflow."


@click.command("template-pr")
@click.option("--to", "release", metavar="VERSION", help="A release other than the newest.")
@click.option("--base", envvar="GITHUB_REF_NAME", default="main", help="The branch to merge into.")
@click.option("--branch", default=None, help="The branch to push.  [update-from-template]")
@click.option(
    "--fetch",
    "fetch_into",
    metavar="FILE",
    help="Only fetch the template, run none of its code, and write it into a file" + _FILE,
)
@click.option(
    "--template", metavar="FILE", help="Use the template that --fetch wrote into a file" + _FILE
)
@click.option(
    "--save",
    "save_into",
    metavar="FILE",
    help="Only work out the update, without a token, and write it into a file" + _FILE,
)
@click.option(
    "--from",
    "saved_in",
    metavar="FILE",
    help="Validate and push the update that --save wrote into a file" + _FILE,
)
@click.option(
    "--checked",
    type=click.Choice(["success", "failure", "cancelled", "skipped"]),
    help="Only note at the pull request's commit how its checks ended.",
)
@click.option("--commit", help="With --checked: the commit.")
@answers_options
@answers_file_option
@trust_option
@github_options
@click.option("--dry-run", is_flag=True, help="Show what would be opened; push and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; set no outputs.")
def command(
    release: str | None,
    base: str,
    branch: str | None,
    fetch_into: str | None,
    template: str | None,
    save_into: str | None,
    saved_in: str | None,
    checked: str | None,
    commit: str | None,
    data: tuple[str, ...],
    answers: Path | None,
    answers_file: str | None,
    trust: bool,
    repository: str,
    api_url: str,
    patience: float,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Open a pull request with the template's newest release, or refresh the one that is open.

    For a workflow.  Files with conflicts keep the team's version, and the pull request's text shows
    what the release changes in them; no marker is ever committed.  A branch with commits of others
    is left alone, and a pull request for a release that was closed without a merge is not opened
    again, unless the user has started the workflow.

    Rendering a release runs its migrations, which nobody here has reviewed.  A workflow therefore
    does this in three jobs: --fetch has the token, --save has no rights, and --from, which pushes,
    runs nothing of the release.  Without these options one process does all three; the release's
    code gets no token then, but runs as the same user on the same machine.

    The token is read from GITHUB_TOKEN; it needs contents and pull-requests: write, and, where a
    release changes workflows, the right to do that.  Outputs: updated, commit, release; with
    --fetch and --save: updated, release, part_1 to part_4.

    Exit code 0: there is one, it was closed, or there is nothing to update.  1: the branch has
    commits of others.  3: the update cannot be done.  4: the template or GitHub cannot be reached,
    or refused.
    """
    from packer_toolkit.github.client import Place
    from packer_toolkit.template import exported_template, saved_update
    from packer_toolkit.template.blocking_files import require_writable
    from packer_toolkit.template.changelog import read_news
    from packer_toolkit.template.clean_state import require_clean
    from packer_toolkit.template.clone import clone_template
    from packer_toolkit.template.journal import Journal, find_project
    from packer_toolkit.template.source import find_release
    from packer_toolkit.template.summary import summarize_update
    from packer_toolkit.template.update import choose_release, plan_update
    from packer_toolkit.template.update_branch import BRANCH, build_authorization, get_push_url
    from packer_toolkit.template.update_commit import keep_conflicting_files, write_repository_tree

    if sum(map(bool, (fetch_into, save_into, saved_in, checked))) > 1:
        raise click.UsageError("--fetch, --save, --from and --checked exclude each other")
    if template and (fetch_into or saved_in or checked or release):
        raise click.UsageError("--template goes with --save or alone, and names the release itself")
    place = Place(repository, token(), api_url, patience)
    if checked:
        return _note_checks(place, checked, commit, dry_run, as_json)
    project = find_project(Path.cwd(), answers_file)
    journal = Journal(project)
    if not dry_run:
        click.get_current_context().with_resource(journal.lock())
    journal.require_settled()
    require_clean(project)
    push = _Push(project, place, branch or BRANCH, base, dry_run, as_json)
    if not save_into:
        # For the template too, where it is private and on the same host.
        os.environ.update(build_authorization(get_push_url(project), token()))
    if saved_in:
        return push.saved(saved_in, release)
    if not (dry_run or fetch_into or save_into):
        place.connect()  # refuses a missing token before anything is rendered
    given = collect_answers(data, answers)
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
        clone = Path(scratch, "template.git")
        if template:
            wanted, present = exported_template.read_template(template, clone)
            project.set_release(present)
        else:
            wanted = choose_release(project, release)
        if wanted == project.release and not given:
            return push.nothing(wanted, release)
        if not template:
            clone_template(project, clone)
        if fetch_into:
            line = exported_template.pack_template(project, clone, wanted)
            return push.hand_over(line, fetch_into, {"release": wanted}, exported_template.WHAT)
        news = read_news(str(clone), project.version, find_release(str(clone), wanted))
        with plan_update(project, wanted, given, trust, clone) as plan:
            require_writable(plan)
            summary = summarize_update(plan, news)
            tree = write_repository_tree(plan, keep_conflicting_files(plan))
    if save_into:
        line = saved_update.save_update(project, tree, summary)
        shown = push.describe(summary, tree)
        return push.hand_over(line, save_into, shown, saved_update.WHAT)
    return push.open(summary, tree)


@dataclass(frozen=True)
class _Push:
    """What becomes of an update, and what is printed about it.

    Attributes:
        project: the repository.
        place: the repository on GitHub.
        branch: to push.
        base: the branch to merge into.
        dry_run: whether nothing is pushed or written.
        as_json: whether JSON is printed, instead of outputs of a step.
    """

    project: Project
    place: Place
    branch: str
    base: str
    dry_run: bool
    as_json: bool

    def nothing(self, wanted: str, asked: str | None) -> int:
        """Report that there is nothing to update."""
        from packer_toolkit.template.source import describe_up_to_date

        if self.as_json:
            self._print({"release": wanted})
            return 0
        click.echo(describe_up_to_date(wanted, asked))
        if not self.dry_run:
            set_outputs({"updated": "false", "release": wanted, "commit": ""})
        return 0

    def describe(self, summary: UpdateSummary, tree: str) -> dict[str, Any]:
        """Return what the pull request shows."""
        from packer_toolkit.git.addresses import hide_secret
        from packer_toolkit.template import pull_request
        from packer_toolkit.template.saved_update import list_changed_paths

        workflows = pull_request.find_workflows(list_changed_paths(self.project, tree))
        return {
            "release": summary.release,
            "title": pull_request.format_title(summary),
            "text": hide_secret(pull_request.format_body(summary, workflows), self.project.source),
            "conflicts": [item.path for item in summary.conflicts],
            "workflows": workflows,
        }

    def hand_over(self, line: str, file: str, shown: Mapping[str, Any], what: str) -> int:
        """Write what the next job needs into a file, or into the outputs of this step."""
        from packer_toolkit.template import job_files

        if file == "-":
            job_files.require_line_fits(line, what)
        if not self.dry_run:
            job_files.write_line(line, file, what)
            if not self.as_json:
                set_outputs({"updated": "true", "release": str(shown["release"])})
        if self.as_json:
            self._print({**shown, "updated": not self.dry_run, "characters": len(line)})
        elif self.dry_run:
            click.echo(f"would hand over {shown['release']}, {len(line)} characters")
        return 0

    def saved(self, file: str, release: str | None) -> int:
        """Push an update that another job has worked out."""
        from packer_toolkit.template import saved_update
        from packer_toolkit.template.job_files import read_line

        update = saved_update.read_update(read_line(file, saved_update.WHAT))
        tree = saved_update.apply_update(self.project, update, release)
        saved_update.require_current(self.project, self.base)
        return self.open(update.summary, tree)

    def open(self, summary: UpdateSummary, tree: str) -> int:
        """Push an update and open its pull request, or refresh the one that is open."""
        from packer_toolkit.github.client import speaking
        from packer_toolkit.template import saved_update
        from packer_toolkit.template.update_branch import UpdateBranch
        from packer_toolkit.template.update_commit import commit_update

        saved_update.require_release(self.project, tree, summary.release)
        shown = self.describe(summary, tree)
        title, body = shown["title"], shown["text"]
        if self.dry_run:
            if self.as_json:
                self._print(shown)
            else:
                click.echo(f"would open: {title}\n\n{body}")
            return 0
        hub = self.place.connect()
        with speaking("look for the pull request"):
            closed = self._find_closed(hub, summary.release)
        if closed:
            return self._leave_closed(closed, summary.release)
        made = commit_update(self.project, tree, summary.release)
        pushed = UpdateBranch(self.project, self.branch).push(made)
        with speaking("open the pull request"):
            address = self._open_pull(hub, title, body)
        if self.as_json:
            self._print({**shown, "updated": True, "commit": pushed.commit, "url": address})
            return 0
        outputs = {"updated": "true", "release": summary.release, "commit": pushed.commit}
        set_outputs(outputs)
        if os.environ.get("GITHUB_STEP_SUMMARY"):
            add_summary(f"[{title}]({address})")
        click.echo(f"{title}: {address}")
        return 0

    def _list_pulls(self, hub: Repository, state: str) -> list[PullRequest]:
        """Return the pull requests of the branch, the youngest first."""
        owner = self.place.repository.partition("/")[0]
        pulls = hub.get_pulls(state=state, head=f"{owner}:{self.branch}", base=self.base)
        return [pull for pull in pulls if pull.head.ref == self.branch]

    def _find_closed(self, hub: Repository, release: str) -> str:
        """Return the address of the pull request of a release that was closed without a merge.

        Empty when one is open, or when the user has started the workflow: that asks for a new one.
        """
        from packer_toolkit.template.pull_request import names_release

        if os.environ.get("GITHUB_EVENT_NAME") == "workflow_dispatch":
            return ""
        if self._list_pulls(hub, "open"):
            return ""
        for pull in self._list_pulls(hub, "closed"):
            if names_release(pull.title, pull.body or "", release):
                return "" if pull.merged_at or pull.merged else str(pull.html_url)
        return ""

    def _leave_closed(self, address: str, release: str) -> int:
        """Report that the pull request of a release was closed, and open none."""
        if self.as_json:
            self._print({"release": release, "url": address})
            return 0
        set_outputs({"updated": "false", "release": release, "commit": ""})
        click.echo(
            f"The pull request for {release} was closed, so none is opened: {address}; for a new "
            "one run: gh workflow run update-from-template.yml"
        )
        return 0

    def _open_pull(self, hub: Repository, title: str, body: str) -> str:
        """Open the pull request of the branch, or change the text of the one that is open."""
        for pull in self._list_pulls(hub, "open"):
            if (pull.title, pull.body) != (title, body):
                pull.edit(title=title, body=body)
            return str(pull.html_url)
        from packer_toolkit.github.client import require_answer

        pull = hub.create_pull(base=self.base, head=self.branch, title=title, body=body)
        require_answer("open the pull request", pull.number)
        return str(pull.html_url)

    def _print(self, shown: Mapping[str, Any]) -> None:
        empty = dict.fromkeys(("release", "commit", "url", "title", "text"))
        parts = {"updated": False, **empty, "conflicts": [], "workflows": [], **shown}
        click.echo(json.dumps({**parts, "dry_run": self.dry_run}, indent=2))


def _note_checks(
    place: Place, checked: str, commit: str | None, dry_run: bool, as_json: bool
) -> int:
    """Note at a commit how its checks ended."""
    from packer_toolkit.github.client import speaking

    state = "success" if checked == "success" else "failure"
    if not dry_run:
        hub = place.connect()
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
