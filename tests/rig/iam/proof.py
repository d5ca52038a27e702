"""What a role cannot do of what a program did."""

from __future__ import annotations

from collections.abc import Iterable

from rig.aws.rig import Call
from rig.iam.calls import list_requests
from rig.iam.policy import Policy, decide
from rig.iam.roles import INSTANCE_ROLE, KEY_ARNS


def find_refused(policies: Iterable[Policy], calls: Iterable[Call]) -> list[str]:
    """Return a line for each request of recorded calls that the policies of a role do not allow.

    Workflows assume the roles directly: credentials that assume a second role are of another one.
    """
    policies = list(policies)
    return sorted(
        {
            f"{decision}: {request.action} on {request.resource} with {dict(request.context)}"
            for call in calls
            if (call.service, call.action) != ("sts", "AssumeRole")
            for request in list_requests(call, instance_role=INSTANCE_ROLE, key_arns=KEY_ARNS)
            if (decision := decide(policies, request)) != "allowed"
        }
    )
