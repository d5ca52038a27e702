"""A rendered repository's tasks, as a person runs them: `task NAME` in a shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rig.run.terminal import Terminal


@dataclass
class Tasks:
    """Runs tasks of one repository.

    Attributes:
        repository: the rendered repository.
        env: variables beside the present ones.
    """

    repository: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        folder: str = ".",
        stdin: str = "",
        timeout: float = 180,
    ) -> subprocess.CompletedProcess[str]:
        """Run `task WORDS` without a terminal; its exit code is the command's.

        Args:
            words: the task, and what follows.
            env: further variables.
            folder: where, below the repository.
            stdin: what is piped into it.
            timeout: seconds.
        """
        return subprocess.run(
            # Task colours its own lines wherever the variable CI is set.
            ["task", "--color=false", "--exit-code", *words],
            cwd=self.repository / folder,
            env={**os.environ, **self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def terminal(self, *words: str, env: Mapping[str, str] | None = None) -> Terminal:
        """Start `task WORDS` on a terminal."""
        more = {**self.env, **(env or {})}
        return Terminal(
            "task", "--color=false", "--exit-code", *words, cwd=self.repository, env=more
        )


def says(done: subprocess.CompletedProcess[str]) -> str:
    """Return what toolkit.sh, or whatever ran, said on stderr, without Task's own last line."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("task: Failed")]
    return "\n".join(lines)
