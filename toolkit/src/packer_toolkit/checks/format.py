"""Check and fix the format of HCL with `packer fmt`, and of shell scripts with shfmt.

Symbolic links and their targets stay as they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packer_toolkit.checks.linters import read_diagnostics
from packer_toolkit.checks.tools import (
    Finding,
    MissingToolError,
    RunTool,
    exclude_links,
    list_files,
    list_scripts,
    read_hunks,
    read_places,
    read_unplaced,
    require_some,
    run_tool,
)
from packer_toolkit.errors import SetupError

_ERROR_OF_SHFMT = r"^(.+?):(\d+):\d+: (.+)$"


def check_hcl_format(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find HCL that is not formatted."""
    with _copy_hcl(root) as copy:
        completed = run(copy, "packer", "fmt", "-check", "-diff", "-recursive", ".")
    diagnostics = read_diagnostics(root, completed)
    return [*read_hunks(completed.stdout), *diagnostics] or read_unplaced(completed)


def check_script_format(root: Path, run: RunTool = run_tool) -> list[Finding]:
    """Find scripts that are not formatted.

    Raises:
        SkippedError: There are no scripts.
    """
    names = exclude_links(root, list_scripts(root))
    completed = run(root, "shfmt", "--diff", "--", *require_some(names, "shell script"))
    errors = read_places(root, _ERROR_OF_SHFMT, completed.stderr)
    return [*read_hunks(completed.stdout), *errors] or read_unplaced(completed)


def format_files(root: Path, run: RunTool = run_tool) -> list[str]:
    """Format HCL and shell scripts.

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
        raise SetupError(f"{error} is not on PATH; use the toolkit image: task format") from None
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}; check its permissions"
        raise SetupError(f"could not format everything: {reason}") from None
    for finding in (*errors, *script_errors):
        parts = ("could not format everything", finding.place, finding.message)
        raise SetupError(": ".join(filter(None, parts)))
    return sorted([*hcl, *scripts])


@contextmanager
def _copy_hcl(root: Path) -> Iterator[Path]:
    """Copy the HCL files, because `packer fmt` follows links and enters submodules."""
    with tempfile.TemporaryDirectory() as folder:
        for name in exclude_links(root, list_files(root)):
            if name.endswith((".pkr.hcl", ".pkrvars.hcl")):
                copy = Path(folder, name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((root / name).read_bytes())
        yield Path(folder)


def _format_hcl(root: Path, run: RunTool) -> tuple[list[str], list[Finding]]:
    with _copy_hcl(root) as copy:
        before = {path: path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()}
        completed = run(copy, "packer", "fmt", "-recursive", ".")
        changed = []
        for path, content in before.items():
            name = path.relative_to(copy).as_posix()
            # A file that was saved in the meantime stays as it is.
            if path.read_bytes() != content == (root / name).read_bytes():
                (root / name).write_bytes(path.read_bytes())
                changed.append(name)
    errors = list(read_diagnostics(root, completed)) if completed.code else []
    return changed, errors or read_unplaced(completed)


def _format_scripts(root: Path, run: RunTool) -> tuple[list[str], list[Finding]]:
    before = {name: (root / name).read_bytes() for name in exclude_links(root, list_scripts(root))}
    if not before:
        return [], []
    completed = run(root, "shfmt", "--write", "--", *before)
    changed = [name for name, content in before.items() if (root / name).read_bytes() != content]
    errors = read_places(root, _ERROR_OF_SHFMT, completed.stderr) if completed.code else []
    return changed, errors or read_unplaced(completed)
