"""What a person and a program are told of an update."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from typing import Any

from packer_toolkit.git.addresses import without_secret
from packer_toolkit.template.project import Project
from packer_toolkit.template.update import Plan
from packer_toolkit.text.paths import show_path

# What a rendered repository calls the toolkit with on a person's machine.
_LAUNCHER = "toolkit-host.sh"


def way_back(project: Project) -> str:
    """Return the command that takes an update back, as it works in this place."""
    command = "packer-toolkit template-update --undo"
    # First: what uvx runs is on PATH for itself only, and that PATH is what we see.
    if (project.folder / _LAUNCHER).exists():
        return f"./{_LAUNCHER} {command}"
    if shutil.which("packer-toolkit"):
        return command
    return f"{shlex.quote(sys.executable)} -m packer_toolkit template-update --undo"


def nothing(project: Project) -> dict[str, Any]:
    """Return the JSON of an update that is not needed."""
    return {
        "template": without_secret(project.source),
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


def as_json(plan: Plan) -> dict[str, Any]:
    """Return an update for a program."""
    return {
        **nothing(plan.project),
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
        "in_the_way": [show_path(path) for path in plan.in_the_way],
        "ignored": [show_path(path) for path in plan.ignored()],
        "kept_deleted": [show_path(path) for path in plan.merged.kept_deleted],
        "renamed": {show_path(a): show_path(b) for a, b in plan.merged.renamed.items()},
        "answers": plan.answers,
    }


def lines(plan: Plan, done: bool) -> list[str]:
    """Return the verdict on an update for a person.

    Args:
        plan: the update.
        done: whether it was written, or only worked out.
    """
    counts = [
        f"{count} {change}"
        for change in ("changed", "added", "deleted")
        if (count := sum(found == change for found in plan.changes.values()))
    ]
    step = f"{plan.project.release} to {plan.release}"
    files = f"files: {', '.join(counts)}" if counts else "no file changes"
    found = [f"{'Updated' if done else 'An update'} from {step}; {files}."]
    found += _notes(plan)
    if plan.conflicts:
        number = len(plan.conflicts)
        found.append(
            f"{number} {'file' if number == 1 else 'files'} "
            f"{'with conflicts' if done else 'would conflict'}:"
        )
        found += [f"  {show_path(item.path)}: {item.reason}" for item in plan.conflicts]
    else:
        found.append("No conflicts.")
    if done and plan.changes:
        found += _next_steps(plan)
    return found


def _notes(plan: Plan) -> list[str]:
    found = []
    for name, value in plan.answers["new"].items():
        found.append(f"New question {name}: {_value(value)}; change it with --data {name}=ANSWER.")
    for name, (before, after) in plan.answers["changed"].items():
        found.append(f"Your answer to {name} was {_value(before)} and is {_value(after)} now.")
    for name, value in plan.answers["gone"].items():
        found.append(f"No longer asked: {name}; your answer was {_value(value)}.")
    for old, new in plan.merged.renamed.items():
        found.append(f"{show_path(old)} is {show_path(new)} now, with your changes in it.")
    for old, new in plan.case_renames.items():
        found.append(
            f"{show_path(old)} is {show_path(new)} now; this rename is staged for you, because git "
            "does not see it on a file system that ignores case."
        )
    for new, old in plan.collisions:
        found.append(
            f"{show_path(new)} and {show_path(old)} are one file on this file system, which "
            "ignores case: rename or remove yours first."
        )
    for path in plan.in_the_way:
        found.append(f"{show_path(path)} is in the way, and git does not know it: rename it first.")
    for path in plan.ignored():
        found.append(
            f"{show_path(path)} is new and ignored here: git add --force {show_path(path)}."
        )
    for path in plan.merged.kept_deleted:
        found.append(f"{show_path(path)} was deleted here and stays so; the release changes it.")
    return found


def _next_steps(plan: Plan) -> list[str]:
    found = []
    if plan.conflicts:
        found += [
            "Go on: edit each of them, then git add FILE or git rm FILE; git status has the rest.",
            "The release's version of one: git show :3:./FILE.  Yours: git show :2:./FILE.",
        ]
    else:
        found.append("Go on: look at git diff, and commit everything.")
    found.append(f"Go back: {way_back(plan.project)}")
    found.append(f"Go back with git alone: {git_way_back(plan)}")
    return found


def git_way_back(plan: Plan) -> str:
    """Return how git takes an update back, for a clean repository before it."""
    added = [path for path, change in plan.changes.items() if change == "added"]
    # Outside of a sub-folder there may be other uncommitted work.
    here = "git reset --quiet -- . && git checkout --quiet -- ."
    reset = here if plan.project.prefix else "git reset --quiet --hard"
    if not added:
        return reset
    return f"{reset} && git clean -ffdxq -- {' '.join(shlex.quote(path) for path in added)}"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
