"""Only what a build writes is taken from a bundle or a folder, and published."""

from __future__ import annotations

import base64
import json
import lzma
from collections.abc import Mapping
from pathlib import Path

import pytest

from packer_toolkit.errors import SetupError
from packer_toolkit.pipeline.artifacts import (
    find_file_error,
    pack_artifacts,
    read_artifacts,
    unpack_artifacts,
)
from rig.github import Repository
from rig.repositories.build_reports import build_report
from rig.run.toolkit_process import Toolkit

MANIFEST = b'{"builds": []}'
DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def bundle(files: Mapping[str, bytes | str]) -> str:
    """Return a bundle with any names and contents."""
    texts = {name: text if isinstance(text, str) else text.decode() for name, text in files.items()}
    return base64.b64encode(lzma.compress(json.dumps(texts).encode())).decode()


BAD_NAMES = [
    *("install.sh", "../../x", "Source code.zip", "Manifest.json", "manifest.json.sig", ""),
    *("/etc/passwd", "packages-.txt", "packages-x86_64.txt.sh", "packages-i386.txt", "a\nb"),
    *("packages-../x.txt", "packages-x86_64.txt\n", "build-report.json/x", "packages-ARM64.txt"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("command", ["attach", "report"])
def test_other_names_are_refused_and_nothing_is_uploaded(
    toolkit: Toolkit, hub: Repository, name: str, command: str
) -> None:
    """A bundle with another name is refused in one line that names it (review C14)."""
    hub.add_release("v1.2.3")
    line = bundle({"manifest.json": MANIFEST, name: "x"})
    done = toolkit.run(command, code=3, GITHUB_REF_NAME="v1.2.3", PACKER_BUILD_BUNDLE=line)
    assert repr(name) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not any(release["assets"] for release in hub.releases)
    with pytest.raises(SetupError):
        unpack_artifacts(line)


BAD_JSON = {
    "deep": (DEEP, "nested too deeply"),
    "not JSON": (b"hello", "not valid JSON"),
    "truncated": (b'{"builds": [', "not valid JSON"),
    "NaN": (b'{"seconds": NaN}', "NaN"),
    "infinity": (b'{"seconds": -Infinity}', "Infinity"),
    "twice": (b'{"a": 1, "a": 2}', "twice"),
    "list": (b"[]", "not an object"),
    "text": (b'"x"', "not an object"),
    "null": (b"null", "not an object"),
    "empty": (b"", "not valid JSON"),
    "byte order mark": (b"\xef\xbb\xbf{}", "not valid JSON"),
    "Latin-1": (b'{"a": "\xe4"}', "not UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "half a pair": (b'{"a": "\\ud800"}', "surrogate"),
    "long number": (b'{"a": ' + b"1" * 5000 + b"}", "not valid JSON"),
    "large": (b'{"a": "' + b"x" * 17_000_000 + b'"}', "too large"),
}


@pytest.mark.parametrize("name", ["manifest.json", "build-report.json"])
@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_one_line(toolkit: Toolkit, hub: Repository, name: str, case: str) -> None:
    """JSON that is not valid is refused in one line, in a folder and in a bundle (review C14)."""
    content, reason = BAD_JSON[case]
    hub.add_release("v1.2.3")
    (toolkit.directory / "manifest.json").write_bytes(MANIFEST)
    (toolkit.directory / name).write_bytes(content)
    done = toolkit.run("attach", "--tag=v1.2.3", code=3)
    assert name in done.stderr
    assert reason in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    for words in (("bundle",), ("summary",), ("report", "--outcome=failure", "--dry-run")):
        done = toolkit.run(*words)
        assert "Traceback" not in done.stderr
        warnings = [line for line in done.stderr.splitlines() if reason in line]
        assert len(warnings) == 1
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(SetupError, match=r"refused|cannot be read"):
        unpack_artifacts(bundle({"manifest.json": MANIFEST, name: text}))


@pytest.mark.parametrize(
    "line",
    [
        "not base64!", "aGVsbG8=", base64.b64encode(lzma.compress(DEEP)).decode(),
        base64.b64encode(lzma.compress(b"[" * 100_000)).decode(),
        base64.b64encode(lzma.compress(b'{"manifest.json": 1}')).decode(),
        base64.b64encode(lzma.compress(b'{"manifest.json": "\\ud800"}')).decode(),
        base64.b64encode(lzma.compress(b" " * 100_000_000)).decode(),
        base64.b64encode(lzma.compress(b"[]")).decode(), "ä",
    ],
    ids=range(9),
)  # fmt: skip
@pytest.mark.parametrize("command", ["attach", "report"])
def test_a_bundle_that_is_something_else_is_one_line(
    toolkit: Toolkit, line: str, command: str
) -> None:
    """Whatever stands in place of a bundle, there is no traceback (review C14)."""
    done = toolkit.run(command, "--outcome=failure" if command == "report" else "--tag=v1",
                       code=3, PACKER_BUILD_BUNDLE=line)  # fmt: skip
    assert "the packed build artifacts cannot be read" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_files_that_are_links_are_not_published(
    toolkit: Toolkit, hub: Repository, tmp_path: Path
) -> None:
    """A link in the place of a file leads to nothing that is read or uploaded (review C14)."""
    hub.add_release("v1.2.3")
    secret = tmp_path / "credentials"
    secret.write_text("aws_secret_access_key invented\n")
    (toolkit.directory / "manifest.json").write_bytes(MANIFEST)
    (toolkit.directory / "packages-x86_64.txt").symlink_to(secret)
    (toolkit.directory / "packages-arm64.txt").mkdir()
    done = toolkit.run("attach", "--tag=v1.2.3", code=3)
    assert "'packages-x86_64.txt' is not a regular file" in done.stderr
    packed = unpack_artifacts(toolkit.run("bundle").stdout.strip().partition("=")[2])
    assert list(packed.files) == ["manifest.json"]


@pytest.mark.parametrize("content", [b"\x7fELF\x00", b"\xff\xfe", b"name\x1b[31m 1\n", b"a\rb 1\n"])
def test_a_package_list_is_printable_text(content: bytes) -> None:
    """A program or another file is not taken for a list of packages (review C14)."""
    assert find_file_error("packages-arm64.txt", content)
    assert not find_file_error(
        "packages-arm64.txt", "bash 5.2\nlibä:amd64 1\n\nno-version \n".encode()
    )


def test_files_with_other_names_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    """Only the three kinds of names are read from a folder (review C14)."""
    for name in ("manifest.json", "packages-local.txt", "packages-other.txt", "install.sh"):
        (tmp_path / name).write_bytes(MANIFEST)
    assert sorted(read_artifacts(tmp_path).files) == ["manifest.json", "packages-local.txt"]


def test_what_a_build_writes_is_attached(toolkit: Toolkit, hub: Repository) -> None:
    """Manifest, report and every list of packages arrive as they are (review C14)."""
    hub.add_release("v1.2.3")
    files = {
        "manifest.json": json.dumps({"builds": [entry("1.2.3", "web-server")]}).encode(),
        "build-report.json": json.dumps(build_report(ok=True)).encode(),
        "packages-x86_64.txt": b"bash 5.2\n",
        "packages-arm64.txt": b"bash 5.3\n",
    }
    for name, content in files.items():
        (toolkit.directory / name).write_bytes(content)
    line = pack_artifacts(read_artifacts(toolkit.directory))
    toolkit.run("attach", "--tag=v1.2.3", PACKER_BUILD_BUNDLE=line)
    assert {name: hub.asset("v1.2.3", name) for name in files} == files


def entry(version: str, image_name: str) -> dict[str, object]:
    """Return an entry of a manifest."""
    return {"custom_data": {"version": version, "image_name": image_name}}


@pytest.mark.parametrize(
    ("manifest", "report", "names"),
    [
        (entry("1.2.4", "web-server"), {}, "'1.2.4'"),
        (entry("1.2.3", "other"), {}, "'other'"),
        (entry("1.2.3", "web-server"), {"version": "9"}, "'9'"),
    ],
)
def test_files_of_another_version_or_image_are_refused(
    toolkit: Toolkit,
    hub: Repository,
    manifest: dict[str, object],
    report: dict[str, str],
    names: str,
) -> None:
    """A manifest that is not that of the tag is not attached to it (review C14)."""
    hub.add_release("v1.2.3")
    (toolkit.directory / "manifest.json").write_text(json.dumps({"builds": [manifest]}))
    (toolkit.directory / "build-report.json").write_text(
        json.dumps(build_report(ok=True, **report))
    )
    done = toolkit.run("attach", "--tag=v1.2.3", code=3)
    assert names in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
