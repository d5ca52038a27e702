"""The template as a team would see it: a git repository with a release, rendered by Copier."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import copier
from plumbum import local

from rig import CHECKOUT

ROOT = CHECKOUT

# What Copier reads of the checkout, nothing else can change a render; and the changelog, which
# packer-toolkit reads of a release.
PARTS = ("copier.yml", "template", "includes", "hooks", "CHANGELOG.md")


def git(repository: Path, *args: str) -> str:
    """Run git in a repository and return what it printed, without the last line break."""
    command = ["git", "-C", str(repository), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")


def snapshot(destination: Path, tag: str = "v1.0.0") -> Path:
    """Make a template repository of the working tree, uncommitted work included, with one release.

    Args:
        destination: a folder that does not exist yet.
        tag: name of the release.

    Returns:
        The repository; use it as Copier's template.
    """
    destination.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(
                source,
                destination / part,
                symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        else:
            shutil.copy2(source, destination / part)
    git(destination, "init", "--quiet", "-b", "main")
    release(destination, tag)
    return destination


def release(repository: Path, tag: str) -> None:
    """Commit everything in a template repository and tag it."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", f"Release {tag}")
    git(repository, "tag", tag)


def render(
    template: Path, destination: Path, answers: Mapping[str, Any] | None = None, **options: Any
) -> Path:
    """Render a template with its defaults and the given answers.

    Args:
        template: a template repository, such as one from `snapshot`.
        destination: where the new repository goes.
        answers: answers by question; the others take their defaults.
        options: further arguments of `copier.run_copy`.

    Returns:
        The destination.
    """
    options = {"defaults": True, "unsafe": True, "quiet": True, **options}
    hand_over_environment()
    copier.run_copy(str(template), destination, dict(answers or {}), **options)
    return destination


def hand_over_environment() -> None:
    """Let the processes that Copier starts here see the environment as it is now.

    Copier takes it from plumbum, which copied it at import: before the tests' own isolation, so
    that the hook would commit in the name of whoever runs the tests.
    """
    local.env.clear()
    local.env.update(os.environ)
