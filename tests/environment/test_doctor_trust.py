"""The doctor compares the subject of the workflows with the trust policies of their roles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from packer_toolkit.environment import role_trust
from packer_toolkit.environment.machine import Check
from packer_toolkit.environment.role_trust import HostedRepository, UnknownPolicyError, find_problem
from packer_toolkit.environment.workflow_roles import WorkflowSubject, compare_trust, find_subject
from packer_toolkit.github.oidc import Subject
from rig.aws import Ec2, trust
from rig.github import GitHub, Repository

NAME = "acme/packer-ami-web"
ACCOUNT = "111122223333"
BUILDER, RELEASER = (
    f"arn:aws:iam::{ACCOUNT}:role/packer-ami-{what}er" for what in ("build", "releas")
)
NEW = trust.Hosted(NAME)
OLD = trust.Hosted(NAME, immutable=False)
SERVER = trust.Hosted(NAME, immutable=False, issuer="ghes.example.com/_services/token")
PAGES = {"build": "Trust of the build role", "release": "Trust of the release role"}


def hosted(repository: trust.Hosted) -> HostedRepository:
    """Return the product's view of a repository of the rig."""
    on_server = repository.issuer != trust.GITHUB_COM
    return HostedRepository(
        NAME,
        Subject(repository.prefix),
        "ghes.example.com" if on_server else "github.com",
        None if on_server else (repository.repository_id, repository.owner_id),
    )


def policy(*subjects: str, operator: str = "StringLike", **more: Any) -> dict[str, Any]:
    """Return a trust policy that compares the subject alone."""
    conditions: dict[str, Any] = {operator: {f"{trust.GITHUB_COM}:sub": list(subjects)}}
    conditions.update(more)
    return {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::1:oidc-provider/{trust.GITHUB_COM}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": conditions,
            }
        ]
    }


@pytest.mark.parametrize("repository", [NEW, OLD], ids=["new", "old"])
@pytest.mark.parametrize("purpose", PAGES)
def test_documented_policies_fit(repository: trust.Hosted, purpose: str) -> None:
    """Nothing is wrong with the documented policies, in repositories of both forms.

    (issue 9)
    """
    documented = trust.documented("pipeline.md", PAGES[purpose], repository)
    assert find_problem(documented, hosted(repository), {purpose}) is None


def test_documented_policy_of_an_enterprise_server_fits() -> None:
    """Nothing is wrong with the documented policy for an Enterprise Server.

    (issue 9)
    """
    documented = trust.documented("pipeline.md", "Trust on an Enterprise Server", SERVER)
    assert find_problem(documented, hosted(SERVER), {"build"}) is None


