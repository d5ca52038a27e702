"""Evaluates IAM policies: identity policies, trust policies, and policies that limit a session.

moto checks neither resources nor conditions, so proofs about policies need an evaluator.  Its
source is the IAM User Guide, whose pages the modules and functions of this folder name, such as
reference_policies_evaluation-logic and reference_policies_elements_effect.
What it does not know, such as an unknown operator, is an error and never a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rig.iam.conditions import meets_conditions, replace_variables
from rig.iam.patterns import list_values, match_action, match_arn

Decision = Literal["allowed", "denied", "not allowed"]
Policy = Mapping[str, Any]

_ELEMENTS = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal",
    "Condition",
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What IAM decides about: one action on one resource.

    Attributes:
        action: Such as ec2:RunInstances.
        resource: ARN, or * for actions without resources.
        context: Values of the condition keys, such as aws:RequestTag/Repository.
        principal: Type and ID of the caller as in a Principal element, such as
            ("Federated", "arn:aws:iam::111122223333:oidc-provider/…"); for trust policies only.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    principal: tuple[str, str] | None = None


def decide(
    policies: Iterable[Policy], request: Request, *, limits: Iterable[Policy] = ()
) -> Decision:
    """Decide about a request: a Deny wins over an Allow, and without an Allow nothing is possible.

    Args:
        policies: Policies of the identity, or the trust policy of a role.
        request: The request.
        limits: Permissions boundary and session policies, which must all allow the request, too.

    Raises:
        ValueError: If the evaluator does not know an element of a policy.
    """
    effects = [_find_effects(policy, request) for policy in policies]
    limiting = [_find_effects(policy, request) for policy in limits]
    if any("Deny" in each for each in [*effects, *limiting]):
        return "denied"
    is_allowed = any("Allow" in each for each in effects)
    return "allowed" if is_allowed and all("Allow" in each for each in limiting) else "not allowed"


def _find_effects(policy: Policy, request: Request) -> set[str]:
    """Return the effects of the statements of a policy that apply to a request."""
    effects = set()
    for statement in list_values(policy["Statement"]):
        if unknown := set(statement) - _ELEMENTS:
            raise ValueError(f"the evaluator does not know {sorted(unknown)}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise ValueError(f"Effect must be Allow or Deny: {statement}")
        if _applies(statement, request):
            effects.add(statement["Effect"])
    return effects


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    """Return whether all elements of a statement match a request."""
    return (
        _matches(statement, "Action", lambda each: match_action(each, request.action))
        and _matches(statement, "Resource", lambda each: _match_resource(each, request))
        and _matches_principal(statement, request)
        and meets_conditions(statement.get("Condition", {}), request.context)
    )


def _matches(statement: Mapping[str, Any], element: str, test: Callable[[str], bool]) -> bool:
    """Test an element or its negation, such as NotAction; a trust policy has no Resource."""
    if f"Not{element}" in statement:
        return not any(map(test, list_values(statement[f"Not{element}"])))
    return element not in statement or any(map(test, list_values(statement[element])))


def _match_resource(pattern: str, request: Request) -> bool:
    return match_arn(replace_variables(pattern, request.context), request.resource)


def _matches_principal(statement: Mapping[str, Any], request: Request) -> bool:
    """Compare the caller with the principals (reference_policies_elements_principal).

    * stands for every principal, an account or its root for every principal of the account; other
    wildcards are not possible.
    """
    if "Principal" not in statement and "NotPrincipal" not in statement:
        return request.principal is None
    if request.principal is None:
        return False
    kind, caller = request.principal
    account = caller.split(":")[4] if caller.startswith("arn:") else caller

    def is_caller(principals: Any) -> bool:
        if principals == "*":
            return True
        listed = list_values(principals.get(kind, []))
        roots = {account, f"arn:aws:iam::{account}:root"} if kind == "AWS" else set()
        return caller in listed or (kind == "AWS" and "*" in listed) or bool(roots & {*listed})

    if "NotPrincipal" in statement:
        return not is_caller(statement["NotPrincipal"])
    return is_caller(statement["Principal"])
