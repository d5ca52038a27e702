"""The template's changelog: the sections of the releases that an update brings."""

from __future__ import annotations

import re

from packaging.version import Version

from packer_toolkit.errors import RemoteError
from packer_toolkit.git.command import GitError
from packer_toolkit.repository.answers_file import DEFAULT
from packer_toolkit.template.source import (
    TemplateRelease,
    explain_unreadable,
    open_history,
    parse_version,
)

_FILE = "CHANGELOG.md"
_HEADING = re.compile(r"##\s+\[?(?P<name>[^\]\s]+)\]?")
_LINK_DEFINITION = re.compile(r"\[[^\]]+\]: \S")


def read_news(source: str, since: Version, release: TemplateRelease) -> str:
    """Return what the changelog has about the releases after one, up to another.

    Args:
        source: The template's address.
        since: The version whose changes are known.
        release: The newest release of interest; its changelog is read.

    Returns:
        The sections, newest first, in Markdown; empty when the release has no changelog.

    Raises:
        RemoteError: Git cannot read the template.
    """
    return select_sections(_read_changelog(source, release.tag), since, release.version)


def select_sections(changelog: str, since: Version, until: Version) -> str:
    """Return the sections of a changelog for the versions after SINCE, up to UNTIL."""
    lines: list[str] = []
    is_selected = False
    is_code = False
    for line in changelog.splitlines():
        if line.startswith(("```", "~~~")):
            is_code = not is_code
        heading = None if is_code else _HEADING.match(line)
        if heading:
            version = parse_version(heading["name"])
            is_selected = version is not None and since < version <= until
        # Link definitions at the end belong to no section.
        if is_selected and not _LINK_DEFINITION.match(line):
            lines.append(line.rstrip())
    return "\n".join(lines).strip()


def _read_changelog(source: str, tag: str) -> str:
    with open_history(source, DEFAULT, "--depth=1", f"--branch={tag}") as git:
        try:
            entry = git.text("ls-tree", f"{tag}^{{commit}}", "--", _FILE)
            if not entry:
                return ""
            _, kind, oid = entry.partition("\t")[0].split(" ")
            return git.text("cat-file", "blob", oid) if kind == "blob" else ""
        except GitError as error:
            raise RemoteError(explain_unreadable(source, error, DEFAULT)) from None
