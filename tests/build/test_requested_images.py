"""A build makes the images that were requested, and keeps them; its output shows no private key."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rig.aws.rig import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import (
    add_script,
    build_report,
    manifest,
    small_repository,
    toolkit_build,
)
from rig.repositories.template import git

IMAGE = ("-var", "skip_create_ami=false", "-var", "version=1.2.3")
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock"}


@pytest.fixture
def both(template: Path, tmp_path: Path) -> Path:
    """Return a repository of two architectures that builds in seconds."""
    architectures = {"image_architectures": ["x86_64", "arm64"]}
    return small_repository(template, tmp_path / "packer-ami-small", **architectures)


def test_except_narrows_the_builds_on_ec2(ec2: Ec2, packer: Packer, both: Path) -> None:
    """-except leaves an architecture out, and no local build joins or fails (field 7)."""
    done = toolkit_build(ec2, packer, both, *IMAGE, "-except=amazon-ebs.arm64", env=NO_ENGINE)
    assert done.code == 0, done.output
    assert "docker.local" not in done.output
    assert set(manifest(both)) == {"x86_64"}
    assert set(ec2.leftovers()) == {"image", "snapshot"}
    assert [build["name"] for build in build_report(both)["builds"]] == ["amazon-ebs.x86_64"]


def test_a_local_build_that_fails_deletes_no_finished_image(
    ec2: Ec2, packer: Packer, both: Path
) -> None:
    """An image stays when only a local build of the run failed, and the log names it (field 7)."""
    done = toolkit_build(
        ec2, packer, both, *IMAGE, "-only=*", "-except=*.arm64", env=NO_ENGINE
    )  # fmt: skip
    assert done.code == 1, done.output
    (image,) = ec2.leftovers()["image"]
    kept = re.search(
        rf"Retained: image {image['id']} in eu-west-1 .* delete it with: (.*)", done.output
    )
    assert kept
    assert "--finished-images" in kept[1]
    assert "deleted image" not in done.output
    builds = {build["name"]: build for build in build_report(both)["builds"]}
    assert [each["id"] for each in builds["amazon-ebs.x86_64"]["images"]] == [image["id"]]
    assert not builds["docker.local"]["ok"]


def test_a_selection_of_nothing_is_one_line(ec2: Ec2, packer: Packer, both: Path) -> None:
    """Where -except leaves nothing, nothing is started, and the builds are named (field 7)."""
    done = toolkit_build(ec2, packer, both, "-except=amazon-ebs.*", env=NO_ENGINE)
    assert done.code == 3, done.output
    (line,) = done.output.strip().splitlines()
    builds = "amazon-ebs.arm64, amazon-ebs.x86_64, docker.local"
    assert f"select no build; existing builds: {builds}" in line
    assert ec2.calls("RunInstances") == []


@pytest.mark.parametrize("words", [(), ("-machine-readable",), ("-on-error=ask",), ("-debug",)])
def test_an_adopted_repository_makes_no_image_by_default(
    ec2: Ec2, packer: Packer, both: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """HCL that does not declare skip_create_ami is not built without a request (adopt 1)."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "image.pkr.hcl").write_text(
        (both / "versions.pkr.hcl").read_text()
        + """
source "amazon-ebs" "image" {
  ami_name      = "shop-web-{{timestamp}}"
  region        = "eu-west-1"
  instance_type = "t3.micro"
  communicator  = "none"
  source_ami_filter {
    filters     = { name = "debian-12-*", architecture = "x86_64" }
    owners      = ["136693071363"]
    most_recent = true
  }
}

build {
  sources = ["source.amazon-ebs.image"]
}
"""
    )
    done = toolkit_build(ec2, packer, own, *words)
    assert done.code == 3, done.output
    (line,) = done.output.strip().splitlines()
    assert "amazon-ebs.image would create an image that was not requested" in line
    assert "image.pkr.hcl" in line
    assert ec2.calls("RunInstances") == []
    assert ec2.calls("CreateImage") == []
    if not words:
        done = toolkit_build(ec2, packer, own, "-var", "skip_create_ami=false")
        assert done.code == 0, done.output
        assert ec2.calls("CreateImage")


def test_a_committed_value_requests_no_image(ec2: Ec2, packer: Packer, both: Path) -> None:
    """An auto file with skip_create_ami=false still makes a test build, and says so (adopt 1)."""
    with (both / "image.auto.pkrvars.hcl").open("a") as values:
        values.write("skip_create_ami = false\n")
    done = toolkit_build(ec2, packer, both, "-except=*.arm64")
    assert done.code == 0, done.output
    assert "skip_create_ami is true for this build" in done.output
    assert build_report(both)["kind"] == "test"
    assert ec2.calls("CreateImage") == []


@pytest.mark.parametrize("env", [{}, {"GITHUB_ACTIONS": "true"}])
def test_a_key_that_a_script_prints_is_masked(
    ec2: Ec2, packer: Packer, both: Path, env: dict[str, str]
) -> None:
    """Neither the log, with colors or without, nor the report holds a line of it (review C9)."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")
    script = (
        "ssh-keygen -q -t ed25519 -N '' -f /tmp/k; echo before; cat /tmp/k; sed 's/^/+ /' /tmp/k"
    )
    add_script(
        both, "10-key.sh", script, "cat /tmp/k >&2; base64 -w0 </tmp/k; echo; echo after", "exit 3"
    )
    git(both, "add", "--all")
    done = toolkit_build(ec2, packer, both, "-only=amazon-ebs.x86_64", env=env)
    assert done.code == 1, done.output
    report = (both / "build-report.json").read_text()
    for text in (done.output, report):
        assert "before" in text
        assert "after" in text
        assert "***" in text
        assert "b3BlbnNzaC1rZXktdjE" not in text  # how every key of OpenSSH begins
        assert not re.search(r"[A-Za-z0-9+/]{60,}", text.replace("/", " "))
        # Where the streams of a script interleave, an END may come without its BEGIN: it is not
        # secret, and what is published needs it to find the key.
        assert "PRIVATE KEY" not in re.sub("-+END [A-Z ]*PRIVATE KEY-+", "", text)
