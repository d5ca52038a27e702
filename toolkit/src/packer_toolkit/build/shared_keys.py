"""Keeps a build from creating an image that cannot be shared because of its key."""

from __future__ import annotations

from typing import Any

from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import Clients
from packer_toolkit.errors import SetupError

_CONSUMERS = ("var.ami_users", "var.ami_org_arns", "var.ami_ou_arns")
_KEYS = "local.kms_key_ids"
# The key that AWS manages for the volumes of an account; nobody else can use it.
_MANAGED = "alias/aws/ebs"


def require_shareable_keys(values: Values, clients: Clients) -> None:
    """Make sure that no image that is shared is encrypted with a key that AWS manages.

    EC2 refuses it only when the image is finished.  Without a key in the HCL, the default key of
    the account counts, which may be one that can be shared; where EC2 does not answer, the build
    continues.

    Args:
        values: Of the HCL.
        clients: Returns EC2's client of a region.

    Raises:
        SetupError: When the image could not be shared.
    """
    if _KEYS not in values.raw or not any(values.texts(name) for name in _CONSUMERS):
        return
    keys = values.table(_KEYS)
    for region in values.regions:
        key = keys.get(region) or _read_default_key(clients(region))
        if key.endswith(_MANAGED):
            raise SetupError(
                f"kms_key_id: an image that is encrypted with {_MANAGED} in {region} cannot be "
                "shared; set kms_key_id in image.auto.pkrvars.hcl to a customer managed key, such "
                "as alias/packer-ami, or share with no account"
            )


def _read_default_key(client: Any) -> str:
    """Return the account's default key for volumes; empty when EC2 refuses the question."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(client.get_ebs_default_kms_key_id()["KmsKeyId"])
    except (BotoCoreError, ClientError):
        return ""
