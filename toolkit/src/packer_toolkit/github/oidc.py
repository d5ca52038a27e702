"""Find the OIDC subject that the workflows of a repository send to AWS.

Repositories that were created, renamed or transferred on github.com since 15 July 2026 send the
numeric IDs of their owner and of themselves after each name; older ones, and those on an Enterprise
Server, send only the names.  docs/pipeline.md has the trust policies that accept both.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packer_toolkit.errors import RemoteError

AUDIENCE = "sts.amazonaws.com"
REJECTED = re.compile(r"Not authorized to perform:? sts:AssumeRoleWithWebIdentity", re.I)

_WITH_IDS = re.compile(r"repo:(?P<owner>[^/@]+)@(?P<owner_id>\d+)/(?P<name>[^/@]+)@(?P<id>\d+)")
_SECONDS = 15


@dataclass(frozen=True)
class Subject:
    """How the subjects of a repository begin.

    Attributes:
        prefix: Such as repo:acme@1001/packer-ami-web@2002, without a colon at its end.
        claims: Claims that make up the subject where the repository customized it; else empty.
    """

    prefix: str
    claims: Sequence[str] = ()

    @property
    def prefixes(self) -> list[str]:
        """Return the prefixes that a trust policy should accept: the one without IDs first."""
        match = _WITH_IDS.fullmatch(self.prefix)
        plain = [f"repo:{match['owner']}/{match['name']}"] if match else []
        return [*plain, self.prefix]

    @property
    def ids(self) -> tuple[str, str] | None:
        """Return the numeric IDs of repository and owner; None when the subject has none."""
        match = _WITH_IDS.fullmatch(self.prefix)
        return (match["id"], match["owner_id"]) if match else None


def get_issuer(host: str) -> str:
    """Return the issuer of the OIDC tokens of a host, as IAM names it: without https://.

    Args:
        host: github.com, a host of ghe.com, or the host of an Enterprise Server.
    """
    if host == "github.com":
        return "token.actions.githubusercontent.com"
    if host.endswith(".ghe.com"):
        return f"token.actions.{host}"
    return f"{host}/_services/token"


def get_api_url(host: str) -> str:
    """Return the URL of the REST API of a host; see `get_issuer` for the hosts."""
    if host == "github.com":
        return "https://api.github.com"
    return f"https://api.{host}" if host.endswith(".ghe.com") else f"https://{host}/api/v3"


def read_subject(github: Any, repository: str) -> Subject:
    """Read from GitHub how the subjects of a repository begin.

    Args:
        github: A repository of PyGithub, for its connection.
        repository: OWNER/NAME.

    Raises:
        RemoteError: When GitHub cannot be reached, or the token cannot read it.
    """
    from packer_toolkit.github.client import translate_github_errors

    with translate_github_errors("read the OIDC subject of the repository"):
        _, answer = github.requester.requestJsonAndCheck(
            "GET", f"/repos/{repository}/actions/oidc/customization/sub"
        )
    answer = answer if isinstance(answer, dict) else {}
    keys = answer.get("include_claim_keys") if answer.get("use_default") is False else None
    claims = [str(claim) for claim in keys or ()]
    # An Enterprise Server has no such field, and sends only the names.
    prefix = str(answer.get("sub_claim_prefix") or f"repo:{repository}").rstrip(":")
    return Subject(prefix, () if claims in ([], ["repo", "context"]) else claims)


def compose_run_subject(environment: Mapping[str, str], subject: Subject) -> str:
    """Return the subject that a job of this run sends, unless the job names an environment.

    Args:
        environment: Environment variables of a job in a workflow.
        subject: The subject of the repository.
    """
    if environment.get("GITHUB_EVENT_NAME") == "pull_request":
        return f"{subject.prefix}:pull_request"
    return f"{subject.prefix}:ref:{environment.get('GITHUB_REF', '')}"


def read_token_subject(
    environment: Mapping[str, str], get: Callable[..., Any] | None = None
) -> str | None:
    """Request a token as this job does, and return its subject; the token is never printed.

    Args:
        environment: Environment variables of a job in a workflow.
        get: Sends a request; `requests.get` unless given.

    Returns:
        The subject; None in a job without the permission id-token: write.

    Raises:
        RemoteError: When GitHub issues no token.
    """
    url = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    bearer = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not (url and bearer):
        return None
    import requests

    try:
        answer = (get or requests.get)(
            url,
            params={"audience": AUDIENCE},
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=_SECONDS,
        )
        answer.raise_for_status()
        payload = str(answer.json()["value"]).split(".")[1]
        claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return str(json.loads(claims)["sub"])
    except (requests.RequestException, ValueError, LookupError, TypeError) as error:
        # Neither the URL nor the answer may be printed: both lead to a token.
        raise RemoteError(
            f"GitHub issued no OIDC token: {type(error).__name__}; start the run again"
        ) from None
