"""What the roles of Terraform can do: the listed actions, on resources of their own image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rig.iam.calls import ACCOUNT
from rig.iam.listed_actions import DEPENDENT, OF_IMAGES, OF_TASKS, PUSH, read_list
from rig.iam.patterns import list_values, match_action
from rig.iam.policy import Decision, Request, decide
from rig.iam.roles import KEY_ARNS, TOOLKIT, PlannedRoles

IMAGE_ROLES = ("build", "release", "cleanup")
REGION = {"aws:RequestedRegion": "eu-west-1"}
OWN = {"Repository": "packer-ami-web-server", "ManagedBy": "packer"}
FOREIGN = {
    "another image": {**OWN, "Repository": "packer-ami-db"},
    "a longer name": {**OWN, "Repository": "packer-ami-web-server-2"},
    "another program": {**OWN, "ManagedBy": "terraform"},
    "no tags": {},
}


def list_allowed(policy: Any) -> set[str]:
    """Return the actions that a policy allows."""
    return {
        action
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for action in list_values(statement["Action"])
    }


# Roles are assumed with OIDC: no credentials assume a second role.
EVERY_BUILD = read_list("") - {"sts:AssumeRole"}
EXPECTED = {
    # CreateTags is checked when RunInstances and other calls create with tags.
    "build": EVERY_BUILD
    | (read_list("-sweep") - OF_IMAGES)
    | read_list("-settings")
    | {"ec2:CreateTags", *DEPENDENT},
    "release": EVERY_BUILD
    | read_list("-sweep")
    | read_list("-settings")
    | read_list("-release")
    | {*DEPENDENT},
    "cleanup": read_list("-sweep") | {each for each in DEPENDENT if each.startswith("ecr:")},
}


@pytest.mark.parametrize("role", IMAGE_ROLES)
def test_allowed_actions_are_the_listed_ones(planned_roles: PlannedRoles, role: str) -> None:
    """A role can do what docs/aws-actions*.txt and the table of dependent actions list.

    Tests of builds compare the lists with recorded calls, so no action is allowed without use.
    """
    assert list_allowed(planned_roles.permissions["web-server", role]) == EXPECTED[role]


def test_settings_that_are_off_need_no_permission(planned_roles: PlannedRoles) -> None:
    """Without keys, Session Manager, an instance profile and ECR, their actions are not allowed."""
    for role in IMAGE_ROLES:
        allowed = list_allowed(planned_roles.permissions["plain", role])
        services = {action.partition(":")[0] for action in allowed}
        assert services == {"ec2", "sts"}


def test_actions_of_other_roles(planned_roles: PlannedRoles) -> None:
    """The publisher can push, and a developer can do what the build role can and read for tasks."""
    publisher = list_allowed(planned_roles.permissions["publisher", ""])
    assert publisher == {*PUSH, *(each for each in DEPENDENT if each.startswith("ecr:"))}
    assert list_allowed(planned_roles.permissions["personal", "tasks"]) == OF_TASKS
    assert list_allowed(planned_roles.permissions["personal", "build"]) == EXPECTED["build"]
    releaser = planned_roles.permissions["personal-releaser", "build"]
    assert list_allowed(releaser) == EXPECTED["release"]


def test_policies_fit_into_a_role(planned_roles: PlannedRoles) -> None:
    """Inline policies have at most 10,240 characters, trust policies 2,048 (IAM and STS quotas)."""
    lengths = [
        max(len(json.dumps(policy, separators=(",", ":"))) for policy in policies.values())
        for policies in (planned_roles.permissions, planned_roles.trust)
    ]
    assert lengths[0] < 10_240 * 0.8
    assert lengths[1] < 2048


def name_resource(kind: str) -> str:
    """Return the ARN of a resource of EC2."""
    account = "" if kind in ("image", "snapshot") else ACCOUNT
    return f"arn:aws:ec2:eu-west-1:{account}:{kind}/x-0123456789abcdef0"


# Action -> types of resources whose tags decide.
BY_TAGS = {
    "ec2:AuthorizeSecurityGroupIngress": ["security-group"],
    "ec2:CopyImage": ["image"],
    "ec2:CreateImage": ["instance"],
    "ec2:CreateTags": ["image", "snapshot"],
    "ec2:DeleteKeyPair": ["key-pair"],
    "ec2:DeleteSecurityGroup": ["security-group"],
    "ec2:DeleteSnapshot": ["snapshot"],
    "ec2:DeleteVolume": ["volume"],
    "ec2:DeregisterImage": ["image"],
    "ec2:ModifyImageAttribute": ["image"],
    "ec2:RunInstances": ["key-pair", "security-group"],
    "ec2:StopInstances": ["instance"],
    "ec2:TerminateInstances": ["instance"],
    "ssm:StartSession": ["instance"],
}
CASES = [(action, kind) for action, kinds in BY_TAGS.items() for kind in kinds]


def list_decisions(
    planned: PlannedRoles, action: str, resource: str, context: dict[str, str]
) -> Iterator[tuple[str, Decision]]:
    """Return the decision of each role of an image about a request."""
    for role in IMAGE_ROLES:
        policy = planned.permissions["web-server", role]
        yield role, decide([policy], Request(action, resource, REGION | context))


def tag(where: str, tags: dict[str, str]) -> dict[str, str]:
    """Return condition keys of tags."""
    return {f"aws:{where}Tag/{key}": value for key, value in tags.items()}


@pytest.mark.parametrize(("action", "kind"), CASES, ids=" ".join)
def test_only_own_resources(planned_roles: PlannedRoles, action: str, kind: str) -> None:
    """Each action on existing resources needs the tags of this image, whatever the role is.

    An image without tags can be copied, because an image of another publisher shows none.
    """
    resource = name_resource(kind)
    allowed = dict(list_decisions(planned_roles, action, resource, tag("Resource", OWN)))
    assert "allowed" in allowed.values()
    assert all(
        (decision == "allowed") <= (action in EXPECTED[role]) for role, decision in allowed.items()
    )
    for name, tags in FOREIGN.items():
        if (action, name) == ("ec2:CopyImage", "no tags"):
            continue
        for role, decision in list_decisions(
            planned_roles, action, resource, tag("Resource", tags)
        ):
            assert decision == "not allowed", (role, name)
    other_region = {"aws:RequestedRegion": "us-west-2"} | tag("Resource", OWN)
    for role, decision in list_decisions(planned_roles, action, resource, other_region):
        assert decision == "denied", role


def test_build_role_has_no_power_over_images(planned_roles: PlannedRoles) -> None:
    """The build role cannot create, copy, share, tag or delete images, whatever the tags are."""
    own = tag("Resource", OWN) | tag("Request", OWN)
    policy = planned_roles.permissions["web-server", "build"]
    for action in (*EXPECTED["release"], "ec2:RegisterImage", "ec2:ModifySnapshotAttribute"):
        for kind in ("image", "snapshot"):
            for more in (
                {},
                {"ec2:CreateAction": "RunInstances"},
                {"ec2:CreateAction": "CreateImage"},
            ):
                request = Request(action, name_resource(kind), REGION | own | more)
                is_source = action == "ec2:RunInstances" and kind == "image"
                is_read = action.startswith(("ec2:Describe", "ec2:Get", "sts:Get", "ecr:GetAuth"))
                assert (decide([policy], request) == "allowed") == (is_source or is_read), request


@pytest.mark.parametrize("role", IMAGE_ROLES)
@pytest.mark.parametrize(
    ("action", "kind", "creates"),
    [
        ("ec2:RunInstances", "instance", ["build", "release"]),
        ("ec2:RunInstances", "volume", ["build", "release"]),
        ("ec2:CreateKeyPair", "key-pair", ["build", "release"]),
        ("ec2:CreateSecurityGroup", "security-group", ["build", "release"]),
        ("ec2:CreateImage", "image", ["release"]),
        ("ec2:CreateImage", "snapshot", ["release"]),
    ],
)
def test_what_is_created_has_the_tags(
    planned_roles: PlannedRoles, role: str, action: str, kind: str, creates: list[str]
) -> None:
    """Nothing is created without the tags by which the clean-up finds it."""
    policy = planned_roles.permissions["web-server", role]
    resource = name_resource(kind)

    def ask(tags: dict[str, str]) -> bool:
        return (
            decide([policy], Request(action, resource, REGION | tag("Request", tags))) == "allowed"
        )

    assert ask(OWN) == (role in creates)
    assert not any(map(ask, FOREIGN.values()))


@pytest.mark.parametrize("role", ["release", "cleanup"])
def test_images_stay_with_their_repository(planned_roles: PlannedRoles, role: str) -> None:
    """No image can be handed to another repository, or taken from one.

    A snapshot without tags, which EC2 creates for a copy, gets the tags of this image.
    """
    policy = planned_roles.permissions["web-server", role]

    def ask(kind: str, has: dict[str, str], gets: dict[str, str]) -> bool:
        context = REGION | tag("Resource", has) | tag("Request", gets)
        return (
            decide([policy], Request("ec2:CreateTags", name_resource(kind), context)) == "allowed"
        )

    for kind in ("image", "snapshot"):
        assert ask(kind, OWN, {"ExpiresAt": "never"})
        assert ask(kind, OWN, OWN)
        for tags in FOREIGN.values():
            assert not ask(kind, OWN, tags) or not tags
            assert not ask(kind, tags, OWN) or (not tags and kind == "snapshot")
    assert not ask("image", {}, OWN)
    assert ask("snapshot", {}, OWN)
    assert not ask("snapshot", {"Repository": "packer-ami-db"}, OWN)


def test_keys_are_used_through_ec2_only(planned_roles: PlannedRoles) -> None:
    """A role decrypts nothing itself, grants keys to resources of AWS only, and no other keys."""
    policy = planned_roles.permissions["web-server", "release"]
    key = KEY_ARNS["eu-west-1"]
    through_ec2 = {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}

    def ask(action: str, arn: str, context: dict[str, str]) -> Decision:
        return decide([policy], Request(action, arn, context))

    assert ask("kms:Decrypt", key, through_ec2) == "allowed"
    assert ask("kms:Decrypt", key, {}) == "not allowed"
    assert (
        ask("kms:Decrypt", key, {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}) == "not allowed"
    )
    assert ask("kms:Decrypt", f"{key}-2", through_ec2) == "not allowed"
    assert ask("kms:CreateGrant", key, {"kms:GrantIsForAWSResource": "true"}) == "allowed"
    assert ask("kms:CreateGrant", key, {"kms:GrantIsForAWSResource": "false"}) == "not allowed"
    assert ask("kms:CreateGrant", key, {}) == "not allowed"


def test_toolkit_is_pushed_by_the_publisher_only(planned_roles: PlannedRoles) -> None:
    """Every other role pulls from the toolkit's repository, and no role reaches another one."""

    def find_able(action: str, repository: str) -> set[str]:
        return {
            name
            for (name, _), policy in planned_roles.permissions.items()
            if decide([policy], Request(action, repository)) == "allowed"
        }

    everyone = {name for name, _ in planned_roles.permissions}
    assert find_able("ecr:BatchGetImage", TOOLKIT) == everyone - {"plain"}
    assert find_able("ecr:BatchGetImage", f"{TOOLKIT}-2") == set()
    assert find_able("ecr:PutImage", TOOLKIT) == {"publisher"}


