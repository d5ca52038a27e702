"""docs/pipeline.md has the policies that a KMS key needs, and they fit the list of actions."""

from __future__ import annotations

import json
import re
from typing import Any

from rig.repositories.template import ROOT

CONDITION = {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def statements() -> list[list[dict[str, Any]]]:
    """Return the policies in the section about keys: of the role, then of the key."""
    text = (ROOT / "docs/pipeline.md").read_text()
    section = text.partition("\n### KMS keys\n")[2].partition("\n### When a role")[0]
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", section, re.S)]
    return [block for block in blocks if isinstance(block, list)]


def test_the_policies_allow_what_the_list_names() -> None:
    """The policy of the role and that of the consumers allow exactly the listed actions.

    kms:CreateGrant has the condition that the grant is for a resource of AWS.  (review R4)
    """
    listed = [
        line
        for line in (ROOT / "docs/aws-actions-kms.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert listed == sorted({
        "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*",
    })  # fmt: skip
    role, consumers = statements()
    for policy in (role, consumers):
        allowed = []
        for statement in policy:
            actions = statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            allowed += actions
            if "kms:CreateGrant" in actions:
                assert actions == ["kms:CreateGrant"]
                assert statement["Condition"] == CONDITION
        assert sorted(allowed) == listed
    assert all("Principal" in statement for statement in consumers)


def test_the_page_names_what_a_shared_image_needs() -> None:
    """The page names organizations, organizational units and the alias in copy regions.

    (review R4)
    """
    text = (ROOT / "docs/pipeline.md").read_text()
    section = text.partition("\n### KMS keys\n")[2].partition("\n### When a role")[0]
    for word in ("aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "create-alias", "copy region"):
        assert word in section
