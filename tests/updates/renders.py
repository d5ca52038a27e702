"""Renders that are made once: they depend on releases and answers, never on a team's edits."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from packer_toolkit.repository.answers_file import DEFAULT as ANSWERS_FILE
from packer_toolkit.template.render import RenderOptions, RenderSteps

_KEPT: dict[tuple[object, ...], tuple[Path, Path]] = {}
_FOLDER = tempfile.TemporaryDirectory(prefix="renders-")


def cached_renders(real: Callable[..., None]) -> Callable[..., None]:
    """Return `render_update` with the renders of earlier calls, for a template without migrations.

    test_update.py compares it with the real one.
    """

    def update(
        project: Path, steps: RenderSteps, options: RenderOptions, env: Mapping[str, str]
    ) -> None:
        answers = (project / ANSWERS_FILE).read_bytes()
        given = tuple(sorted(options.data.items()))
        key = (options.source, options.release, answers, given)
        if key not in _KEPT:
            kept = Path(tempfile.mkdtemp(dir=_FOLDER.name))
            merge = steps.merge

            def keep() -> None:
                shutil.copytree(steps.old, kept / "old", symlinks=True)
                shutil.copytree(steps.new, kept / "new", symlinks=True)
                merge()

            steps.merge = keep
            real(project, steps, options, env)
            _KEPT[key] = (kept / "old", kept / "new")
            return
        for kept, place in zip(_KEPT[key], (steps.old, steps.new), strict=True):
            shutil.copytree(kept, place, symlinks=True)
        steps.merge()

    return update
