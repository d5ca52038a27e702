"""Renders that are made once: they depend on releases and answers, never on a team's edits."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from packer_toolkit.template.project import ANSWERS_FILE
from packer_toolkit.template.render import Steps

_KEPT: dict[tuple[object, ...], tuple[Path, Path]] = {}
_FOLDER = tempfile.TemporaryDirectory(prefix="renders-")


def cached_renders(real: Callable[..., None]) -> Callable[..., None]:
    """Return `render.update` with the renders of earlier calls; for a template without migrations.

    test_update.py compares it with the real one.
    """

    def update(
        project: Path, steps: Steps, *, release: str, data: Mapping[str, Any], **more: Any
    ) -> None:
        answers = (project / ANSWERS_FILE).read_bytes()
        key = (more["source"], release, answers, tuple(sorted(data.items())))
        if key not in _KEPT:
            kept = Path(tempfile.mkdtemp(dir=_FOLDER.name))
            merge = steps.merge

            def keep() -> None:
                shutil.copytree(steps.old, kept / "old", symlinks=True)
                shutil.copytree(steps.new, kept / "new", symlinks=True)
                merge()

            steps.merge = keep
            real(project, steps, release=release, data=data, **more)
            _KEPT[key] = (kept / "old", kept / "new")
            return
        for kept, place in zip(_KEPT[key], (steps.old, steps.new), strict=True):
            shutil.copytree(kept, place, symlinks=True)
        steps.merge()

    return update
