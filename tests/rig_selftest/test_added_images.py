"""Images that no build made can be set up in one line each."""

from __future__ import annotations

from rig.aws import Ec2, image_tags, run_tags

REPOSITORY = "packer-ami-web"


def test_images_of_any_state_and_date_are_set_up(ec2: Ec2) -> None:
    """EC2 shows the state, tags, dates, owner and region that a test asked for (issue 11)."""
    name = "web-1.0.0-x86_64"
    asked = {
        ec2.add_image(name, run_tags(REPOSITORY), state="pending"): ("pending", "run-1"),
        ec2.add_image(name, run_tags(REPOSITORY), state="failed"): ("failed", "run-1"),
        ec2.add_image(name, run_tags(REPOSITORY, RunId=None)): ("available", None),
        ec2.add_image(name): ("available", None),
        ec2.add_image(name, image_tags(REPOSITORY), deprecated="2026-02-01T00:00:00.000Z"): (
            "available",
            "run-1",
        ),
    }
    ec2.add_image(name, image_tags(REPOSITORY), region="us-east-1")
    foreign = ec2.add_image(name, owner="222233334444", created="2001-02-03T04:05:06Z")
    shown = {}
    for image in ec2.images():
        tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}
        shown[image["ImageId"]] = (image["State"], tags.get("RunId"))
    assert shown == asked
    (image,) = ec2.client().describe_images(Owners=["222233334444"])["Images"]
    assert (image["ImageId"], image["CreationDate"]) == (foreign, "2001-02-03T04:05:06.000Z")
    assert len(ec2.leftovers()["image"]) == len(ec2.leftovers()["snapshot"]) == 7


def test_an_image_that_was_set_up_boots(ec2: Ec2) -> None:
    """A build can start from it, as from any base image (issue 11)."""
    with ec2.boot(ec2.add_image("base-1", image_tags("packer-ami-base"))) as instance:
        assert ec2.ssh(instance, "admin", "true").code == 0
