"""A release on GitHub, and the records of the image that was built from it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from github import GithubException, UnknownObjectException
from github.GitRelease import GitRelease
from github.GitReleaseAsset import GitReleaseAsset
from github.Repository import Repository

from packer_toolkit.build.report import FILE as REPORT
from packer_toolkit.errors import CommandFailedError, SetupError
from packer_toolkit.github.client import require_answer, speaking
from packer_toolkit.pipeline.artifacts import (
    FOUND_AGAIN,
    MANIFEST,
    Records,
    explain_unfinished,
    is_packages,
)

_RELEASES = 10  # that are looked at for the last list of packages


@dataclass(frozen=True)
class Attached:
    """What became of each file: attached, replaced, or there already."""

    url: str
    attached: list[str]
    replaced: list[str]
    same: list[str]


def attach(
    repository: Repository, tag: str, records: Records, *, replace: bool, dry_run: bool = False
) -> Attached:
    """Attach a build's records to the release of a tag.

    A file that is there already with the same content is left alone, so that a run that is started
    again ends well.  So is any manifest that is there, where the new one was only found again.

    Args:
        repository: on GitHub.
        tag: of the release.
        records: the files.
        replace: whether a file of the same name and another content goes.
        dry_run: whether nothing is written; what is returned is what would become of each file.

    Raises:
        CommandFailedError: when there is no such release, or another file of the same name, or when
            the manifest names images that are not finished.
        SetupError: when the files are of another version or image.
        RemoteError: when GitHub does not do it.
    """
    if reason := explain_unfinished(records):
        raise CommandFailedError(
            f"version {tag}: {reason}; start the run of the release again, which finishes it"
        )
    with speaking(f"find the release {tag}"):
        try:
            release = repository.get_release(tag)
        except UnknownObjectException:
            raise CommandFailedError(
                f"there is no release of the tag {tag}: publish one, and start the run again"
            ) from None
        there = {asset.name: asset for asset in release.get_assets()}
    require_version(records, tag)
    done = Attached(release.html_url, [], [], [])
    for name, content in sorted(records.files.items()):
        if not content:
            continue  # GitHub takes no empty file
        with speaking(f"attach {name}"):
            old = there.get(name)
            lesser = name == MANIFEST and records.manifest.get(FOUND_AGAIN) is True
            if old and (lesser or _content(old) == content):
                done.same.append(name)
                continue
            if old and not replace:
                raise CommandFailedError(
                    f"the release {tag} has another {name} already: this version was built before. "
                    "Publish a new release, or give --replace"
                )
            if old and not dry_run:
                old.delete_asset()
            if not dry_run:
                _upload(release, name, content)
            (done.replaced if old else done.attached).append(name)
    return done


def require_version(records: Records, tag: str) -> None:
    """Make sure that a build's records are those of a release.

    Args:
        records: of the build.
        tag: of the release, such as v1.2.3 for the version 1.2.3.

    Raises:
        SetupError: when a file names another version or image.
    """
    wanted = re.sub(r"^v(?=[0-9])", "", tag)
    builds = records.manifest.get("builds")
    facts = [
        build["custom_data"]
        for build in (builds if isinstance(builds, list) else [])
        if isinstance(build, dict) and isinstance(build.get("custom_data"), dict)
    ]
    for key in ("version", "image_name"):
        values = {(MANIFEST, str(fact[key])) for fact in facts if fact.get(key)}
        if records.report.get(key):
            values.add((REPORT, str(records.report[key])))
        expected = {wanted} if key == "version" else {value for _, value in values}
        others = [f"{file} names {value!r}" for file, value in sorted(values)
                  if value not in expected or len(expected) > 1]  # fmt: skip
        if others:
            raise SetupError(
                f"the build's files are not those of {tag}: as {key} {', '.join(others[:4])}; "
                "attach what the build of this tag wrote"
            )


def last_packages(repository: Repository, *, before: str = "") -> tuple[str, dict[str, list[str]]]:
    """Return the youngest release that has package lists, and these by architecture.

    Args:
        repository: on GitHub.
        before: a tag that does not count, because it is being built.
    """
    with speaking("read the package list of the last release"):
        for release in _published(repository):
            if release.tag_name == before:
                continue
            assets = [asset for asset in release.get_assets() if is_packages(asset.name)]
            if assets:
                files = {asset.name: _content(asset) for asset in assets}
                return release.tag_name, Records(files).packages
    return "", {}


def _published(repository: Repository) -> Iterator[GitRelease]:
    for number, release in enumerate(repository.get_releases()):
        if number >= _RELEASES:
            return
        if not release.draft:
            yield release


def _content(asset: GitReleaseAsset) -> bytes:
    status, headers, chunks = asset.download_asset(chunk_size=64 * 1024)
    if status != 200:
        raise GithubException(status, {"message": f"no content of {asset.name}"}, headers)
    return b"".join(chunks)


def _upload(release: GitRelease, name: str, content: bytes) -> None:
    kind = "application/json" if name.endswith(".json") else "text/plain"
    file = io.BytesIO(content)
    asset = release.upload_asset_from_memory(file, len(content), name, content_type=kind)
    require_answer(f"attach {name}", asset.id)
