"""The jobs that open a pull request with an update: fetch the template, save the update, push it.

Rendering a release runs its migrations, so a workflow does each step in a job of its own, with only
the permissions that the step needs (docs/decisions/0027).  Without the options for that, one
process does all of them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.git.addresses import hide_secret
from packer_toolkit.github.client import RepositoryAccess, translate_github_errors
from packer_toolkit.template import exported_template, job_files, pull_request, saved_update
from packer_toolkit.template.blocking_files import require_writable
from packer_toolkit.template.changelog import read_news
from packer_toolkit.template.journal import Journal
from packer_toolkit.template.project import Project, require_clean
from packer_toolkit.template.pull_request import UpdatePullRequests, UpdateSummary, summarize_update
from packer_toolkit.template.source import clone_template, describe_up_to_date, find_release
from packer_toolkit.template.update import choose_release, plan_update
from packer_toolkit.template.update_branch import (
    BRANCH,
    UpdateBranch,
    build_authorization,
    commit_update,
    get_push_url,
    keep_conflicting_files,
    write_repository_tree,
)
from packer_toolkit.template.update_plan import UpdateRequest


@dataclass(frozen=True)
class PullRequestResult:
    """The result of a job.

    Attributes:
        parts: What `--json` prints, apart from empty values.
        outputs: Outputs of the job's step.
        message: Lines for the user; "" for none.
        link: Markdown for the summary of the run; "" for none.
    """

    parts: Mapping[str, Any]
    outputs: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    link: str = ""


@dataclass(frozen=True)
class PullRequestJob:
    """A job of `template pr`.

    Attributes:
        project: The repository.
        access: The repository on GitHub.
        base: Branch to merge into.
        branch: Branch to push.
        request: What the user asks for.
        dry_run: Whether nothing is pushed or written.
    """

    project: Project
    access: RepositoryAccess
    base: str
    branch: str = BRANCH
    request: UpdateRequest = field(default_factory=UpdateRequest)
    dry_run: bool = False

    def run(
        self,
        *,
        fetch_into: str | None = None,
        template: str | None = None,
        save_into: str | None = None,
        saved_in: str | None = None,
    ) -> PullRequestResult:
        """Do the job; jobs pass on their results by files, of which `-` is outputs and stdin.

        Args:
            fetch_into: File to write the fetched template to.
            template: File with the template that another job has fetched.
            save_into: File to write the update to.
            saved_in: File with the update that another job has saved.

        Raises:
            CommandFailedError: When the branch has commits of others.
            SetupError: When the update cannot be done.
            RemoteError: When the template or GitHub cannot be reached, or refuses the request.
        """
        journal = Journal(self.project)
        with nullcontext() if self.dry_run else journal.lock():
            journal.require_settled()
            require_clean(self.project)
            if not save_into:
                # For the template too, where it is private and on the same host.
                url = get_push_url(self.project)
                os.environ.update(build_authorization(url, self.access.token))
            if not saved_in:
                return self._update(fetch_into, template, save_into)
            update = saved_update.read_update(job_files.read_line(saved_in, saved_update.WHAT))
            tree = saved_update.apply_update(self.project, update, self.request.release)
            saved_update.require_current(self.project, self.base)
            return self._open(update.summary, tree)

    def _update(
        self, fetch_into: str | None, template: str | None, save_into: str | None
    ) -> PullRequestResult:
        """Fetch the template, render the update and push it, or the part that the job is for."""
        if not (self.dry_run or fetch_into or save_into):
            self.access.connect()  # refuses a missing token before anything is rendered
        with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
            clone = Path(scratch, "template.git")
            if template:
                release, present = exported_template.read_template(template, clone)
                self.project.set_release(present)
            else:
                release = choose_release(self.project, self.request.release)
            if release == self.project.release and not self.request.answers:
                outputs = {"updated": "false", "release": release, "commit": ""}
                message = describe_up_to_date(release, self.request.release)
                return PullRequestResult({"release": release}, outputs, message)
            if not template:
                clone_template(self.project.source, clone)
            if fetch_into:
                line = exported_template.pack_template(self.project, clone, release)
                parts = {"release": release}
                return self._write_file(line, fetch_into, parts, exported_template.WHAT)
            summary, tree = self._render(release, clone)
        if save_into:
            line = saved_update.save_update(self.project, tree, summary)
            parts = self._describe(summary, tree)
            return self._write_file(line, save_into, parts, saved_update.WHAT)
        return self._open(summary, tree)

    def _render(self, release: str, clone: Path) -> tuple[UpdateSummary, str]:
        """Return the summary and the tree of an update, in which conflicts keep our version."""
        news = read_news(str(clone), self.project.version, find_release(str(clone), release))
        with plan_update(self.project, release, self.request, clone) as plan:
            require_writable(plan)
            files = keep_conflicting_files(plan)
            return summarize_update(plan, news), write_repository_tree(plan, files)

    def _describe(self, summary: UpdateSummary, tree: str) -> dict[str, Any]:
        workflows = pull_request.find_workflows(saved_update.list_changed_paths(self.project, tree))
        return {
            "release": summary.release,
            "title": pull_request.format_title(summary),
            "text": hide_secret(pull_request.format_body(summary, workflows), self.project.source),
            "conflicts": [item.path for item in summary.conflicts],
            "workflows": workflows,
        }

    def _write_file(
        self, line: str, file: str, parts: Mapping[str, Any], what: str
    ) -> PullRequestResult:
        """Write what the next job needs to a file, or to the outputs of this step for "-"."""
        if file == "-":
            job_files.require_line_fits(line, what)
        release = str(parts["release"])
        message = (
            f"would write {release} for the next job: {len(line)} characters"
            if self.dry_run
            else ""
        )
        if not self.dry_run:
            job_files.write_line(line, file, what)
        return PullRequestResult(
            {**parts, "updated": not self.dry_run, "characters": len(line)},
            {"updated": "true", "release": release},
            message,
        )

    def _open(self, summary: UpdateSummary, tree: str) -> PullRequestResult:
        """Push an update, and open its pull request or refresh the open one."""
        saved_update.require_release(self.project, tree, summary.release)
        parts = self._describe(summary, tree)
        title, body = parts["title"], parts["text"]
        if self.dry_run:
            return PullRequestResult(parts, message=f"would open: {title}\n\n{body}")
        pulls = UpdatePullRequests(self.access, self.branch, self.base)
        with translate_github_errors("find the pull request"):
            closed_url = pulls.find_closed(summary.release)
        if closed_url:
            return _report_closed(closed_url, summary.release)
        commit = commit_update(self.project, tree, summary.release)
        commit = UpdateBranch(self.project, self.branch).push(commit)
        with translate_github_errors("open the pull request"):
            url = pulls.open_or_edit(title, body)
        return PullRequestResult(
            {**parts, "updated": True, "commit": commit, "url": url},
            {"updated": "true", "release": summary.release, "commit": commit},
            f"{title}: {url}",
            f"[{title}]({url})",
        )


def _report_closed(url: str, release: str) -> PullRequestResult:
    return PullRequestResult(
        {"release": release, "url": url},
        {"updated": "false", "release": release, "commit": ""},
        f"The pull request for {release} was closed, so none is opened: {url}; for a new one "
        "run: gh workflow run update-from-template.yml",
    )
