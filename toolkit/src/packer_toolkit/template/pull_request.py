"""One pull request with the newest release of the template, opened once and refreshed after that.

A marker of a conflict is never committed: a file with a conflict keeps the team's version, and the
pull request's text shows what the release changes in it.
"""

from __future__ import annotations

import base64
import html
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.git.addresses import without_secret
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.git.network import limit_question, limit_transfer
from packer_toolkit.template.merge import Conflict, Kind
from packer_toolkit.template.project import Project
from packer_toolkit.template.summary import ConflictNote, Summary
from packer_toolkit.template.trees import SUBMODULE, Entry, Tree, write_tree
from packer_toolkit.template.update import Plan
from packer_toolkit.text.markdown import format_code as code
from packer_toolkit.text.markdown import format_code_block
from packer_toolkit.text.markdown import neutralize_markdown as quiet
from packer_toolkit.text.paths import show_path

BRANCH = "update-from-template"
# Of GitHub's own account for workflows, as in the README of actions/checkout.
_NAME = "github-actions[bot]"
_EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"
# A hook of the clone, such as pre-push of husky or lefthook, is for the commits of its user, and
# needs programs that a workflow does not have.
_WITHOUT_HOOKS = ("-c", f"core.hooksPath={os.devnull}")
# GitHub takes 65,536 characters; what each part may have of them.
_BODY, _HUNKS, _ONE_FILE, _CHANGELOG = 60_000, 30_000, 6_000, 20_000


@dataclass(frozen=True)
class Pushed:
    """What became of the branch.

    Attributes:
        commit: that it is at.
        changed: whether it is another one than before.
    """

    commit: str
    changed: bool


def files_without_markers(plan: Plan) -> Tree:
    """Return the updated files of a project; those with conflicts as the team has them."""
    tree = dict(plan.after)
    old_name = {new: old for old, new in plan.merged.renamed.items()}
    for path in plan.merged.conflicts:
        tree.pop(path, None)
        kept = old_name.get(path, path)
        if kept in plan.before:
            tree[kept] = plan.before[kept]
    return tree


def write_update(plan: Plan, files: Mapping[str, Entry]) -> str:
    """Return the tree of the whole repository with an update in it; no branch or file is changed.

    Args:
        plan: the update.
        files: all of the project's files.

    Returns:
        The tree's id, in the project's repository.
    """
    project = plan.project
    here = Git.at(project.top)
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
        index = Path(scratch, "index")
        _hand_over(plan, files)
        if not project.prefix:
            return write_tree(here, files, index)
        at = here.with_env(GIT_INDEX_FILE=str(index))
        at.text("read-tree", "HEAD")
        at.text("rm", "-r", "--cached", "--quiet", "--", f":(literal){project.prefix}")
        subtree = write_tree(here, files, Path(scratch, "sub"))
        at.text("read-tree", f"--prefix={project.prefix}", subtree)
        return at.text("write-tree")


def commit_update(project: Project, tree: str, release: str) -> str:
    """Make a commit of an update, on top of what is checked out; no branch or file is changed.

    Args:
        project: the repository.
        tree: the tree of the whole repository.
        release: the release that it is an update to.

    Returns:
        The commit's id, in the project's repository.
    """
    names = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", _NAME), ("EMAIL", _EMAIL))
    }
    # Without signature: the key of a person has no place in a workflow.
    # A push with a token of the team's would start the release's own workflows, with secrets and
    # roles, before anyone has reviewed it.
    # https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs
    message = f"Update from the template: {project.release} to {release}\n\n[skip ci]"
    commit = ["commit-tree", "--no-gpg-sign", "-p", project.head, "-m", message, tree]
    return Git.at(project.top, **names).text(*commit)


def _hand_over(plan: Plan, files: Mapping[str, Entry]) -> None:
    """Copy the objects of files that the project's repository does not have yet."""
    known = set(plan.before.values())
    for entry in {*files.values()} - known:
        if entry.mode != SUBMODULE:
            text = plan.sandbox.raw("cat-file", "blob", entry.oid)
            plan.project.git.raw("hash-object", "-w", "--stdin", stdin=text)


