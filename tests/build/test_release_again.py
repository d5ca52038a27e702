"""A release whose build was killed is started again, as the workflow does it: plan, then build."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.build.host import Host
from packer_toolkit.build.run import Run
from packer_toolkit.errors import RemoteError
from rig.aws.rig import Ec2, Finished, image_tags, run_tags
from rig.host.tools import Packer
from rig.iam.fixtures import RequireAllowed
from rig.repositories.repository import (
    TOOLKIT,
    manifest,
    small_repository,
    toolkit_build,
    toolkit_env,
)

TAG = {"GITHUB_EVENT_NAME": "release", "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.2.3"}
KILL = {"with_signal": signal.SIGKILL, "everything": True}


@dataclass
class Job:
    """The job "build" of the workflow, for the release v1.2.3."""

    ec2: Ec2
    packer: Packer
    repository: Path
    attempt: int = 0

    @property
    def run(self) -> dict[str, str]:
        """Return what the workflow tells each step about its run."""
        return {
            "GITHUB_RUN_ATTEMPT": str(self.attempt),
            "GITHUB_RUN_ID": "77",
            "PKR_VAR_run_id": f"77-{self.attempt}",
        }

    def plan(self, code: int = 0) -> dict[str, str]:
        """Start another attempt, and return the outputs of the plan."""
        self.attempt += 1
        env = {**toolkit_env(self.packer), **TAG, **self.run}
        done = self.ec2.run([*TOOLKIT, "plan"], cwd=self.repository, env=env)
        assert done.code == code, done.output
        return dict(line.split("=", 1) for line in done.output.splitlines() if "=" in line[:20])

    def build(self, *options: str, **more: Any) -> Finished:
        """Build as the step after the plan does."""
        env = {**self.run, "PKR_VAR_skip_create_ami": "false", "PKR_VAR_version": "1.2.3"}
        return toolkit_build(self.ec2, self.packer, self.repository, *options, env=env, **more)

    def images(self) -> dict[str, dict[str, str]]:
        """Return the run ID of each finished image by name and region; no other may exist."""
        found: dict[str, dict[str, str]] = {}
        for image in self.ec2.leftovers()["image"]:
            assert image["tags"]["ExpiresAt"] == "never"
            assert image["region"] not in found.setdefault(image["name"], {})
            found[image["name"]][image["region"]] = image["tags"]["RunId"]
        return found


@pytest.fixture
def job(ec2: Ec2, packer: Packer, template: Path, tmp_path: Path, request: Any) -> Job:
    """Return the job of a small repository, with the answers of the test's parameter."""
    answers = getattr(request, "param", {})
    repository = small_repository(template, tmp_path / "packer-ami-small", **answers)
    return Job(ec2, packer, repository)


COPIED = {"aws_copy_regions": "us-east-1"}
ENCRYPTED = {**COPIED, "aws_kms_key": "alias/packer-ami"}


@pytest.mark.parametrize(
    ("job", "kill"),
    [
        ({}, {"kill_at": "CreateImage", "kill_moment": "during"}),
        (ENCRYPTED, {"kill_at": "CreateImage", "kill_moment": "during"}),
        ({}, {"kill_at": "ModifyImageAttribute", "kill_moment": "during"}),
        (COPIED, {"kill_at": "CopyImage", "kill_moment": "during"}),
        (COPIED, {"kill_at": "CreateTags", "kill_nth": 2, "kill_moment": "during"}),
        (ENCRYPTED, {"kill_at": "CopyImage", "kill_nth": 2, "kill_moment": "during"}),
    ],
    indirect=["job"],
    ids=["creating", "creating to copy", "sharing", "copying", "tagging", "encrypting"],
)
def test_a_killed_release_is_built_again(
    job: Job, kill: dict[str, Any], require_allowed: RequireAllowed
) -> None:
    """After SIGKILL the next attempt finishes the version, nothing is left.

    The release role of Terraform allows each call.  (review C1, field 2)
    """
    start = len(job.ec2.calls())
    assert job.plan()["build"] == "true"
    assert job.build(**kill, **KILL).code == -signal.SIGKILL
    name = "small-1.2.3-x86_64"
    left = [image["id"] for image in job.ec2.leftovers()["image"] if image["name"] == name]
    outputs = job.plan()
    assert (outputs["build"], outputs["skip_create_ami"]) == ("true", "false")
    assert all(id_ in outputs["reason"] for id_ in left)
    done = job.build()
    assert done.code == 0, done.output
    for id_ in left:
        assert f"Unfinished: {name}, {id_}" in done.output
        assert f"deleted image {id_}" in done.output
    values = (job.repository / "image.auto.pkrvars.hcl").read_text()
    regions = {region for region in ("eu-west-1", "us-east-1") if region in values}
    assert job.images() == {name: dict.fromkeys(regions, "77-2")}
    assert set(manifest(job.repository)["x86_64"]) == regions
    assert set(job.ec2.leftovers()) == {"image", "snapshot"}
    assert len(job.ec2.leftovers()["snapshot"]) == len(regions)
    assert job.plan()["build"] == "false"
    require_allowed("small", "release", [call for call in job.ec2.calls() if call.n > start])


