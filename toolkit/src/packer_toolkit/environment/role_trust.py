"""Whether the roles of the workflows trust this repository, and no other.

Trust policies are evaluated as far as they are common; of what else IAM knows, the answer is that
it cannot be said here.
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

# Claims of each token; whether another one is in it, and with which value, is not known here.
_CLAIMS = {"aud", "environment", "ref", "repository", "repository_id", "repository_owner_id", "sub"}
_ACTIONS = ("sts:assumerolewithwebidentity", "sts:*", "*")


@dataclass(frozen=True)
class Hosted:
    """A repository on a GitHub, as far as its tokens name it.

    Attributes:
        name: owner/name.
        subject: what its subject begins with.
        host: such as github.com.
        ids: the numeric IDs of repository and owner; None on an Enterprise Server.
    """

    name: str
    subject: Subject
    host: str
    ids: tuple[str, str] | None

    def token(self, context: str) -> dict[str, str]:
        """Return the claims that STS compares, with the provider's name before each.

        Args:
            context: what follows the names in the subject, such as ref:refs/heads/main.
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

    def renamed(self, owner: str, name: str) -> Hosted:
        """Return another repository, whose names are these and whose IDs are others."""
        with_ids = self.subject.ids is not None
        prefix = f"repo:{owner}@1/{name}@1" if with_ids else f"repo:{owner}/{name}"
        return Hosted(f"{owner}/{name}", Subject(prefix), self.host, self.ids and ("1", "1"))


class UnknownPolicyError(Exception):
    """A policy that cannot be evaluated here; its message is the part that is not known."""


def _like(pattern: str, value: str) -> bool:
    wildcards = {"*": ".*", "?": "."}
    text = "".join(wildcards.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(text, value, re.S) is not None


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _like,
}


def is_trusted(policy: Mapping[str, Any], provider: str, token: Mapping[str, str]) -> bool:
    """Return whether a trust policy admits a token.

    Args:
        policy: of a role.
        provider: the issuer of the token, without https://.
        token: claims, with the provider's name before each.

    Raises:
        UnknownPolicyError: when it has something that cannot be evaluated here.
    """
    trusted = False
    for statement in _list(policy.get("Statement")):
        actions = [str(action).lower() for action in _list(statement.get("Action"))]
        principal = statement.get("Principal")
        federated = _list(principal.get("Federated")) if isinstance(principal, dict) else []
        providers = [str(each).partition(":oidc-provider/")[2] for each in federated]
        if statement.get("Effect") != "Allow":
            raise UnknownPolicyError("a statement with Deny")
        if provider in providers and set(actions) & set(_ACTIONS):
            trusted |= _holds(statement.get("Condition") or {}, token)
    return trusted


def _holds(conditions: Mapping[str, Mapping[str, Any]], token: Mapping[str, str]) -> bool:
    known = {key.lower(): value for key, value in token.items()}  # IAM ignores the case of keys
    unknown = ""
    for operator, tests in conditions.items():
        compare = _OPERATORS.get(operator.removeprefix("ForAnyValue:"))
        for key, wanted in tests.items():
            value = known.get(key.lower())
            if compare is None:
                unknown = f"the operator {operator}"
            elif value is None and key.rpartition(":")[2].lower() not in _CLAIMS:
                unknown = f"the key {key}"
            elif value is None or not any(compare(str(one), value) for one in _list(wanted)):
                return False
    if unknown:
        raise UnknownPolicyError(unknown)
    return True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _environments(policy: Mapping[str, Any]) -> list[str]:
    """Return the environments that a policy names in a subject."""
    return re.findall(r":(environment:[^\"*?:]+)\"", json.dumps(policy))


def problem_of(policy: Mapping[str, Any], repository: Hosted, purposes: set[str]) -> str | None:
    """Return what is wrong with the trust of a role; None when it fits.

    Args:
        policy: of the role.
        repository: that the role is for.
        purposes: build, release or both.

    Raises:
        UnknownPolicyError: when the policy cannot be evaluated here.
    """

    def admits(hosted: Hosted, context: str) -> bool:
        return is_trusted(policy, get_issuer(hosted.host), hosted.token(context))

    prefix = repository.subject.prefix
    if "build" in purposes:
        used = [BRANCH, PULL_REQUEST, TAG]
        rejected = [context for context in used if not admits(repository, context)]
    else:
        # A team chooses how its tags look, and may release from an environment.
        used = [TAG, *_OTHER_TAGS, *_environments(policy)]
        rejected = [] if any(admits(repository, context) for context in used) else [TAG]
    if rejected:
        return f"rejects {prefix}:{rejected[0]}"
    for other in _strangers(repository):
        if any(admits(other, context) for context in used):
            return f"also trusts {other.subject.prefix}, a repository of another owner"
    if "build" not in purposes and admits(repository, BRANCH):
        return "trusts every branch, so every user who can push can release"
    return None


def _strangers(repository: Hosted) -> list[Hosted]:
    """Return repositories of other owners that a careless wildcard admits."""
    owner, name = repository.name.split("/")
    names = [(f"{owner}-2", name), (f"2-{owner}", name), ("stranger", name)]
    if repository.subject.ids:  # another account can take over the names, never the IDs
        names.append((owner, name))
    return [repository.renamed(*each) for each in names]
