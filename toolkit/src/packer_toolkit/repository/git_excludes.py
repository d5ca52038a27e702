"""Lets git ignore what builds write, in a clone whose .gitignore does not.

Repositories that were not made from the template, and teams that removed lines, lack the patterns.
The file .git/info/exclude belongs to the clone: nothing of the team's is changed.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

# Pattern below the folder of the build -> a path that it is for.  The template's .gitignore has
# the same patterns.
_RESULTS = {
    "build-report.json": "build-report.json",
    "manifest.json": "manifest.json",
    "manifest.json.lock": "manifest.json.lock",
    "packages-*.txt": "packages-x86_64.txt",
    "inspec/inspec.lock": "inspec/inspec.lock",
    "crash.log": "crash.log",
    "ec2_*.pem": "ec2_x86_64.pem",
    "packer_cache/": "packer_cache/file",
    "provisioners/ansible/.galaxy/": "provisioners/ansible/.galaxy/file",
    "**/.ansible/": "provisioners/.ansible/file",
    "**/__pycache__/": "provisioners/__pycache__/file",
    "**/*.retry": "provisioners/playbook.retry",
}
_HEADING = "# Written by builds; added by packer-toolkit because .gitignore does not name them"


def exclude_results(folder: Path) -> list[str]:
    """Exclude from git what a build in a folder writes, as far as nothing else does.

    Args:
        folder: Folder that is built, in any repository or in none.

    Returns:
        The patterns that were added to .git/info/exclude.  Empty when nothing was missing, and
        when there is no repository or it cannot be written.
    """
    try:
        prefix, exclude = _git(
            folder, "rev-parse", "--show-prefix", "--path-format=absolute",
            "--git-path", "info/exclude",
        ).splitlines()  # fmt: skip
        prefix = re.sub(r"([\\*?\[])", r"\\\1", prefix)
        paths = "".join(f"{path}\0" for path in _RESULTS.values())
        ignored = _git(folder, "check-ignore", "--no-index", "-z", "--stdin", text=paths).split(
            "\0"
        )
        file = Path(exclude)
        present = file.read_text() if file.exists() else ""
        patterns = [
            line
            for pattern, path in _RESULTS.items()
            if path not in ignored and (line := f"/{prefix}{pattern}") not in present.splitlines()
        ]
        if patterns:
            file.parent.mkdir(parents=True, exist_ok=True)
            start = "" if present.endswith("\n") or not present else "\n"
            with file.open("a") as stream:
                stream.write(start + "\n".join([_HEADING, *patterns, ""]))
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    return patterns


def _git(folder: Path, *words: str, text: str = "") -> str:
    result = subprocess.run(
        ["git", "-C", str(folder), *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if result.returncode > 1:  # 1: check-ignore has found nothing
        result.check_returncode()
    return result.stdout
