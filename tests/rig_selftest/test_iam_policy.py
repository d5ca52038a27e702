"""The evaluator of IAM policies decides as the examples of the IAM User Guide say.

Each test names the page of the guide that has its example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from rig.iam.patterns import match_action, match_arn
from rig.iam.policy import Decision, Request, decide

Context = Mapping[str, str | Sequence[str]]


def allow(**elements: Any) -> dict[str, Any]:
    """Return a policy with one statement that allows something."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **elements}
    return {"Version": "2012-10-17", "Statement": [statement]}


def deny(**elements: Any) -> dict[str, Any]:
    """Return a policy with one statement that denies something."""
    return allow(Effect="Deny", **elements)


def decide_about(condition: Mapping[str, Any], context: Context) -> Decision:
    """Decide about a request by a policy with a condition."""
    return decide([allow(Condition=condition)], Request("s3:ListBucket", context=context))


@pytest.mark.parametrize(
    ("pattern", "action"), [("iam:*AccessKey*", "iam:UpdateAccessKey"), ("S3:get*", "s3:GetObject")]
)
def test_action_with_wildcards(pattern: str, action: str) -> None:
    """Wildcards stand for parts of a name, and case does not matter.

    (reference_policies_elements_action)
    """
    assert match_action(pattern, action)
    assert not match_action(pattern, "iam:ListUsers")


BUCKET = "arn:aws:s3:::amzn-s3-demo-bucket"


@pytest.mark.parametrize(
    ("key", "matches"),
    [
        ("1/test/object.jpg", True),
        ("1/2/test/object.jpg", True),
        ("1/2/test/3/object.jpg", True),
        ("1/2/3/test/4/object.jpg", True),
        ("1///test///object.jpg", True),
        ("1/test/.jpg", True),
        ("/test/object.jpg", True),
        ("1/test/", True),
        ("1-test/object.jpg", False),
        ("test/object.jpg", False),
        ("1/2/test.jpg", False),
    ],
)
def test_resource_with_wildcards(key: str, matches: bool) -> None:
    """* also stands for slashes (reference_policies_elements_resource)."""
    assert match_arn(f"{BUCKET}/*/test/*", f"{BUCKET}/{key}") is matches


def test_parts_of_an_arn() -> None:
    """A part without wildcards is exact, and missing parts are wildcards.

    (reference_policies_elements_resource)
    """
    queue = "arn:aws:sqs:us-east-2:111122223333:queue1"
    assert match_arn(queue, queue)
    assert match_arn("arn:aws:sqs", queue)
    assert match_arn("arn:aws:sqs:*:111122223333:queue?", queue)
    assert not match_arn("arn:aws:sqs:us-*t:111122223333:queue1", queue)
    assert not match_arn("arn:aws:sqs:*:444455556666:*", queue)
    assert not match_arn("arn:aws:sqs:us*2:queue1", queue)


def test_deny_wins_over_allow() -> None:
    """An explicit deny in any policy wins, and nothing is allowed without an allow.

    (reference_policies_evaluation-logic)
    """
    request = Request("s3:DeleteBucket", BUCKET)
    assert decide([allow()], request) == "allowed"
    assert decide([allow(), deny(Action="s3:Delete*")], request) == "denied"
    assert decide([allow(Action="s3:Get*")], request) == "not allowed"


def test_limits_of_a_session() -> None:
    """A permissions boundary or a session policy allows nothing itself, and limits what is allowed.

    (reference_policies_evaluation-logic, "Session policies", "Permissions boundaries")
    """
    request = Request("s3:GetObject", f"{BUCKET}/a")
    assert decide([allow()], request, limits=[allow(Action="s3:*")]) == "allowed"
    assert decide([allow()], request, limits=[allow(Action="ec2:*")]) == "not allowed"
    assert decide([allow(Action="ec2:*")], request, limits=[allow()]) == "not allowed"


def test_not_action_and_not_resource() -> None:
    """NotAction and NotResource match everything else (reference_policies_elements_notaction)."""
    policies = [allow(), deny(NotAction="s3:*", NotResource=[BUCKET, f"{BUCKET}/*"])]
    assert decide(policies, Request("s3:GetObject", f"{BUCKET}/a")) == "allowed"
    assert decide(policies, Request("iam:ListUsers", "arn:aws:iam::1:user/a")) == "denied"


