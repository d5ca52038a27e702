"""What goes wrong between two accounts fails with the message that docs/accounts.md explains."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rig import CHECKOUT
from rig.aws import Ec2
from rig.aws.credentials import ACCOUNT
from rig.terraform.accounts import (
    CONSUMER,
    HOME,
    Root,
    accept_shares,
    create_share,
    create_shared_key,
    publish_image,
    release_image,
)
from rig.terraform.programs import TerraformError

ACCOUNTS = {"consumer_account_id": CONSUMER, "owner_account_id": ACCOUNT}


def read_messages() -> list[str]:
    """Return the messages in the table of failures, in its order."""
    page = (CHECKOUT / "docs" / "accounts.md").read_text()
    section = page.partition("\n## When Terraform fails\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(.+?)` \|", section, re.M)


def plan_and_fail(root: Root) -> str:
    """Plan a configuration that must fail, and return the output on one line."""
    root.run("init")
    with pytest.raises(TerraformError) as error:
        root.run("plan", **ACCOUNTS)
    return " ".join(re.sub(r"^[│╷╵]", "", str(error.value), flags=re.M).split())


def find_row(output: str) -> int:
    """Return the number of the row whose message the output contains."""
    rows = [
        number
        for number, message in enumerate(read_messages(), 1)
        if re.search(re.sub(r"[A-Z]{2,}_?[A-Z]*", r"\\S+", re.escape(message)), output)
    ]
    assert len(rows) == 1, output
    return rows[0]


def publish(ec2: Ec2, principal: str = CONSUMER) -> None:
    """Release an image for an account, and publish it to the stage dev."""
    key = create_shared_key(ec2, HOME)
    images = release_image(ec2, "1.0.0", key, principal, [HOME])
    publish_image(ec2, images, {HOME: create_share(ec2, HOME)})


def test_image_that_was_never_published(ec2: Ec2, open_root: Callable[[str], Root]) -> None:
    """A stage without an image names the parameter that is missing."""
    output = plan_and_fail(open_root("image"))
    assert find_row(output) == 1
    assert f":{ACCOUNT}:parameter/packer-ami/web/x86_64/dev" in output


def test_invitation_that_was_not_accepted(ec2: Ec2, open_root: Callable[[str], Root]) -> None:
    """A published image whose share is not accepted fails in the same way, until it is."""
    publish(ec2)
    image = open_root("image")
    assert find_row(plan_and_fail(image)) == 1
    accept_shares(ec2, HOME)
    assert "+ image_id" in image.run("plan", **ACCOUNTS)


def test_image_that_is_not_shared(ec2: Ec2, open_root: Callable[[str], Root]) -> None:
    """An image that is shared with another account only is named, with the possible reasons."""
    publish(ec2, principal="333344445555")
    accept_shares(ec2, HOME)
    assert find_row(plan_and_fail(open_root("image"))) == 2


def test_key_in_another_region(ec2: Ec2, open_root: Callable[[str], Root]) -> None:
    """A region without the key is named by the ARN that was looked for."""
    create_shared_key(ec2, HOME)
    output = plan_and_fail(open_root("account"))
    assert find_row(output) == 3
    assert f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/packer-ami" in output
    assert f"reading KMS Key (arn:aws:kms:{HOME}" not in output


def test_key_that_is_not_shared(ec2: Ec2, open_root: Callable[[str], Root]) -> None:
    """A key whose policy does not name the account is refused."""
    for region in (HOME, "eu-west-1"):
        alias = create_shared_key(ec2, region)
        kms = ec2.client("kms", region_name=region)
        key = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
        policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        kms.put_key_policy(
            KeyId=key, PolicyName="default", Policy=policy.replace(CONSUMER, "333344445555")
        )
    assert find_row(plan_and_fail(open_root("account"))) == 4


def test_expired_credentials(ec2: Ec2, open_root: Callable[[str], Root]) -> None:
    """Expired credentials are named as such, before anything is read."""
    ec2.expire_key()
    output = plan_and_fail(open_root("image"))
    assert find_row(output) == 5
    assert ec2.calls("GetParameter") == []
