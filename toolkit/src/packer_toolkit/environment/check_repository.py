"""Checks of the doctor: the repository, its settings, git, and the address of the template."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from packer_toolkit.environment.machine import (
    Check,
    Machine,
    report_missing,
    report_ok,
    report_skipped,
)
from packer_toolkit.errors import ToolkitError
from packer_toolkit.git.addresses import describe_secret
from packer_toolkit.git.command import Git, GitError, explain_ownership
from packer_toolkit.repository import settings
from packer_toolkit.repository.answers_file import find_answers_files, parse_answers

REQUIRED_SETTINGS = ("TOOLKIT_IMAGE", "AWS_REGION", "AWS_ACCOUNT_ID", "PERSONAL_ROLE_VARIABLE")


def check_repository(machine: Machine) -> Check:
    """Check that the working directory is in a repository."""
    if machine.root is None:
        return report_missing(
            "repository",
            f"neither this folder nor one above it has {settings.FILE}",
            "run this command in a packer-ami repository, or create one with `copier copy`",
        )
    return report_ok("repository", str(machine.root))


def check_settings(machine: Machine) -> Check:
    """Check that toolkit.env has the required settings."""
    if machine.root is None:
        return report_skipped("settings", "no repository")
    missing = [name for name in REQUIRED_SETTINGS if not machine.values.get(name)]
    if missing:
        return report_missing(
            "settings",
            f"{settings.FILE} does not set {', '.join(missing)}",
            f"restore it with `git checkout {settings.FILE}` or `task template-update`",
        )
    return report_ok("settings", settings.FILE)


def check_git(machine: Machine) -> Check:
    """Check that git is installed and can read the repository."""
    if not machine.has_program("git"):
        return report_missing("git", "not on PATH", "install git: https://git-scm.com/downloads")
    if machine.root:
        try:
            Git(machine.root).text("rev-parse", "--show-toplevel")
        except GitError as error:
            reason, _, fix = explain_ownership(machine.root, error.reason).partition("; ")
            return report_missing(
                "git",
                reason or f"{machine.root}: {error.reason}",
                fix or "create a git repository, which updates need: run `git init`, and commit",
            )
    return report_ok("git", machine.run("git", "--version").line)


def find_recorded_secret(root: Path | None) -> str:
    """Return the warning about a password in the recorded address of the template, or ""."""
    for file in find_answers_files(root) if root else []:
        with suppress(OSError, ToolkitError):
            source = parse_answers((Path(root or "") / file).read_bytes(), file).get("_src_path")
            if warning := describe_secret(str(source or ""), file):
                return warning
    return ""


def check_template(machine: Machine) -> Check:
    """Report a password in the recorded address of the template."""
    reason, _, fix = find_recorded_secret(machine.root).partition("; ")
    return report_missing("template", reason, fix) if reason else report_ok("template", "recorded")