def test_only_the_instance_role_is_passed(planned_roles: PlannedRoles) -> None:
    """The role of the instance profile is passed to EC2, and no other role or service gets one."""
    policy = planned_roles.permissions["web-server", "build"]

    def ask(role: str, service: str) -> Decision:
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        return decide([policy], Request("iam:PassRole", arn, {"iam:PassedToService": service}))

    assert ask("builder", "ec2.amazonaws.com") == "allowed"
    assert ask("builder", "lambda.amazonaws.com") == "not allowed"
    assert ask("admin", "ec2.amazonaws.com") == "not allowed"


def test_one_document_of_session_manager(planned_roles: PlannedRoles) -> None:
    """Only a port of an own instance is forwarded; no other document runs a command."""
    policy = planned_roles.permissions["web-server", "build"]
    for document, decision in {
        "AWS-StartPortForwardingSession": "allowed",
        "AWS-StartPortForwardingSessionToRemoteHost": "not allowed",
        "SSM-SessionManagerRunShell": "not allowed",
    }.items():
        arn = f"arn:aws:ssm:eu-west-1::document/{document}"
        assert decide([policy], Request("ssm:StartSession", arn, REGION)) == decision


def test_parameters_of_the_personal_role(planned_roles: PlannedRoles) -> None:
    """The personal role reads parameters below the given paths, and decrypts none."""
    policy = planned_roles.permissions["personal", "tasks"]
    arn = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter"
    for path, decision in {
        "/packer": "allowed",
        "/packer/a/b": "allowed",
        "/packer-2": "not allowed",
    }.items():
        assert decide([policy], Request("ssm:GetParameters", f"{arn}{path}")) == decision
    assert not any(match_action("kms:*", each) for each in list_allowed(policy))
