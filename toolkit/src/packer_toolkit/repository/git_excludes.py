"""Let git ignore the files that builds write, in a clone whose .gitignore does not name them.

Repositories that were not created from the template lack the patterns, and teams may have removed
lines. The file .git/info/exclude belongs to the clone: no file of the team changes.
"""

from __future__ import annotations

import re
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git

# Pattern below the folder of the build -> a path that it matches. The template's .gitignore has
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
_GIT_SECONDS = 30.0
_HEADING = "# Written by builds; added by packer-toolkit because .gitignore does not name them"


def exclude_results(folder: Path) -> list[str]:
    """Exclude the files that a build in a folder writes from git, as far as nothing else does.

    Args:
        folder: Folder that is built, in any repository or in none.

    Returns:
        The patterns that were added to .git/info/exclude. Empty when git ignores all of the files
        already, and when there is no repository or its file cannot be written.
    """
    git = Git(folder).with_timeout(_GIT_SECONDS)
    try:
        prefix, exclude = git.text(
            "rev-parse", "--show-prefix", "--path-format=absolute", "--git-path", "info/exclude"
        ).splitlines()
        prefix = re.sub(r"([\\*?\[])", r"\\\1", prefix)
        ignored = git.filter_ignored(_RESULTS.values())
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
    except (OSError, ValueError, SetupError):
        return []
    return patterns
