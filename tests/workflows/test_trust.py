"""Which tokens the documented trust policies accept, and that the workflow sends such tokens."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from rig.aws.trust import AUDIENCE, GITHUB_COM, Hosted, documented, is_trusted
from rig.repositories.build_reports import REPOSITORY
from rig.repositories.template import ROOT

NEW = Hosted(REPOSITORY)
OLD = Hosted(REPOSITORY, immutable=False)
OWNER, NAME = REPOSITORY.split("/")
SERVER = Hosted(REPOSITORY, immutable=False, issuer="ghes.example.com/_services/token")

PAGES = {
    "build": ("pipeline.md", "Trust of the build role"),
    "release": ("pipeline.md", "Trust of the release role"),
    "server": ("pipeline.md", "Trust on an Enterprise Server"),
    "publish": ("toolkit.md", "Trust of the publishing role"),
}
BRANCH = ("push", "refs/heads/main")
PULL = ("pull_request", "refs/pull/7/merge")
TAG = ("release", "refs/tags/v1.2.3")
EVENTS = [
    BRANCH,
    ("schedule", "refs/heads/main"),
    ("workflow_dispatch", "refs/heads/feature/x"),
    ("push", "refs/heads/refs/tags/v1"),
    ("push", "refs/heads/v1.2.3"),
    PULL,
    TAG,
    ("workflow_dispatch", "refs/tags/v1.2.3"),
    ("workflow_dispatch", "refs/tags/other"),
]


def policy(role: str, repository: Hosted = NEW) -> dict[str, Any]:
    """Return a documented trust policy, filled in for a repository."""
    page, heading = PAGES[role]
    return documented(page, heading, repository)


@pytest.mark.parametrize("repository", [NEW, OLD], ids=["new", "old"])
@pytest.mark.parametrize(("event", "ref"), EVENTS)
def test_roles_admit_their_events(repository: Hosted, event: str, ref: str) -> None:
    """The build role admits every run of the repository, the release role tags v* alone.

    Both the subject with numeric IDs, which github.com sends for repositories created since
    15 July 2026, and the one without are accepted.  (issue 9, review R5)
    """
    token = repository.token(event, ref)
    assert is_trusted(policy("build"), token)
    assert is_trusted(policy("release"), token) == ref.startswith("refs/tags/v")


STRANGERS = {
    "another-repository": replace(NEW, full_name=f"{OWNER}/other", repository_id="3"),
    "a-name-that-begins-the-same": replace(NEW, full_name=f"{REPOSITORY}-test", repository_id="3"),
    "a-name-that-ends-the-same": replace(NEW, full_name=f"{OWNER}/x{NAME}", repository_id="3"),
    "an-owner-that-begins-the-same": replace(
        NEW, full_name=f"{OWNER}-2/{NAME}", owner_id="3", repository_id="4"
    ),
    "an-owner-that-ends-the-same": replace(
        NEW, full_name=f"x-{OWNER}/{NAME}", owner_id="3", repository_id="4"
    ),
    "a-recreated-owner": replace(NEW, owner_id="3", repository_id="4"),
    "a-recreated-repository": replace(NEW, repository_id="4"),
    "another-owner-s-id-alone": replace(NEW, owner_id="3"),
    "an-id-that-begins-the-same": replace(NEW, repository_id=NEW.repository_id + "0"),
    "a-fork": replace(NEW, full_name=f"stranger/{NAME}", owner_id="3", repository_id="4"),
    "another-case": replace(NEW, full_name=REPOSITORY.upper(), owner_id="3", repository_id="4"),
    "its-id-in-the-name": replace(
        NEW, full_name=f"{OWNER}/{NAME}.{NEW.repository_id}", repository_id="4"
    ),
}


@pytest.mark.parametrize("immutable", [True, False], ids=["new", "old"])
@pytest.mark.parametrize("role", ["build", "release", "publish"])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_no_other_repository_is_trusted(role: str, stranger: str, immutable: bool) -> None:
    """No repository but this one assumes a role, whatever its name and that of its owner.

    (issue 9)
    """
    token = replace(STRANGERS[stranger], immutable=immutable).token(
        *TAG, environment="toolkit" if role == "publish" else ""
    )
    assert not is_trusted(policy(role), token)


@pytest.mark.parametrize("repository", [NEW, OLD], ids=["new", "old"])
def test_publishing_role_admits_its_environment_alone(repository: Hosted) -> None:
    """The publishing role of the toolkit admits the environment `toolkit` and nothing else.

    (issue 9)
    """
    trust = policy("publish")
    assert is_trusted(trust, repository.token(*TAG, environment="toolkit"))
    for token in (
        repository.token(*TAG),
        repository.token(*BRANCH),
        repository.token(*BRANCH, environment="toolkit-2"),
        repository.token(*BRANCH, environment="x:environment:toolkit"),
    ):
        assert not is_trusted(trust, token)


def test_enterprise_server_is_trusted_by_its_own_issuer() -> None:
    """The policy for an Enterprise Server admits its tokens, and none of github.com.

    (issue 9)
    """
    trust = policy("server", SERVER)
    assert is_trusted(trust, SERVER.token(*BRANCH))
    assert is_trusted(trust, SERVER.token(*PULL))
    for stranger in STRANGERS.values():
        if stranger.full_name != REPOSITORY:  # names are all that its subjects have
            token = replace(stranger, immutable=False, issuer=SERVER.issuer).token(*BRANCH)
            assert not is_trusted(trust, token)
    assert not is_trusted(trust, OLD.token(*BRANCH))
    assert not is_trusted(policy("build"), SERVER.token(*BRANCH))
    # STS knows no numeric IDs there: with them in the conditions nothing would be accepted.
    assert GITHUB_COM not in json.dumps(trust)
    assert "_id" not in json.dumps(trust)


@pytest.mark.parametrize("role", PAGES)
def test_tokens_for_others_are_not_accepted(role: str) -> None:
    """A token that was requested for another audience is rejected.

    (issue 9)
    """
    repository = SERVER if role == "server" else NEW
    environment = "toolkit" if role == "publish" else ""
    own = repository.token(*TAG, environment=environment)
    other = repository.token(*TAG, environment=environment, audience="https://github.com/acme")
    trust = policy(role, repository)
    assert (is_trusted(trust, own), is_trusted(trust, other)) == (True, False)
    assert own["aud"] == AUDIENCE


# Pattern, and whom it lets in: the table of docs/pipeline.md.
UNSAFE = {
    "repo:{owner}/*": replace(OLD, full_name=f"{OWNER}/other"),
    "repo:{owner}*/{name}:*": replace(OLD, full_name=f"{OWNER}-2/{NAME}"),
    "repo:*/{name}:*": replace(OLD, full_name=f"stranger/{NAME}"),
    "repo:{owner}/{name}*": replace(OLD, full_name=f"{OWNER}/{NAME}-test"),
    "repo:{owner}@*/{name}@*:*": replace(NEW, owner_id="3", repository_id="4"),
    "repo:{owner}/{name}:*": replace(OLD, owner_id="3", repository_id="4"),
}


@pytest.mark.parametrize("pattern", UNSAFE)
def test_wildcards_of_the_table_let_others_in(pattern: str) -> None:
    """Each subject that docs/pipeline.md warns of accepts another repository, as it states.

    None of them is in a documented policy.  (issue 9)
    """
    subject = pattern.format(owner=OWNER, name=NAME)
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::1:oidc-provider/{GITHUB_COM}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringLike": {f"{GITHUB_COM}:sub": subject}},
            }
        ]
    }
    assert is_trusted(trust, UNSAFE[pattern].token(*BRANCH))
    text = (ROOT / "docs/pipeline.md").read_text()
    assert f"| `{pattern.format(owner='ORGANIZATION', name='packer-ami-NAME')}`" in text


def test_documented_subjects_have_wildcards_at_their_end_only() -> None:
    """In the documented policies `*` follows the whole name of the repository.

    (issue 9)
    """
    found = 0
    for page in ("pipeline.md", "toolkit.md"):
        for block in re.findall(r"```json\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S):
            for subject in re.findall(r'"(repo:[^"]+)"', block):
                found += 1
                assert re.fullmatch(
                    r"repo:ORGANIZATION(@OWNER_ID)?/(packer-ami-NAME|template-packer-ami)"
                    r"(@REPOSITORY_ID)?:(\*|ref:refs/tags/v\*|environment:toolkit)",
                    subject,
                ), subject
    assert found == 7