@pytest.mark.parametrize(
    ("condition", "context", "is_met"),
    [
        # Conditions_String, Conditions_Numeric, Conditions_Date, Conditions_Boolean
        ({"StringEquals": {"aws:PrincipalTag/job-category": "iamuser-admin"}},
         {"aws:principaltag/job-category": "iamuser-admin"}, True),
        ({"StringEquals": {"aws:PrincipalTag/job-category": "iamuser-admin"}},
         {"aws:PrincipalTag/job-category": "IAMUSER-admin"}, False),
        ({"StringEqualsIgnoreCase": {"a:b": "ABC"}}, {"a:b": "abc"}, True),
        ({"StringLike": {"s3:prefix": ["", "home/", "home/a/*"]}}, {"s3:prefix": "home/a/b"}, True),
        ({"StringNotLike": {"s3:prefix": "home/*"}}, {}, True),
        ({"StringNotEquals": {"a:b": ["x", "y"]}}, {"a:b": "y"}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "10"}, True),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "11"}, False),
        ({"NumericNotEquals": {"s3:max-keys": 10}}, {"s3:max-keys": "10"}, False),
        ({"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:01Z"}},
         {"aws:TokenIssueTime": "1577836800"}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-28"}},
         {"aws:CurrentTime": "2026-11-27T07:00:00Z"}, True),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws:SecureTransport": "false"}, True),
        # Conditions_IPAddress, Conditions_ARN
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"aws:SourceIp": "203.0.113.7"}, True),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"aws:SourceIp": "203.0.114.7"}, False),
        ({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
         {"aws:SourceIp": "203.0.113.7"}, False),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:*:111122223333:topic"}},
         {"aws:SourceArn": "arn:aws:sns:us-east-1:111122223333:topic"}, True),
        ({"ArnNotLike": {"aws:SourceArn": "arn:aws:sns:*:111122223333:*"}},
         {"aws:SourceArn": "arn:aws:sns:us-east-1:111122223333:topic"}, False),
        # Conditions_IfExists: the key is tested only where the action has it.
        ({"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}}, {}, True),
        ({"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}},
         {"ec2:InstanceType": "m5.large"}, False),
        ({"StringLike": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}}, {}, False),
        # Conditions_Null: temporary credentials have this key.
        ({"Null": {"aws:TokenIssueTime": "true"}}, {}, True),
        ({"Null": {"aws:TokenIssueTime": "true"}}, {"aws:TokenIssueTime": "1577836800"}, False),
        ({"Null": {"aws:TokenIssueTime": "false"}}, {}, False),
        # condition-logic-multiple-context-keys-or-values: keys are combined by AND, values by OR.
        ({"StringEquals": {"a:b": ["x", "y"], "c:d": "z"}}, {"a:b": "y", "c:d": "z"}, True),
        ({"StringEquals": {"a:b": ["x", "y"], "c:d": "z"}}, {"a:b": "y"}, False),
        # condition-single-vs-multi-valued-context-keys
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}},
         {"aws:TagKeys": ["environment"]}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}},
         {"aws:TagKeys": ["environment", "team"]}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["environment"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["environment", "webserver"]}},
         {"aws:TagKeys": ["webserver", "team"]}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["environment"]}}, {}, False),
        ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a"]}},
         {"aws:TagKeys": ["a", "b"]}, False),
        ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}},
         {"aws:TagKeys": ["a", "b"]}, True),
    ],
)  # fmt: skip
def test_condition(condition: Mapping[str, Any], context: Context, is_met: bool) -> None:
    """Operators decide as the guide says, also without the key.

    (reference_policies_elements_condition_operators)
    """
    assert decide_about(condition, context) == ("allowed" if is_met else "not allowed")


def test_deny_without_mfa() -> None:
    """BoolIfExists also denies long-term credentials, which have no key for MFA.

    (reference_policies_condition-keys, aws:MultiFactorAuthPresent)
    """
    policies = [allow(), deny(Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})]
    key = "aws:MultiFactorAuthPresent"
    assert decide(policies, Request("ec2:StopInstances", context={key: "true"})) == "allowed"
    assert decide(policies, Request("ec2:StopInstances", context={key: "false"})) == "denied"
    assert decide(policies, Request("ec2:StopInstances")) == "denied"


