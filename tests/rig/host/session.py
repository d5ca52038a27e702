"""What all pytest-xdist workers of one test run share."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from rig.host.cache import cache_dir


@dataclass(frozen=True)
class Session:
    """One test run: the controller, and its workers when there are any.

    Attributes:
        directory: where the run notes what it has started; not made before it is needed.
        owner_pid: the controller's process.  What was started for the run ends with it.
    """

    directory: Path
    owner_pid: int

    @classmethod
    def new(cls) -> Session:
        """Name a new run that this process owns."""
        return cls(cache_dir("sessions") / uuid.uuid4().hex, os.getpid())

    @classmethod
    def told(cls, text: str) -> Session:
        """Return the run that the controller named, from `as_json`."""
        fields = json.loads(text)
        return cls(Path(fields["directory"]), fields["owner_pid"])

    def as_json(self) -> str:
        """Return the run's name for its workers."""
        return json.dumps({"directory": str(self.directory), "owner_pid": self.owner_pid})

    def once(self, name: str, start: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Call START in the first worker that gets here, and hand its result to all.

        Args:
            name: what is started, as a file name.
            start: starts it and returns what the others need to reach it, as plain JSON.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        note = self.directory / f"{name}.json"
        with FileLock(self.directory / f"{name}.lock", timeout=600):
            if not note.exists():
                result = start()
                partial = note.with_suffix(".partial")
                partial.write_text(json.dumps(result))
                partial.replace(note)
            return dict(json.loads(note.read_text()))

    def started(self, name: str) -> dict[str, Any] | None:
        """Return what `once` noted under NAME, or None when nobody started it."""
        note = self.directory / f"{name}.json"
        return dict(json.loads(note.read_text())) if note.exists() else None

    def forget(self) -> None:
        """Remove the notes, at the end of the run."""
        shutil.rmtree(self.directory, ignore_errors=True)
