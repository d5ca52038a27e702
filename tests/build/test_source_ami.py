"""The source AMI of a build is finished, and not an image of the same repository."""

from __future__ import annotations

from pathlib import Path

from rig.aws import Ec2, image_tags, run_tags
from rig.host.tools import Packer
from rig.repositories.repository import build, small_repository, toolkit_build

OWN = {
    "parent_image": "own",
    "parent_owner": "self",
    "parent_name": "base-*",
    "parent_os": "debian-12",
}


def test_an_own_base_image_is_finished(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """A build takes the newest finished image and reports the newer ones (review C1)."""
    repository = small_repository(template, tmp_path / "packer-ami-small", **OWN)
    done = image_tags("packer-ami-base")
    good = ec2.add_image("base-1-x86_64", done, created="2026-11-01T00:00:00Z")
    killed = ec2.add_image(
        "base-2-x86_64", run_tags("packer-ami-base"), created="2026-11-02T00:00:00Z"
    )
    own = ec2.add_image(
        "base-3-x86_64", image_tags("packer-ami-small"), created="2026-11-03T00:00:00Z"
    )
    ec2.add_image("base-4-x86_64", done, state="pending", created="2026-11-04T00:00:00Z")
    ec2.add_image("base-5-x86_64", done, state="failed", created="2026-11-05T00:00:00Z")
    built = toolkit_build(ec2, packer, repository)
    assert built.code == 0, built.output
    assert ec2.call("RunInstances")["ImageId"] == good
    assert f"ami-{killed[4:]} (base-2-x86_64) is unfinished" in built.output
    assert f"ami-{own[4:]} (base-3-x86_64) is an image of this repository" in built.output
    # Packer alone does not see tags, but the states.
    ec2.fault("RunInstances", "deny")
    assert build(ec2, packer, repository, "-var", "skip_create_ami=true").code == 1
    assert ec2.calls("RunInstances")[-1]["ImageId"] == own
