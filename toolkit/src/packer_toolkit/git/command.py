"""Run the git command: without a shell, without prompts where there is no terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.addresses import remove_secrets

# Variables that redirect git to another repository; they are set in hooks and aliases.
# https://git-scm.com/docs/git-rev-parse#Documentation/git-rev-parse.txt---local-env-vars, without
# those for configuration: users pass credentials in them.
_REDIRECTING = (
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
    """Git failed.

    Attributes:
        reason: The line of stderr with the reason, without its prefix.
        stderr: All of stderr, without passwords in addresses.
    """

    def __init__(self, arguments: Sequence[str], code: int, stderr: str) -> None:
        self.stderr = stderr = remove_secrets(stderr)
        lines = [line for line in stderr.splitlines() if line.strip()]
        # The line with the reason comes before advice.
        fatal = [line for line in lines if line.startswith(("fatal: ", "error: "))]
        self.reason = (fatal or lines or [f"exit code {code}"])[0]
        for prefix in ("fatal: ", "error: "):
            self.reason = self.reason.removeprefix(prefix)
        super().__init__(remove_secrets(f"git {' '.join(arguments)}: {self.reason}"))


def explain_ownership(folder: Path, stderr: str) -> str:
    """Return why git refuses a folder of another user, with the fix; empty for other errors.

    Args:
        folder: Where git ran.
        stderr: What git printed to stderr.
    """
    if "dubious ownership" not in stderr:
        return ""
    return (
        f"{folder} belongs to another user, so git refuses to use it; trust it with: "
        f"git config --global --add safe.directory {folder}"
    )


def build_environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment for git: this process's, without variables that redirect git.

    Without a terminal, git and ssh fail instead of waiting for a password.

    Args:
        folder: Where git runs.
        more: Further variables.
    """
    env = {name: value for name, value in os.environ.items() if name not in _REDIRECTING}
    if not is_on_terminal():
        env.setdefault("GIT_TERMINAL_PROMPT", "0")
        # The variable takes precedence over all other ways to name a key or a program for SSH.
        if not {"GIT_SSH", "GIT_SSH_COMMAND"} & {*env, *more} and not _has_ssh_command(folder):
            env["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
    return {**env, "LC_ALL": "C.UTF-8", **more}


def is_on_terminal() -> bool:
    """Check whether git can ask the user for a password."""
    return sys.stdin is not None and sys.stdin.isatty()


@lru_cache
def _has_ssh_command(folder: Path) -> bool:
    """Check whether git's configuration has core.sshCommand, such as for a deploy key."""
    env = {name: value for name, value in os.environ.items() if name not in _REDIRECTING}
    command = ["git", "config", "--get", "core.sshCommand"]
    with contextlib.suppress(OSError):
        return subprocess.run(command, cwd=folder, env=env, capture_output=True).returncode == 0
    return False


@dataclass(frozen=True)
class Git:
    """Git in one folder.

    Attributes:
        folder: Where git runs.
        env: Variables beside those of `build_environment`.
        base: All other variables, instead of those of `build_environment`.
        timeout: Seconds after which git is stopped; None for commands without a network.
    """

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    base: Mapping[str, str] | None = None
    timeout: float | None = None

    @classmethod
    def open_repository(cls, folder: Path, **env: str) -> Git:
        """Return git for the repository in a folder, which may be a bare one.

        With safe.bareRepository=explicit git uses a bare repository only where it is named.
        """
        return cls(folder, env if (folder / ".git").exists() else {"GIT_DIR": str(folder), **env})

    def with_env(self, **env: str) -> Git:
        """Return the same with more variables."""
        return replace(self, env={**self.env, **env})

    def with_timeout(self, seconds: float) -> Git:
        """Return the same with a time limit."""
        return replace(self, timeout=seconds)

    def _build_environment(self) -> dict[str, str]:
        if self.base is None:
            return build_environment(self.folder, **self.env)
        return {**self.base, "LC_ALL": "C.UTF-8", **self.env}

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run git and return the process, whatever its exit code is; 124 after the timeout.

        Args:
            arguments: The arguments of git.
            stdin: Its standard input.

        Raises:
            SetupError: Git is not installed, or cannot be started with these arguments.
        """
        # The user's configuration may add signatures to the output of git log.
        command = ["git", "-c", "log.showSignature=false", *arguments]
        try:
            return self._run(command, stdin)
        except FileNotFoundError:
            if not self.folder.is_dir():
                raise SetupError(f"{self.folder} is not a folder; go to the repository") from None
            raise SetupError("git is not installed: https://git-scm.com/downloads") from None
        except (OSError, ValueError) as error:
            # Such as an address with a NUL, or a command that is too long.
            raise SetupError(f"git {arguments[0]} cannot be started: {error}") from None

    def _run(self, command: Sequence[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        env = self._build_environment()
        if self.timeout is None:
            return subprocess.run(
                command, cwd=self.folder, env=env, input=stdin, capture_output=True, check=False
            )
        # Git is stopped together with the programs that it has started. Not where git may ask for a
        # password: a session of its own has no terminal.
        has_own_group = env.get("GIT_TERMINAL_PROMPT") == "0"
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=has_own_group,
        )
        try:
            out, err = process.communicate(stdin, self.timeout)
            return subprocess.CompletedProcess(command, process.returncode, out, err)
        except subprocess.TimeoutExpired as error:
            code, err = process.poll(), error.stderr or b""
            if code is None:
                code = 124
                err += f"\nfatal: no answer within {self.timeout:g} seconds\n".encode()
            return subprocess.CompletedProcess(command, code, error.output or b"", err)
        finally:
            _stop(process, has_own_group=has_own_group)

    def raw(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run git and return its stdout as bytes; see `run`.

        Raises:
            GitError: Git failed.
        """
        process = self.run(*arguments, stdin=stdin)
        if process.returncode:
            stderr = process.stderr.decode(errors="replace")
            raise GitError(arguments, process.returncode, stderr)
        return process.stdout

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git and return its stdout without the last line break; see `raw`."""
        return os.fsdecode(self.raw(*arguments, stdin=stdin)).rstrip("\n")

    def fields(self, *arguments: str, stdin: bytes = b"") -> list[str]:
        """Run git with an option like -z, and return the parts that NULs separate."""
        return [
            os.fsdecode(part) for part in self.raw(*arguments, stdin=stdin).split(b"\0") if part
        ]

    def filter_ignored(self, paths: Iterable[str]) -> set[str]:
        """Return those of some paths that git ignores, whether it tracks them or not.

        Args:
            paths: Relative to the folder; they need not exist.

        Raises:
            GitError: when the folder is not in a repository.
        """
        stdin = "\0".join(paths).encode("utf-8", "surrogateescape")
        arguments = ("check-ignore", "--no-index", "-z", "--stdin")
        result = self.run(*arguments, stdin=stdin)
        if result.returncode > 1:  # 1: git ignores none of them
            stderr = result.stderr.decode(errors="replace")
            raise GitError(arguments, result.returncode, stderr)
        return set(os.fsdecode(result.stdout).split("\0")) - {""}


def _stop(process: subprocess.Popen[bytes], *, has_own_group: bool) -> None:
    """Stop a process that still runs, and its children.

    Args:
        process: The process.
        has_own_group: Whether it and its children are a process group.
    """
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if has_own_group:
                    os.killpg(process.pid, number)
                else:
                    process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()
