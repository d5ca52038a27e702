"""Run the git command: without a shell, with timeouts, and with prompts on a terminal only."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.process import TIMED_OUT, run_program, start_program

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

SECONDS = "PACKER_TOOLKIT_GIT_TIMEOUT"
"""Environment variable with another timeout in seconds, for slow networks."""

_QUERY, _QUERY_ON_TERMINAL, _TRANSFER = 30.0, 300.0, 1800.0
# Below one byte per second for a minute, the connection is dead.
_STALLED = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "60"}


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
        reason = (fatal or lines or [f"exit code {code}"])[0]
        self.reason = reason.removeprefix("fatal: ").removeprefix("error: ")
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
    env = _copy_environment()
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
    command = ["git", "config", "--get", "core.sshCommand"]
    return run_program(command, folder=folder, env=_copy_environment()).code == 0


def _copy_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _REDIRECTING}


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
        if self.base is None:
            env = build_environment(self.folder, **self.env)
        else:
            env = {**self.base, "LC_ALL": "C.UTF-8", **self.env}
        # Git is stopped together with the programs that it has started. Not where git may ask for a
        # password: a session of its own has no terminal.
        is_group = self.timeout is not None and env.get("GIT_TERMINAL_PROMPT") == "0"
        try:
            with start_program(
                command, is_group=is_group, cwd=self.folder, env=env, stdin=subprocess.PIPE
            ) as process:
                return self._communicate(process, stdin)
        except FileNotFoundError:
            if not self.folder.is_dir():
                raise SetupError(
                    f"{self.folder} is not a folder; run the command in the repository"
                ) from None
            raise SetupError("git is not installed: https://git-scm.com/downloads") from None
        except (OSError, ValueError) as error:
            # Such as an address with a NUL, or a command that is too long.
            raise SetupError(f"git {arguments[0]} cannot be started: {error}") from None

    def _communicate(
        self, process: subprocess.Popen[bytes], stdin: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        """Give git its standard input, and read its output until it ends or the timeout is over."""
        try:
            out, err = process.communicate(stdin, self.timeout)
        except subprocess.TimeoutExpired as error:
            out, err = error.output or b"", error.stderr or b""
            if process.poll() is None:
                err += f"\nfatal: no answer within {self.timeout:g} seconds\n".encode()
                return subprocess.CompletedProcess(process.args, TIMED_OUT, out, err)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def raw(self, *arguments: str, stdin: bytes = b"", most: int = 0) -> bytes:
        """Run git and return its stdout as bytes; see `run`.

        Args:
            arguments: The arguments of git.
            stdin: Its standard input.
            most: The largest exit code that is not an error.

        Raises:
            GitError: Git failed.
        """
        process = self.run(*arguments, stdin=stdin)
        if process.returncode > most:
            stderr = process.stderr.decode(errors="replace")
            raise GitError(arguments, process.returncode, stderr)
        return process.stdout

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git and return its stdout without the last line break; see `raw`."""
        return os.fsdecode(self.raw(*arguments, stdin=stdin)).rstrip("\n")

    def fields(self, *arguments: str, stdin: bytes = b"", most: int = 0) -> list[str]:
        """Run git with an option like -z, and return the parts that NULs separate; see `raw`."""
        output = self.raw(*arguments, stdin=stdin, most=most)
        return [os.fsdecode(part) for part in output.split(b"\0") if part]

    def filter_ignored(self, paths: Iterable[str]) -> set[str]:
        """Return those of some paths that git ignores, whether it tracks them or not.

        Args:
            paths: Relative to the folder; they need not exist.

        Raises:
            GitError: The folder is not in a repository.
        """
        stdin = "\0".join(paths).encode("utf-8", "surrogateescape")
        # Exit code 1: git ignores none of them.
        return set(self.fields("check-ignore", "--no-index", "-z", "--stdin", stdin=stdin, most=1))


def limit_query(git: Git, most: float | None = None) -> Git:
    """Return git with a timeout for a short query, such as git ls-remote.

    Args:
        git: Git in a folder.
        most: Upper limit of the timeout in seconds; git does not ask for a password then.

    Raises:
        SetupError: The variable `SECONDS` is not a number.
    """
    if most is not None:
        return _limit(git.with_env(GIT_TERMINAL_PROMPT="0"), _QUERY, most)
    # A user needs time to type a password, or to touch a key.
    return _limit(git, _QUERY_ON_TERMINAL if is_on_terminal() else _QUERY)


def limit_transfer(git: Git) -> Git:
    """Return git with a timeout for transfers, such as git clone.

    Raises:
        SetupError: The variable `SECONDS` is not a number.
    """
    return _limit(git, _TRANSFER)


def _limit(git: Git, default: float, most: float = math.inf) -> Git:
    text = os.environ.get(SECONDS, "").strip()
    try:
        seconds = float(text or default)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise SetupError(f'{SECONDS} is "{text}"; set it to a number of seconds, such as 300')
    stalled = {name: value for name, value in _STALLED.items() if name not in os.environ}
    return git.with_env(**stalled).with_timeout(min(seconds, most))
