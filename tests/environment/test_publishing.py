"""The workflow that publishes the image is one that the linters and our own rules pass."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from rig.docker.toolkit_image import versions
from rig.host import tools

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).parents[2]
WORKFLOW = CHECKOUT / ".github" / "workflows" / "publish-toolkit.yml"
DIGEST = f"sha256:{'a1' * 32}"
COMMIT = "c0" * 20


def load(name: str) -> ModuleType:
    """Import a script of the image's folder."""
    spec = importlib.util.spec_from_file_location(
        name, CHECKOUT / "toolkit" / "image" / f"{name}.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "command",
    [["actionlint", "-no-color"], ["zizmor", "--offline", "--persona=pedantic", "--quiet"]],
    ids=["actionlint", "zizmor"],
)
def test_linter_finds_nothing(command: list[str]) -> None:
    """With no rule switched off."""
    program, *options = command
    done = subprocess.run(
        [tools.require(program), *options, WORKFLOW], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_actions_are_pinned_and_scripts_are_short() -> None:
    """A tag can be moved to anything; more than five lines of shell are a program in hiding."""
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"], name
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            assert len(step.get("run", "").splitlines()) <= 5
            assert "${{" not in step.get("run", ""), "expressions reach scripts through env"
    pins = re.findall(r"uses: \S+@(\S+)(.*)", WORKFLOW.read_text())
    assert pins
    assert all(re.fullmatch(r" # v[\d.]+", comment) for _, comment in pins)


def test_it_publishes_what_was_scanned_with_sbom_and_provenance() -> None:
    """Scan before push, the same arguments for both, and the digest that was pushed is signed."""
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["publish"]["steps"]
    scan, scanned, pushed = (
        next(i for i, step in enumerate(steps) if sign in str(step))
        for sign in ("anchore/scan-action", "packer-toolkit:scan", "'push': True")
    )
    assert scanned < scan < pushed
    push = steps[pushed]["with"]
    assert push["sbom"] is True
    assert push["provenance"] == "mode=max"
    assert set(push["platforms"].split(",")) == {"linux/amd64", "linux/arm64"}
    assert push["build-args"] == steps[scanned]["with"]["build-args"]
    assert not re.search(r"cache-(from|to)", WORKFLOW.read_text()), "what is released is built anew"
    assert steps[-1]["run"] == 'cosign sign --yes "$IMAGE@$DIGEST"'


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a docker on PATH that knows a digest; return the file that it answers with."""
    answer = tmp_path / "answer"
    answer.write_text(f"{DIGEST}\n")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\ncat {answer}\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=os.pathsep)
    return answer


SCRIPT = CHECKOUT / "toolkit" / "image" / "build_arguments.py"


def arguments(version: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run the script that the workflow takes the build arguments from."""
    return subprocess.run(
        [sys.executable, script, version], capture_output=True, text=True, check=False
    )


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return a copy of the script, beside a versions.env in which every image has a digest."""
    copy = tmp_path / "toolkit" / "image" / SCRIPT.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(SCRIPT.read_bytes())
    lines = (CHECKOUT / "toolkit" / "versions.env").read_text().splitlines()
    pinned = [f"{x}@{DIGEST}" if "_IMAGE=" in x and "@" not in x else x for x in lines]
    (tmp_path / "toolkit" / "versions.env").write_text("\n".join(pinned))
    return copy


def test_build_arguments_are_all_versions_each_image_with_a_digest(
    registry: Path, script: Path
) -> None:
    """The arguments are what versions.env says, and no registry is asked (review R22)."""
    done = arguments(versions()["TOOLKIT_VERSION"], script)
    assert done.returncode == 0, done.stderr
    first, begin, *pins, end = done.stdout.splitlines()
    assert first == f"version={versions()['TOOLKIT_VERSION']}"
    assert (begin, end) == ("arguments<<END", "END")
    given = dict(pin.split("=", 1) for pin in pins)
    pinned = versions()["CINC_IMAGE"]
    assert given == versions() | {
        "CINC_IMAGE": pinned if "@" in pinned else f"{pinned}@{DIGEST}",
    }
    assert not (registry.parent / "calls").exists()


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("CINC_IMAGE", "cincproject/auditor:7.2.1"),
        ("BASE_IMAGE", "debian"),
        ("UV_IMAGE", "ghcr.io/astral-sh/uv"),
        ("PACKER_IMAGE", f"hashicorp/packer@{DIGEST}"),
        ("PACKER_IMAGE", "hashicorp/packer:1.16.0@sha256:123"),
        ("PACKER_IMAGE", f"hashicorp/packer:1.16.0@{DIGEST}0"),
        ("UV_IMAGE", f"localhost:5000/uv@{DIGEST}"),
    ],
)
def test_an_image_without_a_digest_is_not_built(
    registry: Path, script: Path, name: str, image: str
) -> None:
    """Nothing is published of a tag that can be moved; the line to write is printed.

    The digest in it is what the registry has at the time (review R22).
    """
    file = script.parents[1] / "versions.env"
    text = re.sub(rf"^{name}=.*$", f"{name}={image}", file.read_text(), flags=re.M)
    file.write_text(text)
    done = arguments(versions()["TOOLKIT_VERSION"], script)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    tag = image.partition("@")[0]
    assert line.startswith(f"{name} is {image}: it must have a tag and a digest")
    assert line.endswith(f"write into toolkit/versions.env: {name}={tag}@{DIGEST}")


@pytest.mark.parametrize("answer", ["", "ERROR: not found", "sha256:123"])
def test_a_registry_without_an_answer_is_not_trusted(
    registry: Path, script: Path, answer: str
) -> None:
    """What is no digest does not reach the line that is printed (review R22)."""
    registry.write_text(answer)
    file = script.parents[1] / "versions.env"
    file.write_text(file.read_text().replace(f"auditor:7.2.1@{DIGEST}", "auditor:7.2.1"))
    done = arguments(versions()["TOOLKIT_VERSION"], script)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("CINC_IMAGE=cincproject/auditor:7.2.1@DIGEST\n")


@pytest.mark.parametrize("version", ["9.9.9", "toolkit-v1.0.0", "v1.0.0", ""])
def test_another_version_is_refused(version: str) -> None:
    """The input and versions.env name the same version, or nothing is built."""
    done = arguments(version)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{version!r} is not the version of toolkit/versions.env; give " in done.stderr


def test_publishing_makes_no_git_tag() -> None:
    """Publishing starts without a tag or release, and makes none (field 3)."""
    text = WORKFLOW.read_text()
    workflow = yaml.safe_load(text)
    assert list(workflow[True]) == ["workflow_dispatch"]
    assert not re.search(r"git tag|gh release|refs/tags|tag_name|--tags", text)
    for page in ("docs/toolkit.md", "docs/releasing.md"):
        assert "toolkit-v" not in (CHECKOUT / page).read_text()
    checkout, *_ = workflow["jobs"]["publish"]["steps"]
    assert "ref" not in checkout["with"], "the labels name the commit that was checked out"
    assert "REVISION=${{ github.sha }}" in text
    assert '"$GITHUB_SHA"' in text.partition("image/pin.py")[2].splitlines()[0]


def test_the_digest_gets_into_the_template(tmp_path: Path) -> None:
    """And nothing else of the file changes."""
    file = CHECKOUT / "includes" / "toolkit.jinja"
    before = file.read_text()
    after = load("pin").replace_pins(before, "1.2.3", DIGEST, COMMIT)
    assert 'toolkit_version = "1.2.3"' in after
    assert f'toolkit_digest = "{DIGEST}"' in after
    assert f'toolkit_commit = "{COMMIT}"' in after
    changed = [
        (old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True)
        if old != new
    ]  # fmt: skip
    assert len(changed) == 3


@pytest.mark.parametrize(
    ("version", "digest", "commit"),
    [
        ("1.2", DIGEST, COMMIT),
        ("1.2.3", "sha256:12", COMMIT),
        ("1.2.3", DIGEST, "main"),
        ("", "", ""),
    ],
)
def test_what_is_no_version_or_digest_is_not_pinned(version: str, digest: str, commit: str) -> None:
    """An empty output of a step must not empty the template's pin."""
    with pytest.raises(SystemExit, match="is no"):
        load("pin").replace_pins(
            (CHECKOUT / "includes/toolkit.jinja").read_text(), version, digest, commit
        )


def test_the_key_is_hashicorps() -> None:
    """Its fingerprint is the one that https://www.hashicorp.com/trust/security names."""
    import base64
    import hashlib

    text = (CHECKOUT / "toolkit" / "image" / "hashicorp.asc").read_text()
    body = text.partition("\n\n")[2].partition("\n=")[0]
    data = base64.b64decode(body)
    # The first packet is the key itself: an old header with two octets of length, RFC 9580, 4.2.2.
    assert data[0] == 0x99
    length = int.from_bytes(data[1:3], "big")
    fingerprint = hashlib.sha1(data[: 3 + length]).hexdigest().upper()  # noqa: S324 - version 4
    assert fingerprint == "C874011F0AB405110D02105534365D9472D7468F"
