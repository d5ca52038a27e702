"""The template's releases, found in the history: a clone may have no tags."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from rig.host import tools
from rig.repositories.template import PARTS, ROOT, git, release, snapshot

HEADING = re.compile(r"^## (\d+\.\d+\.\d+)(?: - \d{4}-\d{2}-\d{2})?$", re.MULTILINE)


def why_not(repository: Path = ROOT) -> str:
    """Return why the releases of a clone cannot be found, "" when they can."""
    command = ["git", "-C", str(repository), "rev-parse", "--is-shallow-repository"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        return f"{repository} is no git repository: {result.stderr.strip()}"
    if result.stdout.strip() == "true":
        return f"{repository} is a shallow clone: git fetch --unshallow brings the releases"
    return ""


def releases(repository: Path = ROOT) -> Mapping[str, str]:
    """Return tag to commit of every release, the oldest first.

    A release is the commit that brought its heading into CHANGELOG.md.  A release cannot name its
    own commit anywhere, so it is looked up: among what was merged into the branch, hence
    --first-parent.  Empty where `why_not` has a reason.
    """
    if why_not(repository):
        return {}
    found: dict[str, str] = {}
    log = ("log", "--first-parent", "-m", "--reverse", "--format=%H", "--", "CHANGELOG.md")
    for commit in git(repository, *log).split():
        if git(repository, "ls-tree", commit, "--", "CHANGELOG.md"):
            text = git(repository, "show", f"{commit}:CHANGELOG.md")
            for number in HEADING.findall(text):
                found.setdefault(f"v{number}", commit)
    return dict(sorted(found.items(), key=lambda item: [*map(int, item[0][1:].split("."))]))


def add_releases(template: Path, repository: Path = ROOT) -> None:
    """Commit and tag every release in a template repository, in their order.

    Args:
        template: a git repository; what a release does not have is removed from it.
        repository: a clone of the project with its history.
    """
    for tag, commit in releases(repository).items():
        for part in PARTS:
            git(template, "rm", "-r", "--quiet", "--force", "--ignore-unmatch", part)
        parts = [part for part in PARTS if git(repository, "ls-tree", commit, "--", part)]
        archive = subprocess.run(
            ["git", "-C", repository, "archive", commit, "--", *parts],
            check=True,
            capture_output=True,
        )
        subprocess.run(["tar", "-x", "-C", template], input=archive.stdout, check=True)
        release(template, tag)


def create_template(
    folder: Path, newest: str, add_first: Callable[[Path], object] = lambda _: None
) -> Path:
    """Create a template with every release, and the working tree as the newest one.

    Args:
        folder: An empty folder.
        newest: The tag of the working tree.
        add_first: Adds releases before the first one, to the template with the working tree in it.

    Returns:
        The template, a git repository below the folder.
    """
    if reason := why_not():
        tools.missing(reason)
    template = snapshot(folder / "template", tag=newest)
    git(template, "tag", "--delete", newest)
    now = folder / "now"
    shutil.copytree(template, now, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    add_first(template)
    add_releases(template)
    for part in PARTS:
        git(template, "rm", "-r", "--quiet", "--ignore-unmatch", part)
    shutil.copytree(now, template, symlinks=True, dirs_exist_ok=True)
    release(template, newest)
    return template
