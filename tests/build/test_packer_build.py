"""packer-build and packer-build-local build in the container: on EC2's interface, and on Docker."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from rig.aws.credentials import ACCOUNT, STATIC_SECRET
from rig.aws.rig import Ec2
from rig.docker.engine import DockerEngine
from rig.repositories.template import git, render
from rig.run.tasks import Tasks, says

VERSION = version("packer-toolkit")  # of the toolkit image, too

ROLE = f"arn:aws:iam::{ACCOUNT}:role/packer-ami-tess"


@pytest.fixture
def demo(template: Path, tmp_path: Path, tasks: Tasks, ec2: Ec2) -> Tasks:
    """Return the tasks of a repository with the demo, and an account to build in."""
    answers = {"image_name": "demo", "parent_image": "debian-12", "keep_demo": True,
               "aws_region": ec2.region, "aws_management_account": ACCOUNT}  # fmt: skip
    repository = render(template, tmp_path / "a team's répo" / "packer-ami-demo", answers)
    return Tasks(repository, {**tasks.env, **ec2.env})


def test_a_test_build_with_the_role_of_taskfile_local_yml(demo: Tasks, ec2: Ec2) -> None:
    """The whole demo, from a folder below; the role is assumed, and nothing is left."""
    local = demo.repository / "Taskfile.local.yml"
    example = (demo.repository / "Taskfile.local.yml.example").read_text()
    local.write_text(example.replace("AddYourRoleHere", ROLE))

    done = demo.run("packer-build", folder="inspec")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "test build, no image" in done.stdout
    who = re.search(r"AWS: .*packer-ami-tess.*", done.stdout)
    assert who, done.stdout[:2000]

    assumed = ec2.calls("AssumeRole")
    assert {call["RoleArn"] for call in assumed} == {ROLE}
    by_role = f"arn:aws:sts::{ACCOUNT}:assumed-role/packer-ami-tess/"
    assert ec2.call("RunInstances").principal.startswith(by_role)  # type: ignore[union-attr]
    others = {call.action for call in ec2.calls() if not (call.principal or "").startswith(by_role)}
    assert others == {"AssumeRole"}
    assert ec2.calls("CreateImage") == []
    assert ec2.leftovers() == {}

    # Reports are the repository's owner's, and git does not see them.
    report = json.loads((demo.repository / "build-report.json").read_text())
    assert (report["kind"], report["exit_code"], report["toolkit_version"]) == ("test", 0, VERSION)
    assert git(demo.repository, "status", "--porcelain") == ""
    assert STATIC_SECRET not in done.stdout + done.stderr


def test_an_image_only_when_asked_for(demo: Tasks, ec2: Ec2) -> None:
    """With the credentials as they are, and the options after --."""
    words = ("packer-build", "--", "-only=amazon-ebs.x86_64", "-var", "skip_create_ami=false",
             "-var", "version=1.2.3")  # fmt: skip
    done = demo.run(*words, env={"SOL_CET_USER_ROLE": ""})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    (image,) = ec2.images()
    assert image["Name"] == "demo-1.2.3-x86_64"
    assert ec2.calls("AssumeRole") == []
    manifest = json.loads((demo.repository / "manifest.json").read_text())
    assert manifest["builds"][0]["custom_data"]["version"] == "1.2.3"
    assert manifest["builds"][0]["custom_data"]["toolkit_version"] == VERSION


def test_a_failed_build_keeps_its_exit_code(tasks: Tasks, ec2: Ec2) -> None:
    """Through the container, toolkit.sh and Task."""
    script = tasks.repository / "provisioners/shell/10-fail.sh"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    done = tasks.run("packer-build", env={**ec2.env, "SOL_CET_USER_ROLE": "none"})
    assert done.returncode == 1
    assert "Script exited with non-zero exit status: 3" in done.stdout
    assert ec2.leftovers() == {}
    assert says(done)


def test_a_local_build_needs_no_aws(
    tasks: Tasks, docker_engine: DockerEngine, debian_12: str, tmp_path: Path
) -> None:
    """In the container, with the engine's socket; no role, no credentials, nothing left but it."""
    del debian_12
    try:
        done = tasks.run("packer-build-local", env={"TMPDIR": str(tmp_path)})
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        images = docker_engine.docker("images", "--quiet", "packer-ami-small:local").stdout
        assert images
        (folder,) = tmp_path.glob("packer-toolkit-*")
        assert list(folder.iterdir()) == []
        report = json.loads((tasks.repository / "build-report.json").read_text())
        assert report["kind"] == "local"
    finally:
        docker_engine.docker("rmi", "--force", "packer-ami-small:local", check=False)
