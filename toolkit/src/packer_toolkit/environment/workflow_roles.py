"""Compare the subject that the workflows send to AWS with the trust policies of their roles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.environment.machine import (
    Check,
    report_missing,
    report_ok,
    report_skipped,
)
from packer_toolkit.environment.role_trust import HostedRepository, UnknownPolicyError, find_problem
from packer_toolkit.errors import ToolkitError
from packer_toolkit.github import oidc

_TIMEOUT_SECONDS = 10  # without a response the check is skipped
_TOKEN = "needs a token of GitHub: GH_TOKEN=$(gh auth token) task doctor"  # noqa: S105 - a hint
_PAGE = 'see "Roles and whom they trust" in docs/pipeline.md of the template'


@dataclass(frozen=True)
class WorkflowSubject:
    """The subject that the workflows of a repository send.

    Attributes:
        check: The result for the doctor.
        repository: The repository as GitHub describes it; None if that is not known.
        roles: ARN of a role -> its purposes: build, release or both.
    """

    check: Check
    repository: HostedRepository | None = None
    roles: Mapping[str, set[str]] = field(default_factory=dict)


def find_subject(root: Path | None) -> WorkflowSubject:
    """Find out the subject that the workflows of a repository send to AWS."""
    from packer_toolkit.github.actions import read_token
    from packer_toolkit.repository.answers_file import read_answers

    answers = read_answers(root) if root else {}
    roles: dict[str, set[str]] = {}
    for purpose in ("build", "release"):
        role = answers.get(f"aws_{purpose}_role") or answers.get("aws_build_role")
        if isinstance(role, str):
            roles.setdefault(role, set()).add(purpose)
    host, owner = str(answers.get("github_host", "")), answers.get("github_organization")
    if not (roles and host and owner):
        return _skip_subject("no answers of the template, so no workflow is known")
    name = os.environ.get("GITHUB_REPOSITORY") or f"{owner}/packer-ami-{answers.get('image_name')}"
    if not read_token():
        return _skip_subject(_TOKEN)
    from packer_toolkit.github.client import RepositoryAccess, translate_github_errors

    address = os.environ.get("GITHUB_API_URL") or oidc.get_api_url(host)
    try:
        github = RepositoryAccess(name, read_token(), address, _TIMEOUT_SECONDS).connect()
        subject = oidc.read_subject(github, name)
        own = oidc.read_token_subject(os.environ)
        ids = subject.ids
        if ids is None and oidc.get_issuer(host) == oidc.get_issuer("github.com"):
            with translate_github_errors("read the repository"):
                ids = str(github.id), str(github.owner.id)
    except ToolkitError as error:
        return _skip_subject(str(error))
    if subject.claims:
        return _skip_subject(
            f"{own or subject.prefix}, customized with the claims {', '.join(subject.claims)}: "
            "compare it with the trust policies yourself",
        )
    return WorkflowSubject(
        report_ok("subject", own or f"{subject.prefix}:…"),
        HostedRepository(name, subject, host, ids),
        roles,
    )


def _skip_subject(reason: str) -> WorkflowSubject:
    return WorkflowSubject(report_skipped("subject", reason))


def compare_trust(
    repository: HostedRepository, roles: Mapping[str, set[str]], session: Any, account: str
) -> Check:
    """Compare the trust policies of the roles with the subject, as far as they may be read.

    Args:
        repository: The repository that the roles are for.
        roles: See `WorkflowSubject`.
        session: Of boto3, with the personal role.
        account: ID of the account of the session.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    trusting, unread = [], []
    for role, purposes in roles.items():
        name = role.rpartition("/")[2]
        if f":{account}:" not in role:
            unread.append(f"{name} is in another account")
            continue
        try:
            description = session.client("iam").get_role(RoleName=name)["Role"]
            policy = description["AssumeRolePolicyDocument"]
            problem = find_problem(policy, repository, purposes)
        except UnknownPolicyError as error:
            unread.append(f"the trust policy of {name} has {error}")
            continue
        except (BotoCoreError, ClientError) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            if code == "NoSuchEntity":
                return report_missing(
                    "trust", f"the role {role} does not exist", f"create it; {_PAGE}"
                )
            unread.append(f"{name} cannot be read ({code or type(error).__name__})")
            continue
        if description["Arn"] != role:
            fix = f"use {description['Arn']} as the answer, or create the role with that path"
            return report_missing("trust", f"the role {role} does not exist", fix)
        if problem:
            kind = "release role" if purposes == {"release"} else "build role"
            return report_missing("trust", f"{name} {problem}", f"{_PAGE}: Trust of the {kind}")
        trusting.append(name)
    if unread:
        return report_skipped("trust", "; ".join(unread))
    verb = "trust" if len(trusting) > 1 else "trusts"
    return report_ok("trust", f"{' and '.join(trusting)} {verb} this repository")
