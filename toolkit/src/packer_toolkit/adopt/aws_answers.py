"""Find the answers about AWS: region, copies, consumers, key, roles and accounts."""

from __future__ import annotations

import re

from packer_toolkit.adopt.ci_config import CiConfig
from packer_toolkit.adopt.source_values import SourceValues


def find_aws(values: SourceValues, ci_config: CiConfig) -> None:
    """Find region, copies, consumers, key, roles and accounts.

    Args:
        values: Of the sources; get the answers.
        ci_config: The CI and task configuration.
    """
    found = values.found
    regions = values.keep_supported(values.list_known("region", "ami_region"))
    values.add_common("aws_region", regions, str)
    found.add_value("aws_region", ci_config.region)
    region = found.answers.get("aws_region")
    copies = values.list_items("ami_regions")
    others = [item for item, _ in copies if not region or item != region.value]
    if others:
        found.add("aws_copy_regions", ", ".join(others), copies[0][1])
    consumers = values.list_items("ami_users", "ami_org_arns", "ami_ou_arns")
    if consumers:
        names = ", ".join(item for item, _ in consumers)
        found.add("image_consumers", names, consumers[0][1])
    for item, place in values.list_items("ami_groups"):
        if item == "all":
            found.notes.append(
                f"the image is public ({place}); the template shares with names only"
            )
    keys = values.list_known("kms_key_id", "launch_block_device_mappings.kms_key_id")
    values.add_common("aws_kms_key", keys, _drop_default_key)
    found.add_value("aws_build_role", ci_config.role)
    # Without another role, the role of releases built everything.
    question = "aws_release_role" if ci_config.role else "aws_build_role"
    found.add_value(question, ci_config.release_role)
    found.add_value("toolkit_image", ci_config.toolkit)
    found.add_value("personal_role_variable", ci_config.role_variable)
    roles = values.keep_supported(values.list_known("assume_role.role_arn"))
    for value in (
        found.answers.get("aws_build_role"),
        *roles[:1],
        found.answers.get("toolkit_image"),
        found.answers.get("aws_kms_key"),
    ):
        if value and (account := re.search(r"\d{12}", str(value.value))):
            found.add("aws_management_account", account[0], value.place)


def _drop_default_key(key: str) -> str:
    """Return a KMS key; "" for the default key of the account, which is not an answer."""
    return "" if key.startswith("alias/aws/") else key
