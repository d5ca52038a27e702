"""Describe an update that is going to be written, for its record."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from packer_toolkit.template.file_changes import are_on_one_file_system, describe_file
from packer_toolkit.template.path_names import has_exact_name
from packer_toolkit.template.trees import SUBMODULE
from packer_toolkit.template.update_plan import UpdatePlan


def describe_update_record(plan: UpdatePlan) -> dict[str, Any]:
    """Return the values of the record of an update that is going to be written."""
    project, root = plan.project, plan.project.folder
    saved = [path for path in plan.changes if _is_replaced(plan, path)]
    new_folders = {
        above.relative_to(root).as_posix()
        for path in plan.changes
        for above in list((root / path).parents)[: path.count("/")]
        if not above.is_dir() or above.is_symlink() or not has_exact_name(above)
    }
    # git knows no empty folders: the undo creates those that the update removes.
    empty_folders = [
        place.relative_to(root).as_posix()
        for path in plan.changes
        for place in (root / path, *(root / path).rglob("*"))
        if place.is_dir() and not place.is_symlink()
    ]
    now = datetime.now(timezone.utc)
    return {
        "state": "started",
        "head": project.head,
        "release": project.release,
        "paths": [*plan.changes],
        "saved": saved,
        "added": [p for p in plan.changes if p in plan.after and p not in saved],
        "new_folders": sorted(new_folders),
        "empty_folders": sorted(empty_folders),
        "conflicts": [conflict.path for conflict in plan.conflicts],
        "expected": {path: describe_file(root / path) for path in saved},
        "written": {},
        "kept": now.strftime("%Y%m%d-%H%M%S.%f"),
        "beside": not are_on_one_file_system(project.git_dir, root),
    }


def _is_replaced(plan: UpdatePlan, path: str) -> bool:
    """Check whether an update moves what is at a path aside; it does not touch submodules."""
    return path in plan.before and plan.before[path].mode != SUBMODULE
