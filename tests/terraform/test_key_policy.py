"""The policy of the key allows consumers what they need, and nobody else anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from rig.iam.policy import Policy, Request, decide
from rig.repositories.template import ROOT
from rig.terraform.programs import find_terraform

MODULE = ROOT / "terraform" / "ami-builder" / "modules" / "key-policy"
OWNER, CONSUMER, MEMBER, STRANGER = "111122223333", "222233334444", "333344445555", "999999999999"
ORGANIZATION = {"aws:PrincipalOrgID": "o-exampleorgid"}
UNIT = {"aws:PrincipalOrgPaths": ["o-otherorgid0/r-abcd/ou-abcd-11111111/ou-abcd-12345678/"]}
EC2 = {"kms:ViaService": "ec2.eu-central-1.amazonaws.com"}
USES = (
    "kms:Decrypt",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
OPERATIONS = [
    "CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom",
    "ReEncryptTo",
]  # fmt: skip
# Consumers by kind: the account, and what AWS knows about its organization.
CONSUMERS: dict[str, tuple[str, Mapping[str, str | Sequence[str]]]] = {
    "account": (CONSUMER, {}),
    "organization": (MEMBER, ORGANIZATION),
    "unit": (MEMBER, UNIT),
}


def grant_to(account: str, role: str = "AWSServiceRoleForAutoScaling") -> dict[str, object]:
    """Return the context of a grant for a service-linked role of Auto Scaling."""
    path = "aws-service-role/autoscaling.amazonaws.com"
    return {
        "kms:GranteePrincipal": f"arn:aws:iam::{account}:role/{path}/{role}",
        "kms:GrantOperations": OPERATIONS,
        "kms:GrantIsForAWSResource": "false",
    }


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """Return the policy for an account, an organization and a unit of another organization."""
    organizations = f"arn:aws:organizations::{OWNER}"
    configuration = {
        "provider": {
            "aws": {
                "region": "eu-central-1",
                "access_key": "none",
                "secret_key": "none",
                "skip_credentials_validation": True,
                "skip_metadata_api_check": True,
                "skip_requesting_account_id": True,
            }
        },
        "module": {
            "key_policy": {
                "source": str(MODULE),
                "account_id": OWNER,
                "consumer_account_ids": [CONSUMER],
                "organization_arns": [f"{organizations}:organization/o-exampleorgid"],
                "organizational_unit_arns": [f"{organizations}:ou/o-otherorgid0/ou-abcd-12345678"],
            }
        },
        "output": {"json": {"value": "${module.key_policy.json}"}},
    }
    folder = tmp_path_factory.mktemp("key-policy")
    (folder / "main.tf.json").write_text(json.dumps(configuration))
    terraform = find_terraform("terraform")
    for command in (("init",), ("apply", "-auto-approve")):
        terraform.run(*command, cwd=folder)
    document: Policy = json.loads(
        json.loads(terraform.run("output", "-json", cwd=folder).stdout)["json"]["value"]
    )
    return document


def ask(policy: Policy, account: str, action: str, context: Mapping[str, object]) -> str:
    """Decide about an action of a user of an account."""
    principal = ("AWS", f"arn:aws:iam::{account}:root")
    return decide([policy], Request(action, context=dict(context), principal=principal))  # type: ignore[arg-type]


@pytest.mark.integration
@pytest.mark.parametrize("kind", CONSUMERS)
def test_consumer_launches_instances(policy: Policy, kind: str) -> None:
    """A consumer finds the key, and EC2 uses it for the consumer, with a grant for each volume."""
    account, organization = CONSUMERS[kind]
    context = {**organization, **EC2}
    assert ask(policy, account, "kms:DescribeKey", organization) == "allowed"
    assert {ask(policy, account, action, context) for action in USES} == {"allowed"}
    for_volume = {**context, "kms:GrantIsForAWSResource": "true"}
    assert ask(policy, account, "kms:CreateGrant", for_volume) == "allowed"


@pytest.mark.integration
@pytest.mark.parametrize("kind", CONSUMERS)
def test_consumer_grants_to_auto_scaling(policy: Policy, kind: str) -> None:
    """A consumer grants its service-linked role the use of the key, also one with a suffix."""
    account, organization = CONSUMERS[kind]
    for role in ("AWSServiceRoleForAutoScaling", "AWSServiceRoleForAutoScaling_web"):
        context = {**organization, **grant_to(account, role)}
        assert ask(policy, account, "kms:CreateGrant", context) == "allowed"
    assert ask(policy, account, "kms:ListGrants", organization) == "allowed"


@pytest.mark.integration
@pytest.mark.parametrize("kind", CONSUMERS)
def test_consumer_can_do_nothing_else(policy: Policy, kind: str) -> None:
    """No use outside of EC2, no grant for another role or operation, no administration."""
    account, organization = CONSUMERS[kind]
    assert {ask(policy, account, action, organization) for action in USES} == {"not allowed"}
    for action in ("kms:Encrypt", "kms:RevokeGrant", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"):
        assert ask(policy, account, action, {**organization, **EC2}) == "not allowed"
    more = {**organization, **grant_to(account), "kms:GrantOperations": [*OPERATIONS, "Encrypt"]}
    assert ask(policy, account, "kms:CreateGrant", more) == "not allowed"


@pytest.mark.integration
@pytest.mark.parametrize("account", [OWNER, CONSUMER])
@pytest.mark.parametrize(
    "grantee",
    [
        f"arn:aws:iam::{CONSUMER}:role/application",
        # A path may contain colons.
        f"arn:aws:iam::{CONSUMER}:role/x:role/aws-service-role/autoscaling.amazonaws.com/"
        "AWSServiceRoleForAutoScaling",
        f"arn:aws:iam::{CONSUMER}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
    ],
)
def test_other_grants_are_denied(policy: Policy, account: str, grantee: str) -> None:
    """Neither a consumer nor the owner can grant another role the use of the key."""
    context = {**grant_to(account), "kms:GranteePrincipal": grantee}
    assert ask(policy, account, "kms:CreateGrant", context) == "denied"


@pytest.mark.integration
@pytest.mark.parametrize(
    "organization",
    [
        {},
        {"aws:PrincipalOrgID": "o-strangers00"},
        {"aws:PrincipalOrgPaths": ["o-otherorgid0/r-abcd/ou-abcd-87654321/"]},
        {"aws:PrincipalOrgPaths": ["o-strangers00/r-abcd/ou-abcd-12345678/"]},
    ],
)
def test_strangers_can_do_nothing(policy: Policy, organization: dict[str, object]) -> None:
    """An account that is not a consumer, alone or in another organization or unit, is refused."""
    grants = [{"kms:GrantIsForAWSResource": "true"}, grant_to(STRANGER)]
    contexts = [{**organization, **EC2, **more} for more in ({}, *grants)]
    actions = ("kms:DescribeKey", "kms:ListGrants", "kms:CreateGrant", *USES)
    decisions = {
        ask(policy, STRANGER, action, context) for action in actions for context in contexts
    }
    assert decisions <= {"not allowed", "denied"}


@pytest.mark.integration
def test_owner_administers_the_key(policy: Policy) -> None:
    """The owner's account can do everything but create other grants."""
    for action in ("kms:PutKeyPolicy", "kms:RevokeGrant", "kms:ReplicateKey", "kms:Decrypt"):
        assert ask(policy, OWNER, action, {}) == "allowed"
    context = {"kms:GrantIsForAWSResource": "true"}
    assert ask(policy, OWNER, "kms:CreateGrant", context) == "allowed"
