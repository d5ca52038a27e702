"""Findings, and what all checks use: running a tool, and the files of a repository."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git
from packer_toolkit.process import NOT_ON_PATH, Completed, run_program
from packer_toolkit.repository.missing_content import find_missing_content
from packer_toolkit.text.lines import join_lines

# Folders of others, and of tools; git ignores most of them anyway.
_FOREIGN = (".git", ".ansible", ".galaxy", ".task", ".venv", "node_modules", "packer_cache")
_VARIABLES = {
    "ANSIBLE_NOCOLOR": "1",
    "CHECKPOINT_DISABLE": "1",
    "NO_COLOR": "1",
    "PACKER_NO_COLOR": "1",
}


@dataclass(frozen=True)
class Finding:
    """A mistake that a check found.

    Attributes:
        file: Path from the root of the repository; None when the tool names none.
        line: Counted from 1; None when the tool names none.
        message: The mistake, in one line.
    """

    file: str | None
    line: int | None
    message: str

    @property
    def place(self) -> str:
        """FILE:LINE, as far as they are known."""
        return ":".join(str(part) for part in (self.file, self.line) if part is not None)


class MissingToolError(Exception):
    """The tool of a check is not on PATH; the message is its name."""


class SkippedError(Exception):
    """The check does not run; the message has the reason."""


RunTool = Callable[..., Completed]  # `run_tool`; tests use a function of their own


def run_tool(root: Path, *command: str | Path, env: dict[str, str] | None = None) -> Completed:
    """Run the tool of a check.

    Args:
        root: The working directory.
        command: The tool and its arguments.
        env: Further variables.

    Raises:
        MissingToolError: The tool is not on PATH.
    """
    completed = run_program(command, folder=root, env={**os.environ, **_VARIABLES, **(env or {})})
    if completed.code == NOT_ON_PATH:
        raise MissingToolError(str(command[0]))
    return completed


def read_unplaced(completed: Completed) -> list[Finding]:
    """Return the whole output of a failed tool as one finding, so that no failure is silent."""
    output = join_lines(f"{completed.stdout}\n{completed.stderr}")
    message = output or f"exit code {completed.code}"
    return [Finding(None, None, message)] if completed.code else []


def read_places(root: Path, pattern: str, output: str) -> list[Finding]:
    """Return a finding for each line of an output with a place.

    Args:
        root: The repository.
        pattern: Has groups for file, line and message.
        output: The output of the tool.
    """
    lines = re.findall(pattern, output, re.M)
    return [Finding(make_relative(root, path), int(line), text) for path, line, text in lines]


def read_hunks(diff: str) -> Iterator[Finding]:
    """Yield a finding for each hunk of a unified diff, at its first line that would change."""
    name, line, is_before_change = "", 0, False
    for text in diff.splitlines():
        if text.startswith("--- "):
            name = re.sub(r"^--- (?:old/)?(.+?)(?:\.orig)?(?:\t.*)?$", r"\1", text)
        elif match := re.match(r"@@ -(\d+)", text):
            line, is_before_change = int(match[1]), True
        elif is_before_change and text.startswith((" ", "-", "+")) and not text.startswith("+++"):
            if text.startswith(" "):
                line += 1
            else:
                is_before_change = False
                yield Finding(name, line, "is not formatted; fix it with: task format")


def list_files(root: Path) -> list[str]:
    """Return the files of a repository as paths from its root, without those that git ignores."""
    try:
        names = Git(root).fields("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except SetupError:
        names = []
    names = names or [  # outside of a git repository
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if not set(path.relative_to(root).parts) & set(_FOREIGN)
    ]
    return sorted(name for name in set(names) if (root / name).is_file())


def list_scripts(root: Path) -> list[str]:
    """Return the shell scripts, known by their name or their first line."""
    return [
        name
        for name in list_files(root)
        if name.endswith((".sh", ".bash")) or _starts_a_shell(root / name)
    ]


def _starts_a_shell(file: Path) -> bool:
    is_shell = re.match(rb"#!.*\b(?:ba|da|k)?sh\b", file.read_bytes()[:80])
    return "." not in file.name and is_shell is not None


def list_missing_content(root: Path, *folders: str) -> list[Finding]:
    """Return findings for missing content below folders; without folders, everywhere."""
    return [
        Finding(each.path.as_posix(), None, each.reason)
        for each in find_missing_content(root)
        if not folders or each.path.as_posix().startswith(folders)
    ]


def require_some(names: Sequence[str], kind: str) -> Sequence[str]:
    """Return names of files.

    Raises:
        SkippedError: There are none of the kind.
    """
    if not names:
        raise SkippedError(f"the repository has no {kind}")
    return names


def exclude_links(root: Path, names: Iterable[str]) -> list[str]:
    """Leave out symbolic links: their targets are checked elsewhere, or belong to others.

    Args:
        root: The repository.
        names: Paths from its root. A folder above a file may be a link, too.
    """
    real = os.path.realpath(root)
    return [name for name in names if os.path.realpath(root / name) == os.path.join(real, name)]


def make_relative(root: Path, path: str) -> str:
    """Return a path from the root; one outside of it stays as it is."""
    absolute = Path(os.path.normpath(root / path))
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else path
