"""Who may use what belongs to another account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from moto.organizations.models import organizations_backends

from rig.iam.policy import Request, decide


def find_organization(account: str) -> Any:
    """Return the organization that an account is a member of, or None."""
    owner, partition = organizations_backends.master_accounts.get(account, (account, "aws"))
    return organizations_backends[owner][partition].org


def is_shared_with(principals: list[str], account: str) -> bool:
    """Return whether one of the principals is an account or its organization.

    Args:
        principals: Account IDs, and ARNs of organizations.
        account: ID of the account.
    """
    organization = find_organization(account)
    return account in principals or (organization is not None and organization.arn in principals)


def key_policy_allows(
    key: Any, account: str, action: str, context: Mapping[str, str | Sequence[str]]
) -> bool:
    """Return whether the policy of a KMS key lets another account call an action.

    The IAM policies of that account are not part of the decision; the rig evaluates none.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html

    Args:
        key: The key of moto.
        account: ID of the caller's account.
        action: Such as kms:CreateGrant.
        context: Values of the condition keys about the request.
    """
    caller: dict[str, str | Sequence[str]] = {
        "aws:PrincipalAccount": account,
        "kms:CallerAccount": account,
    }
    if organization := find_organization(account):
        caller["aws:PrincipalOrgID"] = organization.id
        caller["aws:PrincipalOrgPaths"] = [f"{organization.id}/{organization.root_id}/"]
    request = Request(
        action=action,
        resource=key.arn,
        context={**caller, **context},
        principal=("AWS", f"arn:aws:iam::{account}:role/deploy"),
    )
    return decide([json.loads(key.policy)], request) == "allowed"
