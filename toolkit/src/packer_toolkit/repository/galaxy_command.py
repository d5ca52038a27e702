"""Runs ansible-galaxy, and reads why it failed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.repository.requirements_file import ANSIBLE

_UNREACHABLE = re.compile(
    r"Connection (?:refused|reset)|timed? ?out|name resolution|Name or service not known"
    r"|getaddrinfo|Could not resolve|Failed to connect|unable to access|Could not read from remote"
    r"|Permission denied|unreachable|No route to host|CERTIFICATE|SSL|could not read Username"
    r"|HTTP (?:Code|Error):? (?:401|403|407|429|5\d\d)|Authentication failed|hung up"
    r"|Host key verification",
    re.I,
)


def _do_nothing() -> None:
    pass


@dataclass(frozen=True)
class Output:
    """What a program printed.

    Attributes:
        code: exit code.
        out: standard output.
        text: standard error and standard output.
    """

    code: int
    out: str
    text: str


def make_environment(root: Path) -> dict[str, str]:
    """Return the environment of Ansible's programs: this one, with the repository's ansible.cfg."""
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "GIT_TERMINAL_PROMPT": "0"}
    config = root / ANSIBLE / "ansible.cfg"
    if config.is_file():
        env["ANSIBLE_CONFIG"] = str(config)
    return env


def run_command(
    command: Sequence[str],
    folder: Path,
    env: dict[str, str],
    check_signals: Callable[[], None],
    timeout: float = float("inf"),
) -> Output:
    """Run a program that uses the network; a signal ends it.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        env: its whole environment.
        check_signals: called again and again; raises to stop the program.
        timeout: seconds after which it is stopped, with exit code 124.
    """
    if not shutil.which(command[0]):
        raise SetupError(
            f"{command[0]} is not on PATH: use the tasks of Taskfile.yml, or install it"
        )
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    end = time.monotonic() + timeout
    try:
        while True:
            try:
                out, err = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                check_signals()
                if time.monotonic() > end:
                    raise
    except subprocess.TimeoutExpired:
        _stop(process)
        return Output(124, "", f"fatal: timed out after {timeout:g} seconds")
    except BaseException:
        _stop(process)
        raise
    return Output(process.returncode, out, f"{err}\n{out}")


def _stop(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)  # with the git that it has started
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def run_galaxy(root: Path, *arguments: str | Path) -> None:
    """Run `ansible-galaxy`.

    Raises:
        SetupError: when it is missing.
        RemoteError: when it failed, with its own reason.
    """
    command = ["ansible-galaxy", *map(str, arguments)]
    output = run_command(command, root / ANSIBLE, make_environment(root), _do_nothing)
    if output.code:
        raise RemoteError(f"ansible-galaxy: {find_reason(output.text)}")


def is_unreachable(output: str) -> bool:
    """Return whether a program failed because a server did not let it in, or cannot be reached."""
    return bool(_UNREACHABLE.search(output))


def find_reason(output: str) -> str:
    """Return why ansible-galaxy or git failed, in one line."""
    blocks = re.split(r"^(?=\[?(?:ERROR|WARNING)\]?[:!] )", output, flags=re.M)
    is_useful = re.compile(r"NOT installed successfully|^\[?ERROR")
    useful = [
        block.split("\n\n")[0]  # the rest repeats it, and has the traceback
        for block in blocks
        if is_useful.search(block) and "--ignore-errors" not in block
    ]
    text = " ".join(dict.fromkeys(useful)) or output
    git = re.search(r"^(?:fatal|error): .*$", output, re.M)
    text += f" ({git[0]})" if git and git[0] not in text else ""
    text = re.sub(r"\[?(?:ERROR|WARNING)\]?[:!] (?:- )?", "", text)
    return hide_secrets(" ".join(text.split()))[:600].rstrip(" .") or "no reason given"


def hide_secrets(text: str) -> str:
    """Leave out the users and passwords of URLs."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)
