"""The policies of Terraform contain the actions that docs/ list, read from the source alone."""

from __future__ import annotations

import re

import pytest

from rig import CHECKOUT
from rig.iam.listed_actions import DEPENDENT, OF_TASKS, PUSH, read_list

MODULES = CHECKOUT / "terraform/ami-builder/modules"
SWEEP = read_list("-sweep")
KEYS = read_list("-kms")
PULL = {action for action in DEPENDENT if action.startswith("ecr:")}
# The roles are assumed with OIDC, so no credentials assume a second role.
BUILD = (read_list("") | read_list("-settings")) - {"sts:AssumeRole"}

EXPECTED = {
    "image-policies/cleanup.tf": SWEEP,
    "image-policies/build.tf": (BUILD - SWEEP) | KEYS | {"ec2:CreateTags", "iam:PassRole"},
    "image-policies/release.tf": (read_list("-release") - SWEEP) | {"ec2:CreateTags"},
    "image-policies/toolkit.tf": PULL | {"ec2:*", "ssm:*"},  # these two are denied
    "publisher-role/main.tf": PULL | PUSH.keys(),
    "personal-role/main.tf": OF_TASKS | {"sts:AssumeRole"},
}


@pytest.mark.parametrize("file", EXPECTED)
def test_policies_contain_the_listed_actions(file: str) -> None:
    """Each file of policies names the actions of its lists in docs/, and no others."""
    lists = re.findall(r"actions += \[(.*?)\]", (MODULES / file).read_text(), re.DOTALL)
    assert {*re.findall(r'"(.+?)"', "".join(lists))} == EXPECTED[file]


def test_dependent_actions_of_keys_are_listed() -> None:
    """The actions of KMS without recorded calls are those of docs/aws-actions-kms.txt."""
    assert {action for action in DEPENDENT if action.startswith("kms:")} == KEYS
