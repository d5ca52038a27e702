"""Who may use what belongs to another account."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

from moto.organizations.models import organizations_backends

_ACCOUNT_OF_ARN = re.compile(r"arn:[^:]+:iam::(\d{12}):root$")


def find_organization(account: str) -> Any:
    """Return the organization that an account is a member of, or None."""
    owner, partition = organizations_backends.master_accounts.get(account, (account, "aws"))
    return organizations_backends[owner][partition].org


def is_shared_with(principals: list[str], account: str) -> bool:
    """Tell whether one of the principals is an account or its organization.

    Args:
        principals: Account IDs, and ARNs of organizations.
        account: ID of the account.
    """
    organization = find_organization(account)
    return account in principals or (organization is not None and organization.arn in principals)


def key_policy_allows(key: Any, account: str, action: str) -> bool:
    """Tell whether the policy of a KMS key lets another account call an action.

    IAM policies of that account are not part of it; the rig evaluates none.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html
    """
    statements = json.loads(key.policy or "{}").get("Statement", [])
    applying = [
        statement
        for statement in _list(statements)
        if any(fnmatchcase(action, pattern) for pattern in _list(statement.get("Action", [])))
        and _names(statement.get("Principal", {}), account)
        and _conditions_hold(statement.get("Condition", {}), account)
    ]
    effects = {statement["Effect"] for statement in applying}
    return effects == {"Allow"}


def _names(principal: Any, account: str) -> bool:
    if principal == "*":
        return True
    names = _list(principal.get("AWS", []))
    return any(
        name in ("*", account) or ((match := _ACCOUNT_OF_ARN.match(name)) and match[1] == account)
        for name in names
    )


def _conditions_hold(conditions: dict[str, dict[str, Any]], account: str) -> bool:
    """Compare the conditions about the caller; all others are about the request, and hold."""
    organization = find_organization(account)
    caller = {
        "aws:principalaccount": account,
        "kms:calleraccount": account,
        "aws:principalorgid": organization.id if organization else "",
    }
    for operator, keys in conditions.items():
        for key, values in keys.items():
            actual = caller.get(key.lower())
            if actual is None:
                continue
            equal = any(fnmatchcase(actual, str(value)) for value in _list(values))
            if equal == ("NotEquals" in operator or "NotLike" in operator):
                return False
    return True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