def test_variables() -> None:
    """Variables have the values of the request, a default, or match nothing.

    Their values are no patterns, and ${*} is a literal asterisk.  (reference_policies_variables)
    """
    home = allow(Resource=f"{BUCKET}/${{aws:username}}/*")
    for user, decision in {"bob": "allowed", "bo*": "not allowed", "?ob": "not allowed"}.items():
        request = Request("s3:GetObject", f"{BUCKET}/bob/a", {"aws:username": user})
        assert decide([home], request) == decision
    assert decide([home], Request("s3:GetObject", f"{BUCKET}/bob/a")) == "not allowed"
    team = allow(Resource=f"{BUCKET}-${{aws:PrincipalTag/team, 'company-wide'}}")
    assert decide([team], Request("s3:ListBucket", f"{BUCKET}-company-wide")) == "allowed"
    literal = {"StringLike": {"a:b": "x${*}"}}
    assert decide_about(literal, {"a:b": "x*"}) == "allowed"
    assert decide_about(literal, {"a:b": "xyz"}) == "not allowed"


GITHUB = "arn:aws:iam::012345678910:oidc-provider/token.actions.githubusercontent.com"


def test_trust_in_github() -> None:
    """A token of the branch may assume the role, and no other token or provider.

    (id_roles_create_for-idp_oidc, "Configuring a role for GitHub OIDC identity provider")
    """
    issuer = "token.actions.githubusercontent.com"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": GITHUB},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{issuer}:aud": "sts.amazonaws.com",
                f"{issuer}:sub": "repo:GitHubOrg/GitHubRepo:ref:refs/heads/GitHubBranch",
            }
        },
    }
    subject = "repo:GitHubOrg/GitHubRepo:ref:refs/heads/"

    def ask(branch: str, provider: str = GITHUB) -> Decision:
        context = {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": f"{subject}{branch}"}
        request = Request(
            "sts:AssumeRoleWithWebIdentity", context=context, principal=("Federated", provider)
        )
        return decide([{"Version": "2012-10-17", "Statement": statement}], request)

    assert ask("GitHubBranch") == "allowed"
    assert ask("githubbranch") == "not allowed"
    assert ask("GitHubBranch", f"{GITHUB}/enterprise") == "not allowed"


@pytest.mark.parametrize(
    ("principal", "decision"),
    [
        ({"AWS": "123456789012"}, "allowed"),
        ({"AWS": ["arn:aws:iam::123456789012:root"]}, "allowed"),
        ({"AWS": "arn:aws:iam::123456789012:user/bob"}, "allowed"),
        ({"AWS": "arn:aws:iam::123456789012:user/alice"}, "not allowed"),
        ({"AWS": "arn:aws:iam::999999999999:root"}, "not allowed"),
        ({"Service": "ec2.amazonaws.com"}, "not allowed"),
        ({"AWS": "*"}, "allowed"),
        ("*", "allowed"),
    ],
)
def test_principal(principal: Any, decision: Decision) -> None:
    """An account stands for all its principals (reference_policies_elements_principal)."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    request = Request("sts:AssumeRole", principal=("AWS", "arn:aws:iam::123456789012:user/bob"))
    assert decide([{"Statement": [statement]}], request) == decision
    without = {**statement, "NotPrincipal": statement.pop("Principal")}
    negated = "not allowed" if decision == "allowed" else "allowed"
    assert decide([{"Statement": [without]}], request) == negated


@pytest.mark.parametrize(
    "policy",
    [
        allow(Condition={"StringResembles": {"a:b": "c"}}),
        allow(Condition={"ForEachValue:StringEquals": {"a:b": "c"}}),
        allow(Effect="Permit"),
        allow(Actions="*"),
    ],
)
def test_unknown_elements_are_errors(policy: dict[str, Any]) -> None:
    """The evaluator does not decide by a policy that it does not understand."""
    with pytest.raises(ValueError, match=r"does not know|must be Allow or Deny"):
        decide([policy], Request("s3:GetObject", context={"a:b": "c"}))
