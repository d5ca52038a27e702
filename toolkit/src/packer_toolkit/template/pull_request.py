"""The pull request of an update: its content, title and text; and how it is opened on GitHub.

All of the content may have been written by the release's code, so it is limited and escaped.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from github.PullRequest import PullRequest
from pydantic import AfterValidator, BeforeValidator, TypeAdapter

from packer_toolkit.github.client import RepositoryAccess, require_answer
from packer_toolkit.template.merge import Conflict
from packer_toolkit.template.trees import write_tree
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.template.update_result import describe_answers, describe_moved_files
from packer_toolkit.text.lines import format_count, join_lines
from packer_toolkit.text.markdown import format_code, format_code_block, neutralize_markdown
from packer_toolkit.text.paths import show_path

# GitHub takes 65,536 characters; what each part may have of them.
_BODY, _DIFFS, _ONE_DIFF, _CHANGELOG = 60_000, 30_000, 6_000, 20_000
# The length of each text and list that another job may pass.
_LONGEST_TEXT, _LONGEST_LIST = 100_000, 2_000


def _clean_text(text: str) -> str:
    lines = text[:_LONGEST_TEXT].replace("\r\n", "\n").split("\n")
    return "\n".join(show_path(line.replace("\t", "    ")) for line in lines)


def _clean_line(text: str) -> str:
    return join_lines(_clean_text(text))[:1_000]


def _limit_list(value: Any) -> Any:
    return value[:_LONGEST_LIST] if isinstance(value, list) else value


# What another job passes: of limited length, and printable.
_Text = Annotated[str, AfterValidator(_clean_text)]
_Line = Annotated[str, AfterValidator(_clean_line)]
_Lines = Annotated[list[_Line], BeforeValidator(_limit_list)]


@dataclass(frozen=True)
class ConflictNote:
    """A file with a conflict.

    Attributes:
        path: Its path.
        reason: Why it is a conflict.
        diff: What the release changes in it.
    """

    path: _Line
    reason: _Line
    diff: _Text


@dataclass(frozen=True)
class UpdateSummary:
    """What the readers of a pull request need to know about an update.

    Attributes:
        present: The release that the repository is at.
        release: The release to update to.
        conflicts: Files with conflicts.
        new: Questions that are asked for the first time -> the answer.
        changed: Question -> the answer before and after.
        gone: Questions that are no longer asked.
        renamed: Old path -> new path, of files that have the team's changes in them.
        kept_deleted: Files that the team deleted and the release changes.
        changelog: The changelog of the releases that it brings, in Markdown.
    """

    present: _Line
    release: _Line
    conflicts: Annotated[list[ConflictNote], BeforeValidator(_limit_list)] = field(
        default_factory=list
    )
    new: dict[_Line, _Line] = field(default_factory=dict)
    changed: dict[_Line, tuple[_Line, _Line]] = field(default_factory=dict)
    gone: _Lines = field(default_factory=list)
    renamed: dict[_Line, _Line] = field(default_factory=dict)
    kept_deleted: _Lines = field(default_factory=list)
    changelog: _Text = ""

    @classmethod
    def from_json(cls, data: Any) -> UpdateSummary:
        """Read a summary that another job has passed, without trust in it.

        Raises:
            ValueError: A part is missing or has another type.
        """
        return TypeAdapter(cls).validate_python(data)


def summarize_update(plan: UpdatePlan, changelog: str) -> UpdateSummary:
    """Return the content of the pull request of an update.

    Args:
        plan: The update.
        changelog: The changelog of the releases that it brings.
    """
    answers, merged = plan.answers, plan.merged
    return UpdateSummary(
        present=plan.project.release,
        release=plan.release,
        conflicts=[
            ConflictNote(
                path=show_path(item.path),
                # In the branch no conflict is marked.
                reason=item.cause,
                diff=shorten(_diff_release(plan, item), _ONE_DIFF),
            )
            for item in plan.conflicts
        ],
        new={name: str(value) for name, value in answers["new"].items()},
        changed={name: (str(a), str(b)) for name, (a, b) in answers["changed"].items()},
        gone=list(answers["gone"]),
        renamed={
            show_path(old): show_path(new)
            for old, new in merged.renamed.items()
            if new not in merged.conflicts
        },
        kept_deleted=[show_path(path) for path in merged.kept_deleted],
        changelog=changelog,
    )


def shorten(text: str, most: int) -> str:
    """Return the first lines of a text, at most so many characters, and a note if it was longer."""
    if len(text) <= most:
        return text
    return text[: max(0, most)].rpartition("\n")[0] + "\n… cut: too long for a pull request"


def _diff_release(plan: UpdatePlan, item: Conflict) -> str:
    """Return what the release changes in a file, as a diff of the template's own versions."""
    git = plan.sandbox
    trees = [
        write_tree(git, {item.path: entry} if entry else {}, git.folder / ".git" / "index.diff")
        for entry in (item.base, item.theirs)
    ]
    options = ["-c", "core.quotePath=false", "diff", "--no-ext-diff", "--no-textconv"]
    text = git.raw(*options, "--no-color", *trees).decode(errors="backslashreplace")
    # The first lines name the file once more.
    lines = text.rstrip("\n").split("\n")
    return "\n".join(line for line in lines if not line.startswith(("diff --git", "index ")))