@pytest.mark.parametrize(
    "job", [{**COPIED, "image_architectures": ["x86_64", "arm64"]}], indirect=True
)
def test_an_architecture_that_is_missing_is_added(job: Job) -> None:
    """What is finished is kept, and the manifest names all images (review C1)."""
    job.plan()
    assert job.build("-only=amazon-ebs.x86_64").code == 0
    before = manifest(job.repository)["x86_64"]
    (job.repository / "manifest.json").unlink()
    assert "the build adds arm64" in job.plan()["reason"]
    done = job.build()
    assert done.code == 0, done.output
    assert "Version 1.2.3 is finished for x86_64: only arm64 is built" in done.output
    runs = {name: set(regions.values()) for name, regions in job.images().items()}
    assert runs == {"small-1.2.3-x86_64": {"77-1"}, "small-1.2.3-arm64": {"77-2"}}
    after = manifest(job.repository)
    assert after["x86_64"] == before
    assert set(after["arm64"]) == set(before) == {"eu-west-1", "us-east-1"}
    again = job.build()
    assert again.code == 1
    assert "version 1.2.3: it exists already" in again.output
    assert len(job.ec2.calls("RunInstances")) == 2
    assert job.plan()["build"] == "false"
    assert len(json.loads((job.repository / "manifest.json").read_text())["builds"]) == 2


def test_an_image_of_others_under_the_name_stays(job: Job) -> None:
    """Plan and build refuse it in one line before anything starts (review C1)."""
    foreign = job.ec2.add_image("small-1.2.3-x86_64", image_tags("packer-ami-other"))
    assert job.plan(code=1) == {}
    done = job.build()
    assert done.code == 1
    last = done.output.splitlines()[-1]
    assert last.startswith(f"packer-toolkit: small-1.2.3-x86_64: {foreign} in eu-west-1 has this")
    assert [image["id"] for image in job.ec2.leftovers()["image"]] == [foreign]
    assert not job.ec2.calls("RunInstances")


@pytest.mark.parametrize("job", [COPIED], indirect=True)
def test_a_region_that_cannot_be_asked_starts_nothing(job: Job) -> None:
    """Neither plan nor build decides anything then: exit code 4 (review C1)."""
    job.ec2.add_image("small-1.2.3-x86_64", run_tags("packer-ami-small"))
    job.ec2.fault("DescribeImages", "deny")
    assert job.plan(code=4) == {}
    done = job.build()
    assert done.code == 4, done.output
    assert "cannot list the images of the run 77-1: " in done.output.splitlines()[-1]
    assert len(job.ec2.leftovers()["image"]) == 1
    assert not job.ec2.calls("RunInstances")


def test_an_unfinished_image_that_cannot_be_deleted_stops_the_build(job: Job) -> None:
    """Packer could not use the name; the reason and the command are in one line (review C1)."""
    id_ = job.ec2.add_image("small-1.2.3-x86_64", run_tags("packer-ami-small"), state="pending")
    job.ec2.fault("DeregisterImage", "deny")
    job.plan()
    done = job.build()
    assert done.code == 4, done.output
    last = done.output.splitlines()[-1]
    assert f"{id_} in eu-west-1 belongs to an unfinished build of version 1.2.3" in last
    assert "UnauthorizedOperation" in last
    assert "packer-toolkit cleanup --run-id run-1" in last
    assert not job.ec2.calls("RunInstances")


