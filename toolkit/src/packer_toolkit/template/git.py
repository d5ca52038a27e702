"""The git command, as updates use it: no shell, no prompt without a terminal, bytes for paths."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.template.addresses import without_secret

# What tells git of another repository than the one that is asked for: set in hooks and aliases.
# https://git-scm.com/docs/git-rev-parse#Documentation/git-rev-parse.txt---local-env-vars, without
# those that carry configuration: people hand over credentials in them.
_ELSEWHERE = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)


class GitError(SetupError):
    """Git failed where it should not.

    Attributes:
        reason: the line of what it printed to stderr that says why, without its prefix.
        stderr: all of it, without passwords in addresses.
    """

    def __init__(self, arguments: Sequence[str], code: int, stderr: str) -> None:
        self.stderr = stderr = without_secret(stderr)
        lines = [line for line in stderr.splitlines() if line.strip()]
        # The line that says what is wrong comes before advice.
        fatal = [line for line in lines if line.startswith(("fatal: ", "error: "))]
        self.reason = (fatal or lines or [f"exit code {code}"])[0]
        for prefix in ("fatal: ", "error: "):
            self.reason = self.reason.removeprefix(prefix)
        super().__init__(without_secret(f"git {' '.join(arguments)}: {self.reason}"))


def environment(**more: str) -> dict[str, str]:
    """Return the environment for git: this one's, without pointers to other repositories.

    Without a terminal git and ssh fail instead of waiting for a password.
    """
    env = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    if not _on_terminal():
        env.setdefault("GIT_TERMINAL_PROMPT", "0")
        env.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    return {**env, "LC_ALL": "C.UTF-8", **more}


def _on_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


@dataclass(frozen=True)
class Git:
    """Git in one folder.

    Attributes:
        folder: where it runs.
        env: variables beside those of `environment`.
        base: all other variables, instead of those of `environment`.
    """

    folder: Path
    env: Mapping[str, str]
    base: Mapping[str, str] | None = None

    @classmethod
    def at(cls, folder: Path, **env: str) -> Git:
        """Return git in a folder."""
        return cls(folder, env)

    def with_env(self, **env: str) -> Git:
        """Return the same with more variables."""
        return replace(self, env={**self.env, **env})

    def _environment(self) -> dict[str, str]:
        if self.base is None:
            return environment(**self.env)
        return {**self.base, "LC_ALL": "C.UTF-8", **self.env}

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run git, whatever its exit code is.

        Args:
            arguments: the command's arguments.
            stdin: what it reads.

        Raises:
            SetupError: when git is not installed.
        """
        try:
            return subprocess.run(
                ["git", *arguments],
                cwd=self.folder,
                env=self._environment(),
                input=stdin,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            if not self.folder.is_dir():
                raise SetupError(f"{self.folder} is no folder; go to the repository") from None
            raise SetupError("git is not installed: https://git-scm.com/downloads") from None

    def raw(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run git and return its stdout; see `run`.

        Raises:
            GitError: when it failed.
        """
        done = self.run(*arguments, stdin=stdin)
        if done.returncode:
            stderr = done.stderr.decode(errors="replace")
            raise GitError(arguments, done.returncode, stderr)
        return done.stdout

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git and return its stdout without the last line break; see `bytes`."""
        return os.fsdecode(self.raw(*arguments, stdin=stdin)).rstrip("\n")

    def fields(self, *arguments: str, stdin: bytes = b"") -> list[str]:
        """Run git with an option like -z, and return what stands between the NULs."""
        return [
            os.fsdecode(part) for part in self.raw(*arguments, stdin=stdin).split(b"\0") if part
        ]
