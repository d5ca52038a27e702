"""Check that a project has not changed since its update was computed."""

from __future__ import annotations

from packer_toolkit.errors import SetupError
from packer_toolkit.template.blocking_files import find_blocking_files
from packer_toolkit.template.clean_state import find_uncommitted
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.template.update_record import RecordFolder
from packer_toolkit.text.paths import join_paths


def require_unchanged(plan: UpdatePlan, folder: RecordFolder) -> None:
    """Make sure that the repository is what the update was computed from.

    Git's index is not asked: it trusts times and sizes.

    Raises:
        SetupError: Something has changed.
    """
    project = plan.project
    if project.read_head() != project.head:
        raise SetupError(
            "another commit was made or checked out while the update was computed; nothing was "
            "changed; start again"
        )
    changed = {*find_uncommitted(project)}
    changed |= {*find_blocking_files(project.folder, plan.before, plan.after)}
    paths = [f":(literal){path}" for path in plan.changes if path in plan.before]
    if paths:
        index = folder.path / "compared.index"
        git = project.git.with_env(GIT_INDEX_FILE=str(index))
        git.text("read-tree", project.head)
        status = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames"]
        prefix = len(project.prefix)
        changed |= {line[3 + prefix :] for line in git.fields(*status, "--", *paths)}
        index.unlink()
    if changed:
        raise SetupError(
            f"{join_paths(sorted(changed))} changed while the update was computed; nothing was "
            "changed; commit it, or put it aside with git stash --include-untracked, and start "
            "again"
        )
