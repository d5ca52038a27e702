"""The result of an update, for the user and for programs."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.template.project import Project
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.text.lines import format_count
from packer_toolkit.text.paths import show_path

# The script of a rendered repository that starts the toolkit on the user's machine.
_LAUNCHER = "toolkit-host.sh"


def format_undo_command(project: Project) -> str:
    """Return the command that undoes an update, as it works in this place."""
    command = "packer-toolkit template-update --undo"
    # First: what uvx runs is on PATH for itself only, and that PATH is what we see.
    if (project.folder / _LAUNCHER).exists():
        return f"./{_LAUNCHER} {command}"
    if shutil.which("packer-toolkit"):
        return command
    return f"{shlex.quote(sys.executable)} -m packer_toolkit template-update --undo"


def show_copy(copy: Path) -> str:
    """Return the path of a copy for the user: from the current folder if it is below that."""
    with contextlib.suppress(ValueError):
        copy = copy.relative_to(Path.cwd())
    return shlex.quote(show_path(str(copy)))


def describe_no_update(project: Project) -> dict[str, Any]:
    """Return the JSON of an update that is not needed."""
    return {
        "template": remove_secrets(project.source),
        "from": project.release,
        "to": project.release,
        "files": [],
        "conflicts": [],
        "in_the_way": [],
        "ignored": [],
        "kept_deleted": [],
        "renamed": {},
        "answers": {"new": {}, "changed": {}, "gone": {}},
    }


def describe_update(plan: UpdatePlan) -> dict[str, Any]:
    """Return the JSON of an update."""
    return {
        **describe_no_update(plan.project),
        "to": plan.release,
        "files": [
            {
                "path": show_path(path),
                "change": change,
                "conflict": path in plan.merged.conflicts,
            }
            for path, change in plan.changes.items()
        ],
        "conflicts": [
            {"path": show_path(item.path), "kind": item.kind, "reason": item.reason}
            for item in plan.conflicts
        ],
        "in_the_way": [show_path(path) for path in plan.blocking_files],
        "ignored": [show_path(path) for path in plan.list_ignored()],
        "kept_deleted": [show_path(path) for path in plan.merged.kept_deleted],
        "renamed": {show_path(a): show_path(b) for a, b in plan.merged.renamed.items()},
        "answers": plan.answers,
    }


def format_result(plan: UpdatePlan, is_written: bool) -> list[str]:
    """Return the lines about an update for the user.

    Args:
        plan: The update.
        is_written: Whether it was written, or only computed.
    """
    counts = [
        f"{count} {change}"
        for change in ("changed", "added", "deleted")
        if (count := list(plan.changes.values()).count(change))
    ]
    files = f"files: {', '.join(counts)}" if counts else "no file changes"
    verb = "Updated" if is_written else "An update"
    lines = [f"{verb} from {plan.project.release} to {plan.release}; {files}.", *_list_notes(plan)]
    if plan.conflicts:
        files = format_count(len(plan.conflicts), "file")
        lines.append(f"{files} {'with conflicts' if is_written else 'would conflict'}:")
        lines += [f"  {show_path(item.path)}: {item.reason}" for item in plan.conflicts]
    else:
        lines.append("No conflicts.")
    if is_written and plan.changes:
        lines += _list_next_steps(plan)
    return lines


def _list_notes(plan: UpdatePlan) -> Iterator[str]:
    answers = plan.answers
    for name, note in describe_answers(answers["new"], answers["changed"], str, _format_value):
        is_new = name in answers["new"]
        yield f"{note}{f'; change it with --data {name}=ANSWER' if is_new else ''}."
    for name, value in answers["gone"].items():
        yield f"No longer asked: {name}; your answer was {_format_value(value)}."
    for note in describe_moved_files(plan.merged.renamed, plan.merged.kept_deleted, show_path):
        yield f"{note}."
    for old, new in plan.case_renames.items():
        yield (
            f"{show_path(old)} was renamed to {show_path(new)}; this rename is staged for you, "
            "because git does not see it on a file system that ignores case."
        )
    for new, old in plan.collisions:
        yield (
            f"{show_path(new)} and {show_path(old)} are the same file on this file system, which "
            "ignores case: rename or delete your file first."
        )
    for path in plan.blocking_files:
        yield f"Untracked file {show_path(path)} would be overwritten: rename it first."
    for path in plan.list_ignored():
        yield f"{show_path(path)} is new and ignored by git: git add --force {show_path(path)}."


def _list_next_steps(plan: UpdatePlan) -> Iterator[str]:
    if plan.conflicts:
        yield "Next: edit each one, then git add FILE or git rm FILE; git status lists the rest."
        yield "The release's version of one: git show :3:./FILE.  Yours: git show :2:./FILE."
    else:
        yield "Next: review git diff, and commit everything."
    yield f"To undo: {format_undo_command(plan.project)}"
    yield f"To undo with git alone: {_format_git_undo_command(plan)}"


def _format_git_undo_command(plan: UpdatePlan) -> str:
    """Return how git undoes an update, for a repository that was clean before it."""
    # Outside of a sub-folder there may be other uncommitted work.
    in_folder = "git reset --quiet -- . && git checkout --quiet -- ."
    reset = in_folder if plan.project.prefix else "git reset --quiet --hard"
    if not plan.added:
        return reset
    return f"{reset} && git clean -ffdxq -- {' '.join(map(shlex.quote, plan.added))}"


def _format_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def describe_answers(
    new: Mapping[str, Any],
    changed: Mapping[str, Sequence[Any]],
    format_name: Callable[[str], str],
    format_value: Callable[[Any], str],
) -> Iterator[tuple[str, str]]:
    """Yield each question whose answer is new or another one, and a note without its period.

    Args:
        new: Questions that the release asks for the first time -> the answer.
        changed: Question -> the answer before and after the update.
        format_name: Formats the name of a question.
        format_value: Formats an answer.
    """
    for name, value in new.items():
        yield name, f"New question {format_name(name)}: {format_value(value)}"
    for name, (old, value) in changed.items():
        change = f"from {format_value(old)} to {format_value(value)}"
        yield name, f"Answer {format_name(name)} changed {change}"


def describe_moved_files(
    renamed: Mapping[str, str], kept_deleted: Iterable[str], format_path: Callable[[str], str]
) -> Iterator[str]:
    """Yield a note about each file that is not where the release has it, without its period.

    Args:
        renamed: Old path -> new path of files with the team's changes in them.
        kept_deleted: Files that the team deleted and the release changes.
        format_path: Formats a path.
    """
    for old, new in renamed.items():
        yield f"{format_path(old)} was renamed to {format_path(new)}, with your changes in it"
    for path in kept_deleted:
        yield f"{format_path(path)} stays deleted, although the release changes it"