class Branch:
    """The branch of the pull request, in the repository that was checked out from."""

    def __init__(self, project: Project, name: str) -> None:
        self._name = name
        self._project = project
        self._url = without_secret(origin(project))
        self._git = Git.at(project.top)

    def tip(self) -> str:
        """Return the commit that the branch is at; empty when there is none."""
        # A pattern matches the ends of names too, such as refs/heads/x/refs/heads/NAME.
        name = f"refs/heads/{self._name}"
        lines = (
            line.partition("\t") for line in self._ask("ls-remote", "origin", name).splitlines()
        )
        return next((commit for commit, _, ref in lines if ref == name), "")

    def require_ours(self, tip: str) -> None:
        """Make sure that nobody has worked on the branch.

        Raises:
            CommandFailedError: when somebody has.
        """
        # A full clone stays one; in a shallow one, the tip and its parent are enough.
        shallow = self._git.text("rev-parse", "--is-shallow-repository") == "true"
        depth = ["--depth=2"] if shallow else []
        self._ask("fetch", "--quiet", "--no-tags", *depth, "origin", tip)
        # Ours is always the one commit on top of the default branch's.
        if self._git.text("log", "-1", "--format=%ce", tip) != _EMAIL:
            raise CommandFailedError(
                f"somebody has committed to the branch {self._name}, so it is left as it is; merge "
                "its pull request, or close it and delete the branch"
            )

    def push(self, commit: str) -> Pushed:
        """Let the branch be at a commit, unless it has the same files on the same parent already.

        Raises:
            CommandFailedError: when somebody has worked on the branch.
            RemoteError: when it cannot be pushed.
        """
        tip = self.tip()
        if tip:
            self.require_ours(tip)
            if self._content(tip) == self._content(commit):
                return Pushed(tip, changed=False)
        if not tip:
            # The event "create" heeds no [skip ci], so the branch is created without the update.
            tip = self._project.head
            self._push(tip)
        self._push(commit, f"--force-with-lease=refs/heads/{self._name}:{tip}")
        return Pushed(commit, changed=True)

    def _push(self, commit: str, *options: str) -> None:
        """Push a commit to the branch.

        By a pattern: git compares other names by their ends, and refuses to push where a branch or
        a tag is called refs/heads/NAME.
        """
        folder = f"refs/packer-toolkit/{commit}"  # of this push alone, and deleted after it
        self._git.text(*_WITHOUT_HOOKS, "update-ref", f"{folder}/{self._name}", commit)
        try:
            self._ask("push", "--quiet", *options, "origin", f"{folder}/*:refs/heads/*")
        finally:
            self._git.text(*_WITHOUT_HOOKS, "update-ref", "-d", f"{folder}/{self._name}")

    def _content(self, commit: str) -> str:
        return self._git.text("log", "-1", "--format=%T %P", commit)

    def _ask(self, *arguments: str) -> str:
        limit = limit_question if arguments[0] == "ls-remote" else limit_transfer
        try:
            return limit(self._git).text(*_WITHOUT_HOOKS, *arguments)
        except GitError as error:
            reason = without_secret(error.reason)
            if "workflow" in error.stderr and "refusing" in error.stderr:
                raise RemoteError(
                    "GitHub lets no workflow's own token change workflows, and this release does: "
                    "make the secret TEMPLATE_UPDATE_TOKEN (docs/updating.md of the template)"
                ) from None
            raise RemoteError(
                f"git {arguments[0]} of {self._url} failed: {reason}; look at the token's rights"
            ) from None


def origin(project: Project) -> str:
    """Return where the branch is pushed to.

    Raises:
        SetupError: when there is no remote called origin.
    """
    try:
        return project.git.text("remote", "get-url", "--push", "origin")
    except GitError:
        raise SetupError(
            "there is no remote origin to push to: git remote add origin URL"
        ) from None


def authorized(url: str, token: str) -> dict[str, str]:
    """Return what lets git in with a token: in the environment, never in an address or option."""
    if not url.startswith(("http://", "https://")) or not token:
        return {}
    parts = urlsplit(url)
    secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    number = int(os.environ.get("GIT_CONFIG_COUNT", "0") or 0)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    return {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"http.{host}.extraheader",
        f"GIT_CONFIG_VALUE_{number}": f"AUTHORIZATION: basic {secret}",
    }


def summarize(plan: Plan, changelog: str) -> Summary:
    """Return what the pull request of an update tells its readers.

    Args:
        plan: the update.
        changelog: of the releases that it brings.
    """
    answers, merged = plan.answers, plan.merged
    return Summary(
        present=plan.project.release,
        release=plan.release,
        conflicts=[
            ConflictNote(
                path=show_path(item.path),
                reason=_reason(item),
                diff=_shortened(_template_change(plan, item), _ONE_FILE),
            )
            for item in plan.conflicts
        ],
        new={name: str(value) for name, value in answers["new"].items()},
        changed={name: [str(value) for value in both] for name, both in answers["changed"].items()},
        gone=list(answers["gone"]),
        renamed={
            show_path(old): show_path(new)
            for old, new in merged.renamed.items()
            if new not in merged.conflicts
        },
        kept_deleted=[show_path(path) for path in merged.kept_deleted],
        changelog=changelog,
    )


def title(summary: Summary) -> str:
    """Return the title of the pull request."""
    count = len(summary.conflicts)
    more = f" ({_files(count)} to decide on)" if count else ""
    return f"Update from the template to {summary.release}{more}"


