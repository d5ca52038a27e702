"""Evaluate whether the roles of the workflows trust this repository, and no other.

The common operators and keys of trust policies are evaluated; a policy with another one is not
judged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from packer_toolkit.github.oidc import AUDIENCE, Subject, get_issuer

BRANCH, PULL_REQUEST = "ref:refs/heads/main", "pull_request"
_TAG_REF = "refs/tags/v1.0.0"
TAG = f"ref:{_TAG_REF}"
_OTHER_TAGS = ("ref:refs/tags/1.0.0", "ref:refs/tags/2026-01-31")

# Claims of every token; other claims may be in a token, too, with an unknown value.
_CLAIMS = {"aud", "environment", "ref", "repository", "repository_id", "repository_owner_id", "sub"}
_ACTIONS = ("sts:assumerolewithwebidentity", "sts:*", "*")


@dataclass(frozen=True)
class HostedRepository:
    """A repository on github.com or an Enterprise Server, as its tokens describe it.

    Attributes:
        name: OWNER/NAME.
        subject: The beginning of its subject.
        host: Such as github.com.
        ids: The numeric IDs of repository and owner; None on an Enterprise Server.
    """

    name: str
    subject: Subject
    host: str
    ids: tuple[str, str] | None

    def make_token(self, context: str) -> dict[str, str]:
        """Return the claims that STS compares, with the name of the provider before each.

        Args:
            context: The end of the subject, such as ref:refs/heads/main.
        """
        claims = {"aud": AUDIENCE, "sub": f"{self.subject.prefix}:{context}"}
        if self.ids:
            claims |= {"repository_id": self.ids[0], "repository_owner_id": self.ids[1]}
            kind, _, value = context.partition(":")
            claims["repository"] = self.name
            claims["ref"] = {"ref": value, PULL_REQUEST: "refs/pull/1/merge"}.get(kind, _TAG_REF)
            if kind == "environment":
                claims["environment"] = value
        return {f"{get_issuer(self.host)}:{claim}": value for claim, value in claims.items()}

    def rename(self, owner: str, name: str) -> HostedRepository:
        """Return another repository with other names and other IDs."""
        with_ids = self.subject.ids is not None
        prefix = f"repo:{owner}@1/{name}@1" if with_ids else f"repo:{owner}/{name}"
        return HostedRepository(
            f"{owner}/{name}", Subject(prefix), self.host, self.ids and ("1", "1")
        )


class UnknownPolicyError(Exception):
    """A policy that cannot be evaluated; its message is the unknown part."""


def _matches_pattern(pattern: str, value: str) -> bool:
    wildcards = {"*": ".*", "?": "."}
    text = "".join(wildcards.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(text, value, re.S) is not None


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringEqualsIgnoreCase": lambda pattern, value: pattern.lower() == value.lower(),
    "StringLike": _matches_pattern,
}


def is_trusted(policy: Mapping[str, Any], provider: str, token: Mapping[str, str]) -> bool:
    """Report whether a trust policy admits a token.

    Args:
        policy: Of a role.
        provider: The issuer of the token, without https://.
        token: Claims, with the name of the provider before each.

    Raises:
        UnknownPolicyError: The policy has something that cannot be evaluated.
    """
    trusted = False
    for statement in _as_list(policy.get("Statement")):
        actions = [str(action).lower() for action in _as_list(statement.get("Action"))]
        principal = statement.get("Principal")
        federated = _as_list(principal.get("Federated")) if isinstance(principal, dict) else []
        providers = [str(each).partition(":oidc-provider/")[2] for each in federated]
        if statement.get("Effect") != "Allow":
            raise UnknownPolicyError("a statement with Deny")
        if provider in providers and set(actions) & set(_ACTIONS):
            trusted |= _fulfills(statement.get("Condition") or {}, token)
    return trusted


def _fulfills(conditions: Mapping[str, Mapping[str, Any]], token: Mapping[str, str]) -> bool:
    claims = {key.lower(): value for key, value in token.items()}  # IAM ignores the case of keys
    unknown = ""
    for operator, tests in conditions.items():
        compare = _OPERATORS.get(operator.removeprefix("ForAnyValue:"))
        for key, patterns in tests.items():
            value = claims.get(key.lower())
            if compare is None:
                unknown = f"the operator {operator}"
            elif value is None and key.rpartition(":")[2].lower() not in _CLAIMS:
                unknown = f"the key {key}"
            elif value is None or not any(compare(str(each), value) for each in _as_list(patterns)):
                return False
    if unknown:
        raise UnknownPolicyError(unknown)
    return True


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def find_problem(
    policy: Mapping[str, Any], repository: HostedRepository, purposes: set[str]
) -> str | None:
    """Return the mistake in the trust policy of a role; None without one.

    Args:
        policy: Of the role.
        repository: The repository that the role is for.
        purposes: build, release or both.

    Raises:
        UnknownPolicyError: The policy cannot be evaluated.
    """

    def admits(hosted: HostedRepository, context: str) -> bool:
        return is_trusted(policy, get_issuer(hosted.host), hosted.make_token(context))

    prefix = repository.subject.prefix
    if "build" in purposes:
        used = [BRANCH, PULL_REQUEST, TAG]
        rejected = [context for context in used if not admits(repository, context)]
    else:
        # A team chooses the form of its tags, and may release from an environment.
        environments = re.findall(r":(environment:[^\"*?:]+)\"", json.dumps(policy))
        used = [TAG, *_OTHER_TAGS, *environments]
        rejected = [] if any(admits(repository, context) for context in used) else [TAG]
    if rejected:
        return f"rejects {prefix}:{rejected[0]}"
    for other in _list_strangers(repository):
        if any(admits(other, context) for context in used):
            return f"also trusts {other.subject.prefix}, a repository of another owner"
    if "build" not in purposes and admits(repository, BRANCH):
        return "trusts every branch, so every user who can push can release"
    return None


def _list_strangers(repository: HostedRepository) -> list[HostedRepository]:
    """Return repositories of other owners that too wide a wildcard admits."""
    owner, name = repository.name.split("/")
    names = [(f"{owner}-2", name), (f"2-{owner}", name), ("stranger", name)]
    if repository.subject.ids:  # another account can take over the names, never the IDs
        names.append((owner, name))
    return [repository.rename(*each) for each in names]
