"""A stand-in of STS's AssumeRoleWithWebIdentity, and of the OIDC tokens that GitHub issues.

rig.iam evaluates the trust policies.  Tokens are dictionaries of claims, without signatures.  The
subject has the form of repositories that were created on github.com since 15 July 2026, the older
form, or that of an Enterprise Server, which is the older one.

`python -m rig.aws.trust` is what the stand-in of aws-actions/configure-aws-credentials runs.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig import CHECKOUT
from rig.iam.policy import Request, decide

GITHUB_COM = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
ACTION = "sts:AssumeRoleWithWebIdentity"

# What IAM knows of the tokens of github.com; of any other issuer it knows `aud` and `sub` alone.
# IAM User Guide, "Available keys for AWS OIDC federation".
_KEYS_OF_GITHUB_COM = {
    "actor", "actor_id", "aud", "enterprise_id", "environment", "job_workflow_ref", "ref",
    "repository", "repository_id", "repository_owner_id", "sub", "workflow",
}  # fmt: skip
_KEYS = {"aud", "sub"}


@dataclass(frozen=True)
class Hosted:
    """A repository on a GitHub, as its tokens name it.

    Attributes:
        full_name: owner/name.
        owner_id: of the owner; it is never used again for another one.
        repository_id: likewise of the repository.
        immutable: whether the subject has the two IDs in it.
        issuer: of the tokens, without https://.
    """

    full_name: str
    owner_id: str = "1001"
    repository_id: str = "2002"
    immutable: bool = True
    issuer: str = GITHUB_COM

    @property
    def prefix(self) -> str:
        """What the subject begins with: `sub_claim_prefix` of GitHub's API."""
        owner, name = self.full_name.split("/")
        if self.immutable:
            owner, name = f"{owner}@{self.owner_id}", f"{name}@{self.repository_id}"
        return f"repo:{owner}/{name}"

    def token(
        self, event: str, ref: str, *, environment: str = "", audience: str = AUDIENCE
    ) -> dict[str, str]:
        """Return the claims of the token of a job.

        Args:
            event: such as pull_request.
            ref: such as refs/tags/v1.2.3.
            environment: that the job names.
            audience: that the token was requested for.
        """
        if environment:
            context = f"environment:{environment.replace(':', '%3A')}"
        else:
            context = "pull_request" if event == "pull_request" else f"ref:{ref}"
        return {
            "aud": audience,
            "iss": f"https://{self.issuer}",
            "ref": ref,
            "repository": self.full_name,
            "repository_id": self.repository_id,
            "repository_owner_id": self.owner_id,
            "sub": f"{self.prefix}:{context}",
            **({"environment": environment} if environment else {}),
        }


def is_trusted(policy: Mapping[str, Any], token: Mapping[str, str]) -> bool:
    """Return whether a role's trust policy admits a token.

    Raises:
        ValueError: when IAM would not accept the policy, or the evaluator does not know it.
    """
    issuer = token["iss"].removeprefix("https://")
    known = _KEYS_OF_GITHUB_COM if issuer == GITHUB_COM else _KEYS
    values = {f"{issuer}:{claim}": value for claim, value in token.items() if claim in known}
    providers = set()
    for statement in policy["Statement"]:
        provider = statement["Principal"]["Federated"]
        providers.add(provider)
        tested = {key for tests in statement.get("Condition", {}).values() for key in tests}
        if provider.endswith(f"/{GITHUB_COM}") and f"{GITHUB_COM}:sub" not in tested:
            raise ValueError("IAM refuses a trust in GitHub that does not test the subject")
    return any(
        decide([policy], Request(ACTION, context=values, principal=("Federated", provider)))
        == "allowed"
        for provider in providers
        if provider.endswith(f":oidc-provider/{issuer}")
    )


# --- The documented policies --------------------------------------------------------------------


def documented(page: str, heading: str, repository: Hosted, **more: str) -> dict[str, Any]:
    """Return the first JSON below a heading of a page of docs/, filled in for a repository.

    Args:
        page: such as pipeline.md.
        heading: its text.
        repository: whose names and IDs are filled in.
        more: further placeholders and their values.
    """
    section = re.split(
        rf"^#+ {re.escape(heading)}$", (CHECKOUT / "docs" / page).read_text(), flags=re.M
    )
    block = re.search(r"^```json\n(.*?)^```$", section[1], re.M | re.S)
    assert block, f"no JSON below {heading} in {page}"
    owner, name = repository.full_name.split("/")
    fill = {
        "ORGANIZATION": owner,
        "REPOSITORY_ID": repository.repository_id,
        "OWNER_ID": repository.owner_id,
        "packer-ami-NAME": name,
        "template-packer-ami": name,
        "HOST/": repository.issuer.partition("/")[0] + "/",
        **more,
    }
    text = block[1]
    for placeholder, value in fill.items():
        text = text.replace(placeholder, value)
    policy: dict[str, Any] = json.loads(text)
    return policy


# --- The stand-in of the action -----------------------------------------------------------------


@dataclass(frozen=True)
class Sts:
    """What an AWS account knows: its OIDC providers and its roles.

    Attributes:
        roles: trust policy by ARN.
        repository: whose workflow runs.
        providers: audiences by issuer.
        longest: seconds that a session of any role may last.
    """

    roles: Mapping[str, Mapping[str, Any]]
    repository: Hosted
    providers: Mapping[str, list[str]]
    longest: int = 12 * 3600

    def refusal(self, role: str, seconds: int, token: Mapping[str, str]) -> str:
        """Return the message of AssumeRoleWithWebIdentity; empty when the role is assumed."""
        issuer = token["iss"].removeprefix("https://")
        if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", role):
            return "Request ARN is invalid"
        if issuer not in self.providers:
            return f"No OpenIDConnect provider found in your account for {token['iss']}"
        if token["aud"] not in self.providers[issuer]:
            return "Incorrect token audience"
        if role not in self.roles or not is_trusted(self.roles[role], token):
            return f"Not authorized to perform {ACTION}"
        if seconds > self.longest:
            return "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        return ""

    @classmethod
    def documented(cls, repository: Hosted, build_role: str, release_role: str) -> Sts:
        """Return the roles of a repository, with the trust policies of docs/pipeline.md."""
        release = documented("pipeline.md", "Trust of the release role", repository)
        build = documented("pipeline.md", "Trust of the build role", repository)
        # One role for both has the wider trust.
        roles = {release_role: release, build_role: build}
        return cls(roles, repository, {repository.issuer: [AUDIENCE]})

    def write(self, file: Path) -> None:
        """Write it down for the stand-in of the action."""
        file.write_text(
            json.dumps({**vars(self), "repository": vars(self.repository)}, default=dict)
        )

    @classmethod
    def read(cls, file: Path) -> Sts:
        """Read what `write` wrote."""
        values = json.loads(file.read_text())
        return cls(**{**values, "repository": Hosted(**values["repository"])})


def main() -> None:
    """Assume a role as the action does: by the run's event and ref; end with its message."""
    given = json.loads(os.environ["WITH"])
    sts = Sts.read(Path(os.environ["ACT_DIRECTORY"], "sts.json"))
    token = sts.repository.token(os.environ["GITHUB_EVENT_NAME"], os.environ["GITHUB_REF"])
    seconds = int(given["role-duration-seconds"] or 3600)
    message = sts.refusal(given["role-to-assume"], seconds, token)
    if message:
        sys.exit(f"Could not assume role with OIDC: {message}")


if __name__ == "__main__":
    main()
