"""Attach build artifacts to a GitHub release, and read package lists from earlier releases."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from github import GithubException, UnknownObjectException
from github.GitRelease import GitRelease
from github.GitReleaseAsset import GitReleaseAsset
from github.Repository import Repository

from packer_toolkit.build.manifest import FILE as MANIFEST, RECONSTRUCTED
from packer_toolkit.build.report import FILE as REPORT
from packer_toolkit.errors import CommandFailedError, SetupError
from packer_toolkit.github.client import require_answer, translate_github_errors
from packer_toolkit.pipeline.artifacts import (
    BuildArtifacts,
    explain_unfinished,
    is_package_list,
)

_RELEASES = 10  # the most releases that are searched for package lists


@dataclass(frozen=True)
class AttachedFiles:
    """What was done with each file; `attach --json` prints it with these names.

    Attributes:
        url: URL of the release.
        attached: Files that the release did not have.
        replaced: Files that the release had with other content.
        same: Files that the release had already, and that were left alone.
    """

    url: str
    attached: list[str]
    replaced: list[str]
    same: list[str]


@dataclass(frozen=True)
class ReleasedPackages:
    """The packages of an earlier release.

    Attributes:
        tag: Tag of the release.
        packages: Lines of NAME VERSION, by architecture.
    """

    tag: str
    packages: Mapping[str, Sequence[str]]


def attach_artifacts(
    repository: Repository,
    tag: str,
    artifacts: BuildArtifacts,
    *,
    replace: bool,
    dry_run: bool = False,
) -> AttachedFiles:
    """Attach build artifacts to the release of a tag.

    A file that the release already has with the same content is left alone, so that a run that is
    started again succeeds.  A reconstructed manifest replaces no other manifest.

    Args:
        repository: The repository on GitHub.
        tag: Tag of the release.
        artifacts: The files.
        replace: Whether a file of the same name with other content is replaced.
        dry_run: Whether to change nothing, and to return what would be done.

    Raises:
        CommandFailedError: When the release does not exist or has another file of the same name,
            or when the manifest names images that are not finished.
        SetupError: When the files are from another version or image.
        RemoteError: When GitHub cannot be reached or refuses the request.
    """
    if reason := explain_unfinished(artifacts):
        raise CommandFailedError(
            f"version {tag}: {reason}; start the run of the release again, which finishes it"
        )
    with translate_github_errors(f"find the release {tag}"):
        try:
            release = repository.get_release(tag)
        except UnknownObjectException:
            raise CommandFailedError(
                f"the tag {tag} has no release: publish one, and start the run again"
            ) from None
        assets = {asset.name: asset for asset in release.get_assets()}
    require_version(artifacts, tag)
    files = AttachedFiles(release.html_url, [], [], [])
    # GitHub does not accept an empty file.
    for name, content in sorted(item for item in artifacts.files.items() if item[1]):
        with translate_github_errors(f"attach {name}"):
            old = assets.get(name)
            reconstructed = name == MANIFEST and artifacts.manifest.get(RECONSTRUCTED) is True
            if old and (reconstructed or _download(old) == content):
                files.same.append(name)
            elif old and not replace:
                raise CommandFailedError(
                    f"the release {tag} has another {name}, because this version was built before; "
                    "publish a new release, or give --replace"
                )
            else:
                if old and not dry_run:
                    old.delete_asset()
                if not dry_run:
                    _upload(release, name, content)
                (files.replaced if old else files.attached).append(name)
    return files


def require_version(artifacts: BuildArtifacts, tag: str) -> None:
    """Make sure that build artifacts are those of a release.

    Args:
        artifacts: The artifacts of the build.
        tag: Tag of the release, such as v1.2.3 for the version 1.2.3.

    Raises:
        SetupError: When a file names another version or image.
    """
    version = re.sub(r"^v(?=[0-9])", "", tag)
    sources = [(MANIFEST, entry["custom_data"]) for entry in artifacts.entries]
    sources.append((REPORT, artifacts.report))
    for key in ("version", "image_name"):
        values = {(file, str(data[key])) for file, data in sources if data.get(key)}
        expected = {version} if key == "version" else {value for _, value in values}
        others = [f"{file} names {value!r}" for file, value in sorted(values)
                  if value not in expected or len(expected) > 1]  # fmt: skip
        if others:
            raise SetupError(
                f"the build artifacts are not those of {tag}: as {key}, {', '.join(others[:4])}; "
                "attach the artifacts of the build of this tag"
            )


def find_last_packages(repository: Repository, *, before: str = "") -> ReleasedPackages | None:
    """Return the package lists of the newest release that has any.

    Args:
        repository: The repository on GitHub.
        before: Tag of a release that is ignored, because it is being built.

    Raises:
        RemoteError: When GitHub does not return them.
    """
    with translate_github_errors("read the package list of the last release"):
        for release in itertools.islice(repository.get_releases(), _RELEASES):
            if not release.draft and release.tag_name != before:
                assets = [asset for asset in release.get_assets() if is_package_list(asset.name)]
                if files := {asset.name: _download(asset) for asset in assets}:
                    return ReleasedPackages(release.tag_name, BuildArtifacts(files).packages)
    return None


def _download(asset: GitReleaseAsset) -> bytes:
    status, headers, chunks = asset.download_asset(chunk_size=64 * 1024)
    if status != 200:
        raise GithubException(status, {"message": f"no content of {asset.name}"}, headers)
    return b"".join(chunks)


def _upload(release: GitRelease, name: str, content: bytes) -> None:
    kind = "application/json" if name.endswith(".json") else "text/plain"
    asset = release.upload_asset_from_memory(
        io.BytesIO(content), len(content), name, content_type=kind
    )
    require_answer(f"attach {name}", asset.id)
