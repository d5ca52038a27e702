"""The doctor's look at the workflows: the subject that they send, and the roles that trust it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packer_toolkit.environment.role_trust import Hosted, UnknownPolicyError, problem_of
from packer_toolkit.errors import ToolkitError
from packer_toolkit.github import oidc

_PATIENCE = 10  # seconds; a missing answer blocks nothing
_TOKEN = "GitHub was not asked; with a token it is: GH_TOKEN=$(gh auth token) task doctor"  # noqa: S105 - a hint
_PAGE = 'see "Roles and whom they trust" in docs/pipeline.md of the template'


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        state: as of a check of the doctor.
        found: in a few words.
        fix: what to do.
        repository: that GitHub described, when it did.
        roles: ARN of a role -> what it is for.
    """

    state: str
    found: str
    fix: str | None = None
    repository: Hosted | None = None
    roles: Mapping[str, set[str]] | None = None


def find_subject(root: Path | None) -> Finding:
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
        return Finding("skipped", "no answers of the template, so no workflow is known")
    name = os.environ.get("GITHUB_REPOSITORY") or f"{owner}/packer-ami-{answers.get('image_name')}"
    if not read_token():
        return Finding("skipped", _TOKEN)
    from packer_toolkit.github.client import RepositoryAccess, translate_github_errors

    address = os.environ.get("GITHUB_API_URL") or oidc.get_api_url(host)
    try:
        github = RepositoryAccess(name, read_token(), address, _PATIENCE).connect()
        subject = oidc.read_subject(github, name)
        own = oidc.read_token_subject(os.environ)
        ids = subject.ids
        if ids is None and oidc.get_issuer(host) == oidc.get_issuer("github.com"):
            with translate_github_errors("read the repository"):
                ids = str(github.id), str(github.owner.id)
    except ToolkitError as error:
        return Finding("skipped", str(error))
    if subject.claims:
        return Finding(
            "skipped",
            f"{own or subject.prefix}, customized with the claims {', '.join(subject.claims)}: "
            "compare it with the trust policies yourself",
        )
    return Finding(
        "ok", own or f"{subject.prefix}:…", None, Hosted(name, subject, host, ids), roles
    )


def compare_trust(subject: Finding, session: Any, account: str) -> Finding:
    """Compare the trust policies of the roles with the subject, as far as they may be read.

    Args:
        subject: what `find_subject` found.
        session: of boto3, with the personal role.
        account: ID of the account of the session.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if subject.repository is None or not subject.roles:
        return Finding("skipped", "needs the subject")
    trusting, unread = [], []
    for role, purposes in subject.roles.items():
        name = role.rpartition("/")[2]
        if f":{account}:" not in role:
            unread.append(f"{name} is in another account")
            continue
        try:
            answer = session.client("iam").get_role(RoleName=name)["Role"]
            problem = problem_of(answer["AssumeRolePolicyDocument"], subject.repository, purposes)
        except UnknownPolicyError as error:
            unread.append(f"the trust policy of {name} has {error}")
            continue
        except (BotoCoreError, ClientError) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            if code == "NoSuchEntity":
                return Finding("missing", f"the role {role} does not exist", f"create it; {_PAGE}")
            unread.append(f"{name} cannot be read ({code or type(error).__name__})")
            continue
        if answer["Arn"] != role:
            fix = f"use {answer['Arn']} as the answer, or create the role with that path"
            return Finding("missing", f"there is no role {role}", fix)
        if problem:
            wanted = "release role" if purposes == {"release"} else "build role"
            return Finding("missing", f"{name} {problem}", f"{_PAGE}: Trust of the {wanted}")
        trusting.append(name)
    if unread:
        return Finding("skipped", "; ".join(unread))
    verb = "trust" if len(trusting) > 1 else "trusts"
    return Finding("ok", f"{' and '.join(trusting)} {verb} this repository")
