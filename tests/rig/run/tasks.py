"""A rendered repository's tasks, as a user runs them: `task NAME` in a shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rig.run.program import run_program
from rig.run.result import Result
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
    ) -> Result:
        """Run `task WORDS` without a terminal; its exit code is the command's.

        Args:
            words: the task, and what follows.
            env: further variables.
            folder: where, below the repository.
            stdin: what is piped into it.
            timeout: seconds.
        """
        return run_program(
            # Task colors its own lines wherever the variable CI is set.
            *("task", "--color=false", "--exit-code", *words),
            cwd=self.repository / folder,
            env={**self.env, **(env or {})},
            stdin=stdin,
            timeout=timeout,
        )

    def terminal(self, *words: str, env: Mapping[str, str] | None = None) -> Terminal:
        """Start `task WORDS` on a terminal."""
        more = {**self.env, **(env or {})}
        return Terminal(
            "task", "--color=false", "--exit-code", *words, cwd=self.repository, env=more
        )
