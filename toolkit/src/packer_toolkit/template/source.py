"""The template as a place to get releases from: which there are, and what each brings."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.addresses import git_url, is_local_path, to_url, without_secret
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.git.network import limit_question, limit_transfer
from packer_toolkit.repository.answers_file import DEFAULT

_CHANGELOG = "CHANGELOG.md"
# What git describe says of a commit after a release.
_DESCRIBED = re.compile(r"(?P<tag>.+)-(?P<commits>[0-9]+)-g(?P<commit>[0-9a-f]{4,64})\Z")
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_FULL_VERSION = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+")
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


def list_tags(source: str, named_in: str = DEFAULT, most: float | None = None) -> dict[str, str]:
    """Return the tags of a template, and the commit of each; annotated tags too.

    Args:
        source: the template's address.
        named_in: where the user can fix the address.
        most: seconds that git may take at most; the user is not asked for a password then.

    Raises:
        RemoteError: when git cannot read it.
    """
    listing = ["ls-remote", "--tags", "--", git_url(source)]
    try:
        lines = limit_question(Git.at(Path.cwd()), most).text(*listing).splitlines()
    except GitError as error:
        raise RemoteError(_unreadable(source, error, named_in)) from None
    tags = {}
    # The commit of an annotated tag has a line of its own, below that of the tag: NAME^{}.
    for line in lines:
        commit, _, name = line.partition("\t")
        tags[name.removeprefix("refs/tags/").removesuffix("^{}")] = commit
    return tags


def sort_releases(tags: Iterable[str]) -> list[Release]:
    """Return the releases among tags, oldest first; prereleases too.

    Tags such as 20270131 and v1 are versions as well, but releases only where none is like v1.0.0.
    """
    versions = {tag: parse_version(tag) for tag in tags if is_release(tag)}
    found = [Release(version, tag) for tag, version in versions.items() if version is not None]
    return sorted([item for item in found if _FULL_VERSION.match(item.tag)] or found)


def releases(source: str, named_in: str = DEFAULT) -> list[Release]:
    """Return the releases of a template, oldest first; see `list_tags` and `sort_releases`."""
    return sort_releases(list_tags(source, named_in))


def match_release(recorded: str, tags: Mapping[str, str]) -> str | None:
    """Return the release that a recorded version is, by the template's tags alone.

    Copier records `git describe --tags`, which may name another tag of the release's commit.

    Args:
        recorded: a tag, a tag with the commits after it, or a commit.
        tags: the template's tags, and the commit of each.

    Returns:
        A tag, or a tag with the commits after it; None where the tags do not show it.
    """
    by_commit = {tags[item.tag]: item.tag for item in sort_releases(tags)}
    if recorded in by_commit.values():
        return recorded
    if recorded in tags:
        return by_commit.get(tags[recorded])
    after = _DESCRIBED.match(recorded)
    commit = after["commit"] if after else recorded
    if after or _COMMIT.match(recorded):
        for release_commit, tag in by_commit.items():
            if release_commit.startswith(commit):
                return tag
    base = match_release(after["tag"], tags) if after and after["tag"] in tags else None
    if after and base and is_release(base):
        return f"{base}-{after['commits']}-g{commit}"
    return None


def resolve_release(source: str, recorded: str, named_in: str = DEFAULT) -> str:
    """Return the release that a recorded version is.

    The template is only asked where the recorded version is not the plain name of a release.

    Args:
        source: the template's address.
        recorded: what Copier recorded: a tag, a tag with the commits after it, or a commit.
        named_in: the answers file.

    Returns:
        A tag, or a tag with the commits after it; the recorded version where it is neither a tag
        nor a commit of the template.

    Raises:
        SetupError: when it is a commit that the template does not have.
        RemoteError: when git cannot read the template.
    """
    if _FULL_VERSION.match(recorded) and is_release(recorded) and parse_version(recorded):
        return recorded
    tags = list_tags(source, named_in)
    release = match_release(recorded, tags)
    if release and is_release(release):
        return release
    after = _DESCRIBED.match(recorded)
    if recorded in tags:
        commit = tags[recorded]
    elif after or _COMMIT.match(recorded):
        commit = after["commit"] if after else recorded
    else:
        return recorded
    nearest = match_release(after["tag"], tags) if after else ""
    if after and not nearest:
        # A tag of another kind that the template no longer has, such as toolkit-v1.0.0.
        versions = (item.tag for item in sort_releases(tags) if after["tag"].endswith(item.tag))
        nearest = next(versions, after["tag"])
    return _describe(source, commit, recorded, nearest or "", named_in)


def _describe(source: str, commit: str, recorded: str, nearest: str, named_in: str) -> str:
    """Return the nearest release before a commit, with the number of commits after it."""
    # Commits alone are small, whatever the template's files are.
    with _history(source, named_in, "--filter=tree:0") as git:
        if git.run("cat-file", "-e", f"{commit}^{{commit}}").returncode:
            if not nearest:
                return recorded
            raise SetupError(
                f"_commit of {named_in} is {recorded}, a commit that the template does not have "
                "(it was made from uncommitted or unpublished changes); set it to the release "
                f"before that commit, such as {nearest}, and commit that"
            )
        done = git.run("describe", "--tags", "--match=v[0-9]*.[0-9]*.[0-9]*", commit)
        return os.fsdecode(done.stdout).strip() or recorded


@contextmanager
def _history(source: str, named_in: str, *options: str) -> Iterator[Git]:
    """Clone a template into a temporary folder, or take the repository on this machine."""
    url = git_url(source)
    if Path(url).is_dir():
        yield limit_transfer(Git.of_repository(Path(url).absolute()))
        return
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as folder:
        git = Git.at(Path(folder))
        try:
            limit_transfer(git).text("clone", "--quiet", "--bare", *options, "--", url, ".")
        except GitError as error:
            raise RemoteError(_unreadable(source, error, named_in)) from None
        # A partial clone may have to fetch more.
        yield limit_transfer(Git.of_repository(Path(folder)))


def newest(source: str, named_in: str = DEFAULT) -> Release:
    """Return the newest release of a template.

    Args:
        source: the template's address.
        named_in: where the user can fix the address.

    Raises:
        RemoteError: when git cannot read it, or it has none.
    """
    found = [item for item in releases(source, named_in) if not item.version.is_prerelease]
    if not found:
        address = without_secret(source)
        raise RemoteError(f"the template {address} has no release yet: no tag such as v1.0.0")
    return found[-1]


def named(source: str, tag: str, named_in: str = DEFAULT) -> Release:
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


def require_version(recorded: str, named_in: str = DEFAULT) -> Version:
    """Return the version of a recorded release.

    Args:
        recorded: the release.
        named_in: the answers file.

    Raises:
        SetupError: when it is none.
    """
    version = parse_version(recorded)
    if version is None:
        raise SetupError(
            f"_commit of {named_in} is {recorded}, which is no release of the template "
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
    """Return the changelog of a release; empty when it has none.

    Raises:
        RemoteError: when git cannot read the template.
    """
    with _history(source, DEFAULT, "--depth=1", f"--branch={tag}") as git:
        try:
            entry = git.text("ls-tree", f"{tag}^{{commit}}", "--", _CHANGELOG)
            if not entry:
                return ""
            _, kind, oid = entry.partition("\t")[0].split(" ")
            if kind != "blob":
                return ""
            return git.text("cat-file", "blob", oid)
        except GitError as error:
            raise RemoteError(_unreadable(source, error, DEFAULT)) from None


def uvx_requirement(source: str, release: str) -> str:
    """Return what uvx --from needs for the toolkit of a release, as toolkit-host.sh does."""
    return f"git+{to_url(without_secret(source))}@{release}#subdirectory=toolkit"


def _unreadable(source: str, error: GitError, named_in: str) -> str:
    url = git_url(source)
    reason = without_secret(error.reason)
    if is_local_path(url) and not Path(url).exists():
        reason = "there is no such folder here"
    return (
        f"the template {without_secret(source)} cannot be read: {reason}; check the address in "
        f"{named_in}, the network, and that you may read it with git"
    )
