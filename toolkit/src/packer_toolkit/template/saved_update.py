"""Pass an update from the job that computes it to the job that pushes it.

The first job runs code of the release, so the second one does not trust what it passes: the patch
is validated and applied to an index; nothing of it is executed or checked out.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.git.command import Git, GitError, limit_query
from packer_toolkit.repository.answers_file import parse_answers
from packer_toolkit.template.allowed_changes import require_harmless
from packer_toolkit.template.job_files import pack_files, unpack_files
from packer_toolkit.template.project import Project
from packer_toolkit.template.pull_request import UpdateSummary
from packer_toolkit.template.source import parse_version
from packer_toolkit.template.trees import read_tree
from packer_toolkit.text.paths import show_path

WHAT = "the saved update"
_SCHEMA = 1
_FILE = "update.json"
# The user's configuration must not change a patch, or how it is applied.
_DIFF = ("--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv")
_PROTECTED = ("-c", "core.protectHFS=true", "-c", "core.protectNTFS=true")


@dataclass(frozen=True)
class SavedUpdate:
    """An update as a patch.

    Attributes:
        base: The commit that it is for.
        tree: The tree object that it results in.
        patch: The changes, as `git diff --binary` writes them.
        summary: The content of its pull request.
    """

    base: str
    tree: str
    patch: bytes
    summary: UpdateSummary


def save_update(project: Project, tree: str, summary: UpdateSummary) -> str:
    """Return an update as one line.

    Args:
        project: The repository.
        tree: The tree of the whole repository after the update.
        summary: The content of its pull request.
    """
    git = Git(project.top)
    patch = git.raw("diff-tree", "-r", "-p", *_DIFF, project.head, tree)
    update = {
        "schema": _SCHEMA,
        "base": project.head,
        "tree": tree,
        # Any bytes, one character each.
        "patch": patch.decode("latin-1"),
        "summary": asdict(summary),
    }
    return pack_files({_FILE: json.dumps(update, ensure_ascii=False).encode()})


def read_update(line: str) -> SavedUpdate:
    """Return the update of a line that `save_update` returned.

    Raises:
        SetupError: It is something else.
    """
    try:
        update: Any = json.loads(unpack_files(line, WHAT)[_FILE])
        if update["schema"] != _SCHEMA:
            raise ValueError(f"its schema is {update['schema']!r}, not {_SCHEMA}")
        base, tree, patch = (str(update[name]) for name in ("base", "tree", "patch"))
        return SavedUpdate(
            base, tree, patch.encode("latin-1"), UpdateSummary.from_json(update["summary"])
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = show_path(f"{type(error).__name__}: {error}")[:200]
        raise SetupError(
            f"{WHAT} is not valid ({reason}); start a new run of the workflow"
        ) from None


def apply_update(project: Project, update: SavedUpdate, release: str | None) -> str:
    """Create the tree of the repository after an update; no file and no branch is changed.

    `require_release` validates the files in the tree.

    Args:
        project: The repository, with the commit checked out that the update is for.
        update: The update.
        release: The release that it must be for; None if that is not known.

    Returns:
        The ID of the tree.

    Raises:
        SetupError: It is for another commit or release, or does not apply.
    """
    summary = update.summary
    if update.base != project.head:
        raise SetupError(
            f"the update is for commit {show_path(update.base[:12])}, and {project.head[:12]} is "
            "checked out; start a new run of the workflow"
        )
    if parse_version(summary.release) is None or summary.release != (release or summary.release):
        raise SetupError(
            f"the update is to {show_path(summary.release[:50])}, which is not "
            f"{release or 'a version'}; start a new run of the workflow"
        )
    if summary.present != project.release:
        raise SetupError(
            f"the update is from {show_path(summary.present[:50])}, and this repository is at "
            f"{project.release}; start a new run of the workflow"
        )
    git = Git(project.top)
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
        with_index = git.with_env(GIT_INDEX_FILE=str(Path(scratch, "index")))
        try:
            with_index.text("read-tree", project.head)
            apply = ("apply", "--cached", "--whitespace=nowarn", "-p1", "-")
            with_index.text(*_PROTECTED, *apply, stdin=update.patch)
            tree = with_index.text(*_PROTECTED, "write-tree")
        except GitError as error:
            raise SetupError(
                f"the update does not apply to {project.head[:12]}: {show_path(error.reason)}; "
                "start a new run of the workflow"
            ) from None
    if tree != update.tree:
        raise SetupError(
            f"the update results in other files than the job that computed it reported "
            f"({tree[:12]} instead of {show_path(update.tree[:12])}); start a new run of the "
            "workflow"
        )
    return tree


def list_changed_paths(project: Project, tree: str) -> list[str]:
    """Return the paths that differ between what is checked out and a tree of the repository."""
    command = ("diff-tree", "-r", "-z", "--no-renames", "--name-only", project.head, tree)
    return Git(project.top).fields(*command)


def require_release(project: Project, tree: str, release: str) -> None:
    """Make sure that a tree is an update of a project: harmless, and of the same template.

    Args:
        project: The repository.
        tree: The tree of the whole repository after the update.
        release: The tag that the answers file must record.

    Raises:
        SetupError: It is not.
    """
    git = Git(project.top)
    before, after = read_tree(git, project.head), read_tree(git, tree)
    require_harmless(git, before, after, project.prefix)
    file = project.prefix + project.answers_file
    entry = after.get(file)
    text = git.raw("cat-file", "blob", entry.oid) if entry and entry.is_file else b""
    answers = parse_answers(text, f"{file} of the update") if text else {}
    # An update removes a password or token from a recorded address, and changes nothing else in it.
    sources = (project.source, remove_secrets(project.source))
    if answers.get("_commit") != release or answers.get("_src_path") not in sources:
        raise SetupError(
            f"{file} of the update does not record {release} of the same template; nothing was "
            "pushed; report it to the maintainers of the template"
        )


def require_current(project: Project, base: str) -> None:
    """Make sure that the branch to merge into is still at the commit that is checked out.

    Raises:
        SetupError: It is not.
        RemoteError: It cannot be read.
    """
    ref = f"refs/heads/{base}"
    try:
        listing = limit_query(Git(project.top)).text("ls-remote", "origin", ref)
    except GitError as error:
        raise RemoteError(
            f"the branch {base} cannot be read: {error.reason}; check the token's permissions"
        ) from None
    heads = [line.split("\t")[0] for line in listing.splitlines() if line.endswith(f"\t{ref}")]
    if heads != [project.head]:
        raise SetupError(
            f"{base} is no longer at {project.head[:12]}, for which the update was computed; start "
            "a new run of the workflow (a re-run uses the old commit)"
        )