WRONG: dict[str, tuple[Mapping[str, Any], set[str], str]] = {
    "the-old-form-alone": (policy(f"repo:{NAME}:*"), {"build"}, "rejects repo:acme@1001/"),
    "branches-alone": (policy(f"{NEW.prefix}:ref:*"), {"build"}, ":pull_request"),
    "another-repository": (policy("repo:acme@1001/other@3:*"), {"build"}, "rejects"),
    "another-issuer": (
        json.loads(json.dumps(policy(f"{NEW.prefix}:*")).replace(trust.GITHUB_COM, "x.example")),
        {"build"},
        "rejects",
    ),
    "a-wildcard-without-like": (
        policy(f"{NEW.prefix}:*", operator="StringEquals"),
        {"build"},
        "rejects",
    ),
    "an-owner-s-beginning": (policy("repo:acme*/packer-ami-web@*:*"), {"build"}, "another owner"),
    "any-owner": (policy("repo:*/packer-ami-web@*:*"), {"build"}, "repo:acme-2@1/"),
    "any-id": (policy("repo:acme@*/packer-ami-web@*:*"), {"build"}, "repo:acme@1/"),
    "everything": (policy("*"), {"build"}, "another owner"),
    "a-release-from-any-branch": (policy(f"{NEW.prefix}:*"), {"release"}, "every branch"),
    "a-release-from-main": (policy(f"{NEW.prefix}:ref:refs/heads/main"), {"release"}, "rejects"),
}
RIGHT: dict[str, tuple[Mapping[str, Any], set[str]]] = {
    "one-role-for-both": (policy(f"{NEW.prefix}:*"), {"build", "release"}),
    "all-of-the-organization": (policy("repo:acme@1001/*:*"), {"build"}),
    "tags-without-v": (policy(f"{NEW.prefix}:ref:refs/tags/2*"), {"release"}),
    "an-environment": (policy(f"{NEW.prefix}:environment:prod"), {"release"}),
    "any-value": (policy(f"{NEW.prefix}:*", operator="ForAnyValue:StringLike"), {"build"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_policy_that_rejects_or_admits_too_much_is_found(name: str) -> None:
    """A policy that rejects the repository, admits another owner or any branch is named.

    (issue 9, review R5)
    """
    document, purposes, part = WRONG[name]
    assert part in (find_problem(document, hosted(NEW), purposes) or "")


@pytest.mark.parametrize("name", RIGHT)
def test_policy_of_another_form_that_fits_is_accepted(name: str) -> None:
    """A policy that a team wrote in its own way is not reported.

    (issue 9)
    """
    document, purposes = RIGHT[name]
    assert find_problem(document, hosted(NEW), purposes) is None


@pytest.mark.parametrize(
    "document",
    [
        policy(f"{NEW.prefix}:*", StringNotLike={f"{trust.GITHUB_COM}:sub": "x"}),
        policy(f"{NEW.prefix}:*", StringEquals={f"{trust.GITHUB_COM}:job_workflow_ref": "x"}),
        {"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*"}},
    ],
    ids=["operator", "key", "deny"],
)
def test_policy_that_cannot_be_evaluated_is_not_judged(document: Mapping[str, Any]) -> None:
    """An operator or key that is not known here is an answer of its own, not a verdict.

    (issue 9)
    """
    with pytest.raises(UnknownPolicyError):
        find_problem(document, hosted(NEW), {"build"})


@pytest.mark.parametrize("event", [("push", "refs/heads/main"), ("release", "refs/tags/v1.0.0")])
@pytest.mark.parametrize("name", sorted({*WRONG, *RIGHT} - {"any-value"}))
def test_evaluation_agrees_with_the_stand_in_of_sts(name: str, event: tuple[str, str]) -> None:
    """The doctor's evaluation and the rig's give the same answer.

    (issue 9)
    """
    document = {**WRONG, **RIGHT}[name][0]
    token = hosted(NEW).make_token(f"ref:{event[1]}")
    ours = role_trust.is_trusted(document, trust.GITHUB_COM, token)
    assert ours == trust.is_trusted(document, NEW.token(*event))


# --- With GitHub and IAM ------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, github: GitHub) -> Path:
    """Return a repository that was made from the template, and has a token of GitHub."""
    answers = {
        "_src_path": "gh:acme/template",
        "_commit": "v1.0.0",
        "aws_build_role": BUILDER,
        "aws_release_role": RELEASER,
        "github_host": "github.com",
        "github_organization": "acme",
        "image_name": "web",
        "parent_image": "debian-12",
        "aws_management_account": "111122223333",
    }
    (tmp_path / ".copier-answers.yml").write_text(yaml.safe_dump(answers))
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GH_TOKEN", "of-a-developer")
    return tmp_path


@pytest.fixture
def new(github: GitHub) -> Repository:
    """Return the repository on github.com, created lately."""
    repository = github.repository(NAME)
    repository.oidc_subject = {"use_default": True, "sub_claim_prefix": NEW.prefix}
    return repository


class Session:
    """A session of boto3 in an account of the rig."""

    def __init__(self, ec2: Ec2) -> None:
        import boto3

        sts = ec2.client("sts")
        role = f"arn:aws:iam::{ACCOUNT}:role/personal"
        keys = sts.assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
        self.session = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "eu-west-1"
        )
        self.endpoint = ec2.env["AWS_ENDPOINT_URL"]

    def client(self, service: str) -> Any:
        """Return a client of the rig."""
        return self.session.client(service, endpoint_url=self.endpoint)


def create_roles(session: Session, **trusts: Mapping[str, Any]) -> None:
    """Create roles by their names, without packer-ami-."""
    for name, document in trusts.items():
        session.client("iam").create_role(
            RoleName=f"packer-ami-{name}", AssumeRolePolicyDocument=json.dumps(document)
        )


def test_doctor_compares_both_roles(ec2: Ec2, root: Path, new: Repository) -> None:
    """The roles of builds and of releases are compared with what they are for.

    (issue 9, review R5)
    """
    session = Session(ec2)
    subject = find_subject(root)
    assert (subject.check.state, subject.check.found) == ("ok", f"{NEW.prefix}:…")
    found = compare(subject, session)
    assert (found.state, found.found) == ("missing", f"the role {BUILDER} does not exist")
    create_roles(
        session,
        builder=trust.documented("pipeline.md", PAGES["build"], NEW),
        releaser=policy(f"{NEW.prefix}:*"),
    )
    found = compare(with_ids(subject), session)
    assert found.state == "missing"
    assert "packer-ami-releaser trusts every branch" in found.found
    assert "Trust of the release role" in str(found.fix)
    session.client("iam").update_assume_role_policy(
        RoleName="packer-ami-releaser",
        PolicyDocument=json.dumps(trust.documented("pipeline.md", PAGES["release"], NEW)),
    )
    found = compare(with_ids(subject), session)
    assert found.found == "packer-ami-builder and packer-ami-releaser trust this repository"


def compare(subject: WorkflowSubject, session: Any, account: str = ACCOUNT) -> Check:
    """Compare the trust policies with a subject that is known."""
    assert subject.repository
    return compare_trust(subject.repository, subject.roles, session, account)


def with_ids(subject: WorkflowSubject) -> WorkflowSubject:
    """Demand that the IDs were taken from the subject."""
    assert subject.repository is not None
    assert subject.repository.ids == (NEW.repository_id, NEW.owner_id)
    return subject


def test_role_that_may_not_be_read_is_skipped(ec2: Ec2, root: Path, new: Repository) -> None:
    """Without iam:GetRole nothing is reported as missing.

    (issue 9)
    """
    session, subject = Session(ec2), find_subject(root)
    ec2.fault("GetRole", "deny")
    found = compare(subject, session)
    assert found.state == "skipped"
    assert "packer-ami-builder cannot be read" in found.found
    assert compare(subject, session, "444455556666").state == "skipped"


@pytest.mark.parametrize("status", [401, 403, 404, 0])
def test_subject_that_github_withholds_is_skipped(
    root: Path, new: Repository, github: GitHub, status: int
) -> None:
    """Without an answer of GitHub nothing is reported as missing, and the reason is shown.

    (issue 9)
    """
    github.fault("GET", "/customization/sub$", status)
    found = find_subject(root)
    assert (found.check.state, found.repository) == ("skipped", None)
    assert "OIDC subject" in found.check.found or "GitHub cannot be reached" in found.check.found


def test_subject_is_skipped_without_a_token_or_answers(
    root: Path, new: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of a repository of the template, or without a token, the check is skipped.

    (issue 9)
    """
    assert find_subject(None).check.state == "skipped"
    assert find_subject(root / "x").check.state == "skipped"
    monkeypatch.delenv("GH_TOKEN")
    assert "gh auth token" in find_subject(root).check.found


def test_old_repository_of_github_com_has_its_ids_from_the_api(root: Path, github: GitHub) -> None:
    """The numeric IDs that an older subject lacks are read from the repository.

    (issue 9)
    """
    github.repository(NAME).oidc_subject = {"use_default": True, "sub_claim_prefix": OLD.prefix}
    subject = find_subject(root)
    assert subject.repository is not None
    assert all(number.isdigit() for number in subject.repository.ids or ("",))
    assert subject.check.found == f"repo:{NAME}:…"


def test_customized_subject_is_shown_and_not_judged(root: Path, new: Repository) -> None:
    """A subject of claims that the team chose is printed, and compared by the team.

    (issue 9)
    """
    new.oidc_subject = {
        "use_default": False,
        "include_claim_keys": ["repo", "job_workflow_ref"],
        "sub_claim_prefix": NEW.prefix,
    }
    found = find_subject(root)
    assert (found.check.state, found.repository) == ("skipped", None)
    assert "repo, job_workflow_ref" in found.check.found
