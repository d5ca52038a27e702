"""Refuses a build whose image could not be shared because of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packer_toolkit.build.values import Values
from packer_toolkit.errors import SetupError

if TYPE_CHECKING:
    from packer_toolkit.aws.session import Clients

_CONSUMERS = ("var.ami_users", "var.ami_org_arns", "var.ami_ou_arns")
_KEYS = "local.kms_key_ids"
# The key that AWS manages for the volumes of an account; other accounts cannot use it.
_MANAGED = "alias/aws/ebs"


def require_shareable_keys(values: Values, clients: Clients) -> None:
    """Make sure that no image that is shared is encrypted with a key that AWS manages.

    EC2 refuses that only when the image is finished.  Without a key in the HCL, EC2 uses the
    default key of the account, which other accounts may be able to use; if EC2 does not return it,
    the build continues.

    Args:
        values: Values of the HCL.
        clients: Returns the EC2 client of a region.

    Raises:
        SetupError: If the image could not be shared.
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
                "as alias/packer-ami, or do not share the image"
            )


def _read_default_key(client: Any) -> str:
    """Return the default key of the account for volumes; empty if EC2 refuses the call."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(client.get_ebs_default_kms_key_id()["KmsKeyId"])
    except (BotoCoreError, ClientError):
        return ""