def format_title(summary: UpdateSummary) -> str:
    """Return the title of the pull request."""
    count = len(summary.conflicts)
    conflicts = f" ({format_count(count, 'file')} to decide on)" if count else ""
    return f"Update from the template to {summary.release}{conflicts}"


def format_body(summary: UpdateSummary, workflows: Sequence[str] = ()) -> str:
    """Return the text of the pull request, in Markdown.

    Args:
        summary: What it is about.
        workflows: Files of the update that GitHub runs after the merge.
    """
    parts = [
        f"{_describe_release(summary.release)} this repository is at "
        f"{format_code(summary.present)}.  Merge this pull request to update.",
        *_describe_workflows(workflows),
        "No workflow of this branch has started, because it is not reviewed yet.  To start the "
        "checks after your review, push an empty commit to the branch, such as with "
        "`git commit --allow-empty --message 'Reviewed'`.",
        *_describe_conflicts(summary),
        *_list_notes(summary),
        "## What is new",
        neutralize_markdown(shorten(summary.changelog, _CHANGELOG))
        or "The changelog has no entry for this release.",
    ]
    return shorten("\n\n".join(parts), _BODY)


def names_release(title: str, body: str, release: str) -> bool:
    """Check whether the title or the first line of a pull request names a release.

    Users edit both, and releases up to 1.1.0 wrote nothing else that names it.
    """
    first_line = body.partition("\n")[0]
    pattern = rf"(?<![\w.+-]){re.escape(release)}(?![\w+-]|\.\w)"
    return bool(re.search(pattern, title)) or first_line.startswith(_describe_release(release))


def find_workflows(paths: Iterable[str]) -> list[str]:
    """Return the files among some paths that GitHub runs: workflows and actions."""
    return sorted(show_path(path) for path in paths if path.startswith(".github/"))


def _describe_release(release: str) -> str:
    return f"The template has the release {format_code(release)};"


def _describe_workflows(paths: Sequence[str]) -> Iterator[str]:
    if paths:
        yield (
            "Review these files first: once this is merged, GitHub runs them with the permissions "
            "of this repository."
        )
        yield "\n".join(f"- {format_code(path)}" for path in paths)


def _describe_conflicts(summary: UpdateSummary) -> Iterator[str]:
    conflicts = summary.conflicts
    if not conflicts:
        yield "There are no conflicts."
        return
    yield f"## Conflicts: {format_count(len(conflicts), 'file')}"
    yield (
        "You and the template changed the same lines or files.  **This branch has your version of "
        "each**; below is what the release changes in it, which you can copy manually or leave "
        "out.  To mark both versions in the files instead, close this pull request and run "
        "`task template-update`."
    )
    yield "\n".join(
        f"- {format_code(item.path)}: {neutralize_markdown(item.reason)}" for item in conflicts
    )
    left = _DIFFS
    for item in conflicts:
        block = format_code_block([shorten(item.diff, min(left, _ONE_DIFF))], "diff")
        left -= len(block)
        if left <= 0:
            yield "The changes of the other files are too long for this text: `task template-diff`."
            return
        name = html.escape(item.path)
        yield f"<details><summary><code>{name}</code></summary>\n\n{block}\n\n</details>"


def _list_notes(summary: UpdateSummary) -> Iterator[str]:
    answers = describe_answers(summary.new, summary.changed, format_code, format_code)
    notes = [
        *(note for _, note in answers),
        *(f"No longer asked: {format_code(name)}" for name in summary.gone),
        *describe_moved_files(summary.renamed, summary.kept_deleted, format_code),
    ]
    if notes:
        yield "## Notes"
        yield "\n".join(f"- {note}." for note in notes)


class UpdatePullRequests:
    """The pull requests of a branch.

    Attributes:
        branch: The branch with the update.
        base: The branch to merge into.
    """

    def __init__(self, access: RepositoryAccess, branch: str, base: str) -> None:
        self.branch = branch
        self.base = base
        self._owner = access.repository.partition("/")[0]
        self._repository = access.connect()

    def _list_pulls(self, state: str) -> list[PullRequest]:
        """Return the pull requests of the branch, the newest first."""
        pulls = self._repository.get_pulls(
            state=state, head=f"{self._owner}:{self.branch}", base=self.base
        )
        return [pull for pull in pulls if pull.head.ref == self.branch]

    def find_closed(self, release: str) -> str:
        """Return the URL of the pull request of a release that was closed without a merge.

        Empty when one is open, or when the user has started the workflow: that asks for a new one.
        """
        is_wanted = os.environ.get("GITHUB_EVENT_NAME") == "workflow_dispatch"
        if is_wanted or self._list_pulls("open"):
            return ""
        for pull in self._list_pulls("closed"):
            if names_release(pull.title, pull.body or "", release):
                return "" if pull.merged_at or pull.merged else str(pull.html_url)
        return ""

    def open_or_edit(self, title: str, body: str) -> str:
        """Open the pull request of the branch, or change the text of the open one."""
        for pull in self._list_pulls("open"):
            if (pull.title, pull.body) != (title, body):
                pull.edit(title=title, body=body)
            return str(pull.html_url)
        pull = self._repository.create_pull(
            base=self.base, head=self.branch, title=title, body=body
        )
        require_answer("open the pull request", pull.number)
        return str(pull.html_url)
