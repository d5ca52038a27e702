"""Run ansible-galaxy, and read why it failed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.process import NOT_ON_PATH, Completed, Runner, run_program
from packer_toolkit.repository.requirements_file import ANSIBLE

_UNREACHABLE = re.compile(
    r"Connection (?:refused|reset)|timed? ?out|name resolution|Name or service not known"
    r"|getaddrinfo|Could not resolve|Failed to connect|unable to access|Could not read from remote"
    r"|Permission denied|unreachable|No route to host|CERTIFICATE|SSL|could not read Username"
    r"|HTTP (?:Code|Error):? (?:401|403|407|429|5\d\d)|Authentication failed|hung up"
    r"|Host key verification",
    re.I,
)


def make_environment(root: Path) -> dict[str, str]:
    """Return the environment of this process, with the ansible.cfg of the repository."""
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "GIT_TERMINAL_PROMPT": "0"}
    config = root / ANSIBLE / "ansible.cfg"
    if config.is_file():
        env["ANSIBLE_CONFIG"] = str(config)
    return env


def run_galaxy(root: Path, *arguments: str | Path) -> None:
    """Run `ansible-galaxy`.

    Raises:
        SetupError: It is not installed.
        RemoteError: It failed; the message has its own reason.
    """
    command = ["ansible-galaxy", *arguments]
    completed = run_in_ansible(root, command, make_environment(root))
    if completed.code:
        raise RemoteError(f"ansible-galaxy: {find_reason(join_output(completed))}")


def run_in_ansible(
    root: Path,
    command: Sequence[str | Path],
    env: Mapping[str, str],
    check_signals: Callable[[], None] = lambda: None,
    timeout: float | None = None,
    run: Runner = run_program,
) -> Completed:
    """Run a program that uses the network, such as ansible-galaxy or git.

    Args:
        root: The repository; the program runs in provisioners/ansible.
        command: The program and its arguments.
        env: Its whole environment.
        check_signals: Called several times a second; raises to stop the program.
        timeout: Seconds after which it is stopped.
        run: Runs the program.

    Raises:
        SetupError: It is not installed.
    """
    completed = run(
        command, folder=root / ANSIBLE, env=env, check_signals=check_signals, timeout=timeout
    )
    if completed.code == NOT_ON_PATH:
        raise SetupError(
            f"{completed.line}; use the tasks of Taskfile.yml, or install {command[0]}"
        )
    return completed


def join_output(completed: Completed) -> str:
    """Return all that a program printed; its errors first."""
    return f"{completed.stderr}\n{completed.stdout}"


def is_unreachable(output: str) -> bool:
    """Report whether a program failed because a server refused the login or cannot be reached."""
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
    """Remove the users and passwords of URLs from a text."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)
