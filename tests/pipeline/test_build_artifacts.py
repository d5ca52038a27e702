"""Build artifacts are read, checked, packed and unpacked without a program or a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.errors import SetupError
from packer_toolkit.pipeline.artifacts import (
    BuildArtifacts,
    explain_unfinished,
    find_file_error,
    pack_artifacts,
    read_artifacts,
    require_valid_files,
    unpack_artifacts,
    warn_about_rejected,
)
from rig.repositories.build_reports import build_report


def make_artifacts(**files: Any) -> BuildArtifacts:
    """Return artifacts with a manifest and a report; keyword arguments replace their values."""
    report = {**build_report(ok=True), **files.get("report", {})}
    manifest = {"last_run_uuid": "2", **files.get("manifest", {})}
    return BuildArtifacts(
        {
            "build-report.json": json.dumps(report).encode(),
            "manifest.json": json.dumps(manifest).encode(),
        }
    )


def make_entry(architecture: str | None, artifact: str, **values: Any) -> dict[str, Any]:
    """Return an entry of a manifest."""
    data = {"architecture": architecture} if architecture else None
    entry = {"builder_type": "amazon-ebs", "packer_run_uuid": "2", "name": "x86_64"}
    return {**entry, "artifact_id": artifact, "custom_data": data, **values}


def test_files_of_a_build_are_read(tmp_path: Path) -> None:
    """Report, manifest and package lists are read, and files of other names are ignored."""
    (tmp_path / "build-report.json").write_text(json.dumps(build_report(ok=True)))
    (tmp_path / "manifest.json").write_text('{"builds": []}')
    (tmp_path / "packages-x86_64.txt").write_text("vim 9\n\nbash 5\n")
    (tmp_path / "packages-other.txt").write_text("x")
    artifacts = read_artifacts(tmp_path)
    assert sorted(artifacts.files) == ["build-report.json", "manifest.json", "packages-x86_64.txt"]
    assert artifacts.report["image_name"] == "web-server"
    assert artifacts.manifest == {"builds": []}
    assert artifacts.packages == {"x86_64": ["bash 5", "vim 9"]}
    assert unpack_artifacts(pack_artifacts(artifacts)) == artifacts


def test_report_may_be_elsewhere(tmp_path: Path) -> None:
    """The report of another folder is read under its usual name."""
    report = tmp_path / "other.json"
    report.write_text(json.dumps(build_report(ok=True)))
    assert list(read_artifacts(tmp_path / "missing", report).files) == ["build-report.json"]


def test_files_that_are_not_valid_are_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rejected file is named in a warning of one line, or is an error."""
    (tmp_path / "manifest.json").write_text("oops")
    (tmp_path / "packages-local.txt").symlink_to("/etc/hostname")
    artifacts = warn_about_rejected(read_artifacts(tmp_path))
    assert artifacts.files == {}
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("warning: manifest.json is not valid JSON (")
    assert lines[1] == "warning: packages-local.txt is not a regular file: it is ignored"
    with pytest.raises(SetupError, match=r"'manifest\.json' is not valid JSON"):
        require_valid_files(artifacts.rejected)


def test_many_rejected_files_are_counted() -> None:
    """An error names five files at most."""
    require_valid_files({})
    with pytest.raises(SetupError, match="'4' x and 2 more; build again"):
        require_valid_files({str(number): "x" for number in range(7)})


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b'{"a": 1}', ""),
        (b"[]", "it is not an object"),
        (b'{"a": NaN}', "NaN is not a number of JSON"),
        (b'{"a": 1, "a": 2}', "it has a key twice"),
        (b'{"a": "\\ud800"}', "it has half of a surrogate pair"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "it is nested too deeply"),
        (b'{"a": "\xe4"}', "is not UTF-8"),
        (b'{"a": "' + b"x" * 17_000_000 + b'"}', "is too large"),
    ],
    ids=range(8),
)
def test_json_is_read_strictly(content: bytes, error: str) -> None:
    """A file that another reader could understand differently is not valid."""
    assert error in find_file_error("manifest.json", content)
    assert bool(find_file_error("manifest.json", content)) == bool(error)


def test_other_names_and_unprintable_lists_are_not_valid() -> None:
    """A build writes no other file, and package names are printable."""
    assert find_file_error("x.sh", b"") == "is not a file that a build writes"
    assert find_file_error("packages-arm64.txt", b"a\x1b[1m") == "is not a list of packages"
    assert find_file_error("packages-arm64.txt", b"a 1\n") == ""


def test_unknown_reports_are_empty() -> None:
    """A report of another schema or shape, and a file that is not JSON, count as missing."""
    assert make_artifacts(report={"schema": 2}).report == {}
    assert make_artifacts(report={"builds": [None]}).report == {}
    assert BuildArtifacts({"build-report.json": b"{", "manifest.json": b"["}).report == {}
    assert BuildArtifacts().manifest == {}


def test_empty_line_has_no_artifacts() -> None:
    """A job that did not run has an empty output."""
    assert unpack_artifacts(" \n") == BuildArtifacts()
    with pytest.raises(SetupError, match="pass the output of `packer-toolkit pipeline pack`"):
        unpack_artifacts("oops")
    with pytest.raises(SetupError, match=r"'x\.sh' is not a file that a build writes"):
        unpack_artifacts(pack_artifacts(BuildArtifacts({"x.sh": b"echo"})))


X86 = make_entry("x86_64", "eu-west-1:ami-1,us-east-1:ami-2")


@pytest.mark.parametrize(
    ("builds", "reason"),
    [
        ([X86], ""),
        ([X86, make_entry(None, "x", builder_type="docker")], ""),
        ([X86, make_entry("arm64", "", packer_run_uuid="1")], ""),
        ("oops", ""),
        ([make_entry(None, "")], "manifest.json names no image for x86_64"),
        (
            [X86, make_entry("arm64", "eu-west-1:ami-3")],
            "manifest.json names no image for arm64 in us-east-1",
        ),
    ],
)
def test_unfinished_images_are_explained(builds: Any, reason: str) -> None:
    """Each architecture of the last build needs an image in each region."""
    assert explain_unfinished(make_artifacts(manifest={"builds": builds})) == reason


def test_manifest_of_a_failed_build_is_unfinished() -> None:
    """A report of a failed build decides, unless the manifest was reconstructed."""
    failed = {"report": {"exit_code": 1}, "manifest": {"builds": [X86]}}
    assert explain_unfinished(make_artifacts(**failed)).endswith("failed with exit code 1")
    failed["manifest"]["found_again"] = True
    assert explain_unfinished(make_artifacts(**failed)) == ""