def body(summary: Summary, workflows: Sequence[str] = ()) -> str:
    """Return the text of the pull request, in Markdown.

    Args:
        summary: what it tells; all of it may have been written by the release's code.
        workflows: files of the update that GitHub runs, once they are merged.
    """
    parts = [
        f"{_describe_release(summary.release)} this repository is at {code(summary.present)}.  "
        "Merge this pull request to update.",
        *_workflows(workflows),
        "No workflow of this branch has started, because it is not reviewed yet.  To start the "
        "checks after your review, push an empty commit to the branch, such as with "
        "`git commit --allow-empty --message 'Reviewed'`.",
        *_conflicts(summary),
        *_notes(summary),
        "## What is new",
        quiet(_shortened(summary.changelog, _CHANGELOG))
        or "The changelog has no entry for this release.",
    ]
    return _shortened("\n\n".join(parts), _BODY)


def names_release(title: str, body: str, release: str) -> bool:
    """Return whether the title or the first line of a pull request names a release.

    Users edit both, and releases up to 1.1.0 wrote nothing else that names it.
    """
    first_line = body.partition("\n")[0]
    pattern = rf"(?<![\w.+-]){re.escape(release)}(?![\w+-]|\.\w)"
    return bool(re.search(pattern, title)) or first_line.startswith(_describe_release(release))


def _describe_release(release: str) -> str:
    return f"The template has the release {code(release)};"


def find_workflows(paths: Iterable[str]) -> list[str]:
    """Return which of some files GitHub runs: workflows and actions."""
    return sorted(show_path(path) for path in paths if path.startswith(".github/"))


def _workflows(paths: Sequence[str]) -> Iterator[str]:
    if paths:
        yield (
            "Review these files first: once this is merged, GitHub runs them with the rights of "
            "this repository."
        )
        yield "\n".join(f"- {code(path)}" for path in paths)


def _conflicts(summary: Summary) -> Iterator[str]:
    conflicts = summary.conflicts
    if not conflicts:
        yield "There are no conflicts."
        return
    yield f"## Conflicts: {_files(len(conflicts))}"
    yield (
        "You and the template changed the same in them.  **This branch has your version of each**; "
        "below is what the release changes in it, for you to take over by hand, or leave.  To have "
        "both versions marked in the files instead, close this and run `task template-update`."
    )
    yield "\n".join(f"- {code(item.path)}: {quiet(item.reason)}" for item in conflicts)
    left = _HUNKS
    for item in conflicts:
        shown = format_code_block([_shortened(item.diff, min(left, _ONE_FILE))], "diff")
        left -= len(shown)
        if left <= 0:
            yield "The changes of the other files are too long for this text: `task template-diff`."
            return
        name = html.escape(item.path)
        yield f"<details><summary><code>{name}</code></summary>\n\n{shown}\n\n</details>"


def _reason(item: Conflict) -> str:
    # In the branch nothing is marked.
    reasons: Mapping[Kind, str] = {
        "both changed": "both changed the same lines",
        "both added": "both added this file",
        "removed": "the release removes it, and you changed it",
        "no text": "both changed it, and it cannot be merged by lines",
        "in the way": "the release has a file here, where one of yours is in the way",
    }
    return reasons[item.kind]


def _template_change(plan: Plan, item: Conflict) -> str:
    """Return what the release changes in a file, as a diff of the template's own versions."""
    git = plan.sandbox
    trees = [
        write_tree(git, {item.path: entry} if entry else {}, git.folder / ".git" / "index.shown")
        for entry in (item.base, item.theirs)
    ]
    options = ["-c", "core.quotePath=false", "diff", "--no-ext-diff", "--no-textconv"]
    text = git.raw(*options, "--no-color", *trees).decode(errors="backslashreplace")
    # The first lines name the file once more.
    lines = text.rstrip("\n").split("\n")
    return "\n".join(line for line in lines if not line.startswith(("diff --git", "index ")))


def _notes(summary: Summary) -> Iterator[str]:
    lines = [
        *(f"New question {code(key)}: {code(value)}" for key, value in summary.new.items()),
        *(
            f"Your answer to {code(name)} was {code(old)} and is {code(new)}"
            for name, (old, new) in summary.changed.items()
        ),
        *(f"No longer asked: {code(name)}" for name in summary.gone),
        *(
            f"{code(old)} is {code(new)} now, with your changes in it"
            for old, new in summary.renamed.items()
        ),
        *(
            f"{code(path)} was deleted here and stays so; the release changes it"
            for path in summary.kept_deleted
        ),
    ]
    if lines:
        yield "## Good to know"
        yield "\n".join(f"- {line}" for line in lines)


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return text[: max(0, most)].rpartition("\n")[0] + "\n… cut: too long for a pull request"


def _files(number: int) -> str:
    return f"{number} {'file' if number == 1 else 'files'}"
