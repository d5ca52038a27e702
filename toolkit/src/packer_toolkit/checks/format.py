"""Format HCL with `packer fmt`, and shell scripts with shfmt."""

from __future__ import annotations

from pathlib import Path

from packer_toolkit.checks.packer import copy_hcl, read_diagnostics
from packer_toolkit.checks.shell import list_scripts
from packer_toolkit.checks.tools import (
    Finding,
    MissingToolError,
    RunTool,
    exclude_links,
    read_syntax_errors,
    read_unplaced,
    run_tool,
)
from packer_toolkit.errors import SetupError
from packer_toolkit.process import Completed


def format_files(root: Path, run: RunTool = run_tool) -> list[str]:
    """Format HCL and shell scripts.

    Symbolic links and their targets stay as they are.

    Args:
        root: The repository.
        run: Runs a tool.

    Returns:
        The files that changed.

    Raises:
        SetupError: A tool is missing, or a file cannot be read or written; the other files are
            formatted.
    """
    try:
        hcl, errors = _format_hcl(root, run)
        scripts, script_errors = _format_scripts(root, run)
    except MissingToolError as error:
        raise SetupError(f"{error} is not on PATH: use task format, or install it") from None
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}; check its permissions"
        raise SetupError(f"could not format everything: {reason}") from None
    for finding in (*errors, *script_errors):
        place = f"{finding.place}: " if finding.place else ""
        raise SetupError(f"could not format everything: {place}{finding.message}")
    return sorted([*hcl, *scripts])


def _format_hcl(root: Path, run: RunTool) -> tuple[list[str], list[Finding]]:
    with copy_hcl(root) as copy:
        before = {path: path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()}
        completed = run(copy, "packer", "fmt", "-recursive", ".")
        changed = []
        for path, content in before.items():
            name = path.relative_to(copy).as_posix()
            # A file that was saved in the meantime stays as it is.
            if path.read_bytes() != content == (root / name).read_bytes():
                (root / name).write_bytes(path.read_bytes())
                changed.append(name)
    return changed, _read_failure(root, completed)


def _format_scripts(root: Path, run: RunTool) -> tuple[list[str], list[Finding]]:
    before = {name: (root / name).read_bytes() for name in exclude_links(root, list_scripts(root))}
    if not before:
        return [], []
    completed = run(root, "shfmt", "--write", "--", *before)
    changed = [name for name, content in before.items() if (root / name).read_bytes() != content]
    return changed, _read_failure(root, completed)


def _read_failure(root: Path, completed: Completed) -> list[Finding]:
    if not completed.code:
        return []
    return (
        read_syntax_errors(root, completed)
        or read_diagnostics(root, completed)
        or read_unplaced(completed)
    )
