"""The real AWS provider applies both modules, to two accounts and two regions of the rig."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rig.aws import Ec2
from rig.aws.credentials import ACCOUNT
from rig.terraform.accounts import (
    CONSUMER,
    COPY,
    HOME,
    Root,
    consumer_client,
    list_resources,
    publish_image,
    release_image,
    withdraw_image,
)


# The minutes that OpenTofu takes for the same are not worth it for each pull request.
@pytest.mark.parametrize(
    "terraform", ["terraform", pytest.param("tofu", marks=pytest.mark.scheduled)], indirect=True
)
def test_modules_are_applied_and_destroyed(ec2: Ec2, open_root: Callable[[str], Root]) -> None:
    """A released image runs in the other account; second plans are empty, and nothing remains."""
    assert list_resources(ec2) == []
    builder, consumer = open_root("builder"), open_root("consumer")
    builder.apply(consumer_account_id=CONSUMER)
    outputs = builder.read_outputs()
    shares = outputs["resource_share_arns"]
    images = release_image(ec2, "1.0.0", outputs["kms_alias"])
    publish_image(ec2, images, shares["web"])

    accepted = [arn for regions in shares.values() for arn in regions.values()]
    variables = {
        "consumer_account_id": CONSUMER,
        "owner_account_id": ACCOUNT,
        "resource_share_arns": accepted,
    }
    consumer.apply(**variables)
    assert consumer.read_outputs()["image_ids"] == images
    for region in (HOME, COPY):
        found = consumer_client(ec2, "ec2", region).describe_instances()
        (instance,) = [each for group in found["Reservations"] for each in group["Instances"]]
        assert (instance["ImageId"], instance["State"]["Name"]) == (images[region], "running")

    consumer.run("destroy", "-auto-approve", **variables)
    withdraw_image(ec2, images)
    builder.run("destroy", "-auto-approve", consumer_account_id=CONSUMER)
    assert list_resources(ec2) == []
