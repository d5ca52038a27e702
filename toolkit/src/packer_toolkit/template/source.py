"""The template's releases: list and clone them, and find the one that a repository is at."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.addresses import build_url, expand_address, is_local_path, remove_secrets
from packer_toolkit.git.command import Git, GitError, limit_query, limit_transfer
from packer_toolkit.repository.answers_file import DEFAULT

# What git describe prints for a commit after a release.
_DESCRIBED = re.compile(r"(?P<tag>.+)-(?P<commits>[0-9]+)-g(?P<commit>[0-9a-f]{4,64})\Z")
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_FULL_VERSION = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+")


@dataclass(frozen=True, order=True)
class TemplateRelease:
    """A release of the template.

    Attributes:
        version: Its version, by which releases are ordered.
        tag: Its tag.
    """

    version: Version
    tag: str


def parse_version(text: str) -> Version | None:
    """Return the version of a tag, or of a commit after it; None when it is not a version.

    Versions are read as Copier does, by PEP 440; a commit after a release is newer than it.
    """
    after = _DESCRIBED.match(text)
    with suppress(InvalidVersion):
        return Version(f"{Version(after['tag'])}.post{after['commits']}" if after else text)
    return None


def is_release(recorded: str) -> bool:
    """Check whether a recorded release is a release, and not a commit after one."""
    return not _DESCRIBED.match(recorded)


def describe_up_to_date(recorded: str, wanted: str | None = None) -> str:
    """Return the line for the user when there is nothing to update.

    Args:
        recorded: The release that the repository is at.
        wanted: The release that the user asked for; None for the newest.
    """
    if wanted:
        return f"This repository is at {recorded} already."
    relation = "is" if is_release(recorded) else "is newer than"
    return f"Up to date: {recorded} {relation} the template's newest release."


def list_tags(source: str, named_in: str = DEFAULT, most: float | None = None) -> dict[str, str]:
    """Return the tags of a template, annotated ones too, and the commit of each.

    Args:
        source: The template's address.
        named_in: The file where the user can fix the address.
        most: Upper limit of git's time in seconds; git does not ask for a password then.

    Raises:
        RemoteError: Git cannot read it.
    """
    listing = ["ls-remote", "--tags", "--", expand_address(source)]
    try:
        lines = limit_query(Git(Path.cwd()), most).text(*listing).splitlines()
    except GitError as error:
        raise RemoteError(explain_unreadable(source, error, named_in)) from None
    # The commit of an annotated tag has a line of its own, below that of the tag: NAME^{}.
    return {
        name.removeprefix("refs/tags/").removesuffix("^{}"): commit
        for commit, _, name in (line.partition("\t") for line in lines)
    }


def sort_releases(tags: Iterable[str]) -> list[TemplateRelease]:
    """Return the releases among tags, prereleases too, oldest first.

    Tags such as 20270131 and v1 are versions as well, but releases only where none is like v1.0.0.
    """
    versions = {tag: parse_version(tag) for tag in tags if is_release(tag)}
    releases = [TemplateRelease(version, tag) for tag, version in versions.items() if version]
    return sorted([item for item in releases if _FULL_VERSION.match(item.tag)] or releases)


def list_releases(source: str, named_in: str = DEFAULT) -> list[TemplateRelease]:
    """Return the releases of a template, oldest first; see `list_tags` and `sort_releases`."""
    return sort_releases(list_tags(source, named_in))


def match_release(recorded: str, tags: Mapping[str, str]) -> str | None:
    """Return the release of a recorded version, by the template's tags alone.

    Copier records `git describe --tags`, which may name another tag of the release's commit.

    Args:
        recorded: A tag, a tag with the commits after it, or a commit.
        tags: The template's tags, and the commit of each.

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
    """Return the release of a recorded version.

    The template is read only where the recorded version is not the plain name of a release.

    Args:
        source: The template's address.
        recorded: What Copier recorded: a tag, a tag with the commits after it, or a commit.
        named_in: The answers file.

    Returns:
        A tag, or a tag with the commits after it; the recorded version where it is neither a tag
        nor a commit of the template.

    Raises:
        SetupError: It is a commit that the template does not have.
        RemoteError: Git cannot read the template.
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
    return _describe_commit(source, commit, recorded, nearest or "", named_in)


def _describe_commit(source: str, commit: str, recorded: str, nearest: str, named_in: str) -> str:
    """Return the nearest release before a commit, with the number of commits after it."""
    # Commits alone are small, whatever the template's files are.
    with open_history(source, named_in, "--filter=tree:0") as git:
        if git.run("cat-file", "-e", f"{commit}^{{commit}}").returncode:
            if not nearest:
                return recorded
            raise SetupError(
                f"_commit of {named_in} is {recorded}, a commit that the template does not have "
                "(it contained uncommitted or unpublished changes); set it to the release "
                f"before that commit, such as {nearest}, and commit that"
            )
        process = git.run("describe", "--tags", "--match=v[0-9]*.[0-9]*.[0-9]*", commit)
        return os.fsdecode(process.stdout).strip() or recorded


@contextmanager
def open_history(source: str, named_in: str, *options: str) -> Iterator[Git]:
    """Clone a template into a temporary folder, or use the repository on this machine.

    Args:
        source: The template's address.
        named_in: The file where the user can fix the address.
        options: Further options of git clone.

    Yields:
        Git in the repository.

    Raises:
        RemoteError: Git cannot read the template.
    """
    url = expand_address(source)
    if Path(url).is_dir():
        yield limit_transfer(Git.open_repository(Path(url).absolute()))
        return
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as folder:
        git = Git(Path(folder))
        try:
            limit_transfer(git).text("clone", "--quiet", "--bare", *options, "--", url, ".")
        except GitError as error:
            raise RemoteError(explain_unreadable(source, error, named_in)) from None
        # A partial clone may have to fetch more.
        yield limit_transfer(Git.open_repository(Path(folder)))


def clone_template(source: str, folder: Path) -> Path:
    """Clone a template, with all of its branches and tags.

    The clone is made with the user's own access, so that rendering needs no access.  None of the
    template's code runs: nothing is checked out, and a clone has no hooks.

    Args:
        source: The template's address.
        folder: Where the clone goes; does not exist.

    Returns:
        The folder: a bare repository, which does not record the template's address.

    Raises:
        RemoteError: Git cannot read the template.
    """
    clone = ["clone", "--quiet", "--bare", "--template=", "-o", "origin"]
    try:
        limit_transfer(Git(Path.cwd())).text(*clone, "--", expand_address(source), str(folder))
        # The address may hold a password.
        Git.open_repository(folder).text("remote", "remove", "origin")
    except GitError as error:
        raise RemoteError(
            f"the template {remove_secrets(source)} cannot be fetched: "
            f"{remove_secrets(error.reason)}; check the network, and that you may read it with git"
        ) from None
    return folder


def find_newest_release(source: str, named_in: str = DEFAULT) -> TemplateRelease:
    """Return the newest release of a template; a prerelease is not one.

    Args:
        source: The template's address.
        named_in: The file where the user can fix the address.

    Raises:
        RemoteError: Git cannot read it, or it has no release.
    """
    releases = [item for item in list_releases(source, named_in) if not item.version.is_prerelease]
    if not releases:
        address = remove_secrets(source)
        raise RemoteError(
            f"the template {address} has no release yet: no tag such as v1.0.0; check the address "
            f"in {named_in}"
        )
    return releases[-1]


def find_release(source: str, tag: str, named_in: str = DEFAULT) -> TemplateRelease:
    """Return the release of a tag, with or without its v.

    Args:
        source: The template's address.
        tag: The tag.
        named_in: The file where the user can fix the address.

    Raises:
        SetupError: There is no such release.
        RemoteError: Git cannot read the template.
    """
    releases = list_releases(source, named_in)
    for release in releases:
        if release.tag in (tag, f"v{tag}"):
            return release
    latest = ", ".join(release.tag for release in releases[:-4:-1]) or "none"
    raise SetupError(
        f"the template has no release {tag}; its newest are {latest}; name one with --vcs-ref"
    )


def require_version(recorded: str, named_in: str = DEFAULT) -> Version:
    """Return the version of a recorded release.

    Args:
        recorded: The release.
        named_in: The answers file.

    Raises:
        SetupError: It is not a version.
    """
    version = parse_version(recorded)
    if version is None:
        raise SetupError(
            f"_commit of {named_in} is {recorded}, which is not a release of the template "
            "(was it created from a checkout without tags?); set it to the release that this "
            "repository was created from, such as v1.0.0, and commit that"
        )
    return version


def format_uvx_requirement(source: str, release: str) -> str:
    """Return the argument of uvx --from for the toolkit of a release, as toolkit-host.sh does."""
    return f"git+{build_url(remove_secrets(source))}@{release}#subdirectory=toolkit"


def explain_unreadable(source: str, error: GitError, named_in: str) -> str:
    """Return why a template cannot be read, in one line.

    Args:
        source: The template's address.
        error: Git's error.
        named_in: The file where the user can fix the address.
    """
    url = expand_address(source)
    reason = remove_secrets(error.reason)
    if is_local_path(url) and not Path(url).exists():
        reason = "the folder does not exist"
    return (
        f"the template {remove_secrets(source)} cannot be read: {reason}; check the address in "
        f"{named_in}, the network, and that you may read it with git"
    )