PACKER = """\
#!{python}
import json, os, pathlib, sys, urllib.request
if sys.argv[1] != "build":
    os.execv("{packer}", ["packer", *sys.argv[1:]])
made = []
for order in json.loads(pathlib.Path("{orders}").read_text()):
    request = urllib.request.Request("{url}/_rig/add_image", json.dumps(order).encode())
    made.append(order["region"] + ":" + json.loads(urllib.request.urlopen(request).read()))
entry = {{"name": "image", "builder_type": "amazon-ebs", "artifact_id": ",".join(made),
         "packer_run_uuid": "u", "custom_data": {{"architecture": "x86_64"}}}}
manifest = {{"builds": [entry], "last_run_uuid": "u"}}
pathlib.Path("manifest.json").write_text(json.dumps(manifest))
"""


@pytest.fixture
def careless(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where to order the images of a Packer that succeeds whatever they are."""
    monkeypatch.setattr("packer_toolkit.build.manifest.VERIFY_PAUSES", (0.1,))
    orders = tmp_path / "orders.json"
    program = tmp_path / "bin/packer"
    program.parent.mkdir()
    text = PACKER.format(
        python=sys.executable, packer=job.packer.path, orders=orders, url=job.ec2.url
    )
    program.write_text(text)
    program.chmod(0o755)
    env = {**job.ec2.env, **toolkit_env(job.packer), "PKR_VAR_run_id": "run-1"}
    env["PATH"] = f"{program.parent}{os.pathsep}{env['PATH']}"
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(job.repository)
    return orders


def order(region: str, tags: dict[str, str], state: str = "available") -> dict[str, Any]:
    """Order an image of the version 1.2.3."""
    return {
        "region": region, "name": "small-1.2.3-x86_64", "tags": tags, "state": state,
        "created": "2026-11-01T08:00:00Z", "deprecated": None, "owner": None,
        "architecture": "x86_64", "snapshot": None, "snapshot_tags": None,
    }  # fmt: skip


@pytest.mark.parametrize("job", [COPIED], indirect=True)
def test_a_build_that_leaves_an_unfinished_image_fails(job: Job, careless: Path) -> None:
    """Packer's success is not enough: the images go as after a failed build (review C1)."""
    done = image_tags("packer-ami-small", "1.2.3")
    options = ("-var", "skip_create_ami=false", "-var", "version=1.2.3")
    lines: list[str] = []
    for copy, says in (
        (order("us-east-1", done, "pending"), "us-east-1, pending, ExpiresAt never, run run-1) is"),
        (order("us-east-1", run_tags("packer-ami-small")), "is not finished"),
        (order("eu-central-1", done), "the image for x86_64 is not in us-east-1"),
    ):
        careless.write_text(json.dumps([order("eu-west-1", done), copy]))
        report = Run(options, Host(lines.append, lines.append)).run()
        assert report["exit_code"] == 1
        assert says in report["last_lines"][-1]
        assert any(f"Verification failed: {report['last_lines'][-1]}" in line for line in lines)
        left = {image["region"] for image in job.ec2.leftovers().get("image", [])}
        assert left <= {"eu-central-1"}
        assert not (job.repository / "manifest.json").exists()
    careless.write_text(json.dumps([order(region, done) for region in ("eu-west-1", "us-east-1")]))
    assert Run(options, Host(lines.append, lines.append)).run()["exit_code"] == 0
    assert set(manifest(job.repository)["x86_64"]) == {"eu-west-1", "us-east-1"}


@pytest.mark.parametrize("job", [COPIED], indirect=True)
def test_images_that_cannot_be_verified_stay(job: Job, careless: Path) -> None:
    """Then the build does not succeed, and the next one finds them finished (review C1)."""
    tags = image_tags("packer-ami-small", "1.2.3")
    careless.write_text(json.dumps([order(region, tags) for region in ("eu-west-1", "us-east-1")]))
    job.ec2.fault("DescribeImages", "deny", at=5)  # four before the build
    options = ("-var", "skip_create_ami=false", "-var", "version=1.2.3")
    with pytest.raises(RemoteError, match=r"^the images were built, and cannot be verified: "):
        Run(options, Host(str, str)).run()
    assert len(job.ec2.leftovers()["image"]) == 2
    assert job.plan()["build"] == "false"
