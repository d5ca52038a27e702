"""The template as a place to get releases from: which there are, and what each brings."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from packaging.version import InvalidVersion, Version

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.template.addresses import without_secret
from packer_toolkit.template.git import Git, GitError
from packer_toolkit.template.project import ANSWERS_FILE

_CHANGELOG = "CHANGELOG.md"
# What git describe says of a commit after a release.
_DESCRIBED = re.compile(r"(?P<tag>.+)-(?P<commits>[0-9]+)-g[0-9a-f]{4,40}\Z")
_HEADING = re.compile(r"##\s+\[?(?P<name>[^\]\s]+)\]?")


@dataclass(frozen=True, order=True)
class Release:
    """A release of the template.

    Attributes:
        version: by which releases are ordered.
        tag: its name in git.
    """

    version: Version
    tag: str


def parse_version(text: str) -> Version | None:
    """Return the version that a tag, or a commit after it, stands for; None when there is none.

    As Copier does, by PEP 440; a commit after a release counts as newer than it.
    """
    after = _DESCRIBED.match(text)
    try:
        if after:
            return Version(f"{Version(after['tag'])}.post{after['commits']}")
        return Version(text)
    except InvalidVersion:
        return None


def is_release(recorded: str) -> bool:
    """Tell whether a recorded release is one, and not a commit after one."""
    return not _DESCRIBED.match(recorded)


def up_to_date(recorded: str, asked: str | None = None) -> str:
    """Return the line that says that there is nothing to take.

    Args:
        recorded: the release that the repository is at.
        asked: the release that a person asked for; None: the newest.
    """
    if asked:
        return f"This repository is at {recorded} already."
    if is_release(recorded):
        return f"Up to date: {recorded} is the template's newest release."
    return f"Up to date: {recorded} is newer than the template's newest release."


def git_url(source: str) -> str:
    """Return the address that git understands for one that Copier understands.

    Copier's rules: gh: and gl: stand for github.com and gitlab.com, git+ is taken away, ~ is home.
    """
    for alias, host in (("gh:", "https://github.com/"), ("gl:", "https://gitlab.com/")):
        if source.startswith(alias):
            path = source.removeprefix(alias).lstrip("/")
            return f"{host}{path}" + ("" if path.endswith(".git") else ".git")
    if source.startswith("git+"):
        return source.removeprefix("git+")
    if source.startswith("~"):
        return str(Path(source).expanduser())
    return source


def releases(source: str, named_in: str = ANSWERS_FILE) -> list[Release]:
    """Return the releases of a template, oldest first; prereleases too.

    Args:
        source: the template's address.
        named_in: where a person can mend the address.

    Raises:
        RemoteError: when git cannot read it.
    """
    url = git_url(source)
    listing = ["ls-remote", "--tags", "--refs", "--", url]
    try:
        lines = Git.at(Path.cwd()).text(*listing).splitlines()
    except GitError as error:
        raise RemoteError(_unreadable(source, error, named_in)) from None
    found = []
    for line in lines:
        tag = line.partition("\t")[2].removeprefix("refs/tags/")
        version = parse_version(tag)
        if version:
            found.append(Release(version, tag))
    return sorted(found)


def newest(source: str) -> Release:
    """Return the newest release of a template.

    Raises:
        RemoteError: when git cannot read it, or it has none.
    """
    found = [release for release in releases(source) if not release.version.is_prerelease]
    if not found:
        address = without_secret(source)
        raise RemoteError(f"the template {address} has no release yet: no tag such as v1.0.0")
    return found[-1]


def named(source: str, tag: str, named_in: str = ANSWERS_FILE) -> Release:
    """Return the release of a tag, with or without its v.

    Args:
        source: the template's address.
        tag: the release's name.
        named_in: where a person can mend the address.

    Raises:
        SetupError: when there is none.
        RemoteError: when git cannot read the template.
    """
    found = releases(source, named_in)
    for release in found:
        if release.tag in (tag, f"v{tag}"):
            return release
    latest = ", ".join(release.tag for release in found[:-4:-1]) or "none"
    raise SetupError(f"the template has no release {tag}; its newest are {latest}")


def require_version(recorded: str) -> Version:
    """Return the version of a recorded release.

    Raises:
        SetupError: when it is none.
    """
    version = parse_version(recorded)
    if version is None:
        raise SetupError(
            f"_commit of {ANSWERS_FILE} is {recorded}, which is no release of the template "
            "(was it made from a checkout without tags?); set it to the release that this "
            "repository was made from, such as v1.0.0, and commit that"
        )
    return version


def changes(source: str, since: Version, release: Release) -> str:
    """Return what the changelog says of the releases after one, up to another.

    Args:
        source: the template's address.
        since: the version whose changes are known.
        release: the newest that is of interest; its changelog is read.

    Returns:
        The sections, newest first, in Markdown; empty when the release has no changelog.
    """
    return between(_changelog(source, release.tag), since, release.version)


def between(changelog: str, since: Version, until: Version) -> str:
    """Return the sections of a changelog for versions after SINCE, up to UNTIL."""
    kept: list[str] = []
    wanted = False
    fenced = False
    for line in changelog.splitlines():
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(line)
        if heading:
            version = parse_version(heading["name"])
            wanted = version is not None and since < version <= until
        # Link definitions at the end belong to no section.
        if wanted and not re.match(r"\[[^\]]+\]: \S", line):
            kept.append(line.rstrip())
    return "\n".join(kept).strip()


def _changelog(source: str, tag: str) -> str:
    url = git_url(source)
    name = f"{tag}:{_CHANGELOG}"
    if Path(url).is_dir():
        try:
            return Git.at(Path(url)).text("show", name)
        except GitError:
            return ""
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as folder:
        git = Git.at(Path(folder))
        clone = ["clone", "--quiet", "--bare", "--depth=1", f"--branch={tag}", "--", url, "."]
        try:
            git.text(*clone)
        except GitError as error:
            raise RemoteError(_unreadable(source, error, ANSWERS_FILE)) from None
        try:
            return git.text("show", name)
        except GitError:
            return ""


def uvx_requirement(source: str, release: str) -> str:
    """Return what uvx --from needs for the toolkit of a release, as toolkit-host.sh does."""
    url = without_secret(git_url(source))
    if "://" not in url:
        host, colon, path = url.partition(":")
        url = f"ssh://{host}/{path}" if colon and "@" in host else f"file://{quote(url)}"
    return f"git+{url}@{release}#subdirectory=toolkit"


def _unreadable(source: str, error: GitError, named_in: str) -> str:
    url = git_url(source)
    reason = without_secret(error.reason)
    if "://" not in url and not url.startswith("git@") and not Path(url).exists():
        reason = "there is no such folder here"
    return (
        f"the template {without_secret(source)} cannot be read: {reason}; check the address in "
        f"{named_in}, the network, and that you may read it with git"
    )
