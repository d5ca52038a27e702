"""Build artifacts are attached to a release of a GitHub in memory, and read from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from github_fakes import FakeRelease, FakeRepository

from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.releases import (
    AttachedFiles,
    ReleasedPackages,
    attach_artifacts,
    find_last_packages,
)
from rig.repositories.build_reports import build_report

REPORT = json.dumps(build_report(ok=True)).encode()
FILES = {"build-report.json": REPORT, "manifest.json": b"{}", "packages-arm64.txt": b""}


def attach(repository: Any, files: dict[str, bytes] = FILES, **options: bool) -> AttachedFiles:
    """Attach files to the release v1.2.3."""
    options = {"replace": False, **options}
    return attach_artifacts(repository, "v1.2.3", BuildArtifacts(files), **options)


def make_repository(**files: bytes) -> FakeRepository:
    """Return a repository with the release v1.2.3 that has a manifest, if one is given."""
    repository = FakeRepository()
    named = {f"{name}.json": content for name, content in files.items()}
    repository.releases.append(FakeRelease("v1.2.3", named))
    return repository


def test_files_are_attached_once() -> None:
    """Empty files are left out, and the second time all files are there."""
    repository = make_repository()
    files = attach(repository)
    assert files.attached == ["build-report.json", "manifest.json"]
    assert repository.releases[0].files == {"build-report.json": REPORT, "manifest.json": b"{}"}
    assert attach(repository) == AttachedFiles(files.url, [], [], files.attached)


def test_other_files_are_replaced_on_request() -> None:
    """A file with other content is an error without --replace, and --dry-run changes nothing."""
    repository = make_repository(manifest=b"older")
    with pytest.raises(CommandFailedError, match=r"has another manifest\.json"):
        attach(repository)
    assert attach(repository, replace=True, dry_run=True).replaced == ["manifest.json"]
    assert repository.releases[0].files["manifest.json"] == b"older"
    assert attach(repository, replace=True).replaced == ["manifest.json"]
    assert repository.releases[0].files["manifest.json"] == b"{}"


def test_reconstructed_manifest_replaces_nothing() -> None:
    """The manifest that the build wrote has more information."""
    repository = make_repository(manifest=b"older")
    manifest = {"manifest.json": b'{"found_again": true}'}
    assert attach(repository, manifest, replace=True).same == ["manifest.json"]


def test_missing_release_is_an_error() -> None:
    """Nothing is created for a tag without a release."""
    with pytest.raises(CommandFailedError, match=r"the tag v1\.2\.3 has no release: publish one"):
        attach(FakeRepository())


@pytest.mark.parametrize(
    ("report", "manifest", "error"),
    [
        ({"version": "9"}, {}, "as version, build-report.json names '9'"),
        ({}, {"version": "1.2.4"}, "as version, manifest.json names '1.2.4'"),
        ({}, {"image_name": "x"}, "as image_name, build-report.json names 'web-server', manifest"),
    ],
)
def test_files_of_another_build_are_refused(
    report: dict[str, str], manifest: dict[str, str], error: str
) -> None:
    """Version and image of all files are those of the tag."""
    files = {
        "build-report.json": json.dumps(build_report(ok=True, **report)).encode(),
        "manifest.json": json.dumps({"builds": ["odd", {"custom_data": manifest}]}).encode(),
    }
    with pytest.raises(SetupError, match=error):
        attach(make_repository(), files)


def test_unfinished_images_are_not_attached() -> None:
    """The artifacts of a failed build belong to no release."""
    files = {"build-report.json": json.dumps(build_report(ok=False)).encode()}
    with pytest.raises(CommandFailedError, match="failed with exit code 1; start the run of the"):
        attach(make_repository(), files)


def test_packages_of_the_last_release_are_found() -> None:
    """Drafts, the release that is being built and releases without lists are ignored."""
    repository: Any = FakeRepository()
    assert find_last_packages(repository) is None
    repository.releases = [FakeRelease(f"v{number}", {}) for number in range(4)]
    lists = {"packages-x86_64.txt": b"bash 5\n", "manifest.json": b"{}"}
    for number in (0, 2, 3):
        repository.releases[number] = FakeRelease(f"v{number}", lists)
    repository.releases[2].draft = True
    assert find_last_packages(repository, before="v3") == ReleasedPackages(
        "v0", {"x86_64": ["bash 5"]}
    )
    repository.releases[0].assets[0].status = 404
    with pytest.raises(
        RemoteError, match=r"cannot read the package list .* no content of packages"
    ):
        find_last_packages(repository, before="v3")
