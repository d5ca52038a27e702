"""The linters find nothing in the Dockerfile, and nothing is switched off for them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rig.docker import toolkit_image as image
from rig.docker.engine import DockerEngine, DockerError
from rig.host import tools
from rig.host.machine import HOST_ENV

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).parents[2]
DOCKERFILE = CHECKOUT / "toolkit" / "Dockerfile"


def hadolint(file: Path) -> str:
    """Return what hadolint finds."""
    command = [tools.require("hadolint"), "--config", os.devnull, "--disable-ignore-pragma", file]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def checkov(file: Path) -> list[str]:
    """Return the ids of the checks that fail."""
    done = subprocess.run(
        [tools.checkov(), "--file", file, "--framework", "dockerfile", "--output", "json",
         "--skip-download"],
        env={**HOST_ENV, "CHECKOV_RUN_SCA_PACKAGE_SCAN_V2": "false"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] + report["summary"]["failed"] > 50, "it looked at it"
    assert not report["results"]["skipped_checks"]
    return [each["check_id"] for each in report["results"]["failed_checks"]]


def test_hadolint_finds_nothing() -> None:
    """Not even where a comment says that it should not look."""
    assert hadolint(DOCKERFILE) == ""


def test_checkov_finds_nothing() -> None:
    """No check is skipped."""
    assert checkov(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param("USER 1000:0\n", "", "CKV_DOCKER_8 CKV_DOCKER_3", id="root"),
        pytest.param('"git=1:${GIT}"', "git", "DL3008", id="any-git"),
    ],
)
def test_they_would_find_something(tmp_path: Path, old: str, new: str, found: str) -> None:
    """A linter that is blind passes everything."""
    text = DOCKERFILE.read_text()
    assert old in text
    worse = tmp_path / "Dockerfile"
    worse.write_text(text.replace(old, new))
    findings = hadolint(worse) if found.startswith("DL") else " ".join(checkov(worse))
    assert any(each in findings for each in found.split()), findings


@pytest.mark.parametrize("gem", ["ed25519", "bcrypt_pbkdf", "docker"])
def test_an_auditor_without_a_gem_that_it_connects_with_is_refused(
    gem: str, docker_engine: DockerEngine, toolkit_image: str, tmp_path: Path
) -> None:
    """The image is not built from an auditor whose Ruby lacks a gem to connect with (inspec 3)."""
    assert toolkit_image  # this build has the same layers up to the auditor
    arguments = image.build_arguments(docker_engine, tmp_path, without_gem=gem)
    with pytest.raises(DockerError, match=f"CINC_IMAGE: its Ruby has no gem {gem}, so"):
        image.build(docker_engine, image.write_context(tmp_path / "context"), "none", arguments)
