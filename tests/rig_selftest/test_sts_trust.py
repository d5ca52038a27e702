"""The stand-in of STS refuses what STS refuses, with its messages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from packer_toolkit.pipeline.advice import suggest_fixes
from rig.aws.trust import AUDIENCE, GITHUB_COM, Hosted, Sts, is_trusted

HERE = Hosted("acme/packer-ami-web")
ROLE = "arn:aws:iam::111122223333:role/packer-ami-builder"
STS = Sts.documented(HERE, ROLE, ROLE)
TOKEN = HERE.token("push", "refs/heads/main")
REJECTED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


def test_role_is_assumed() -> None:
    """A role that trusts the run is assumed, for as long as it allows."""
    assert STS.refusal(ROLE, 3600, TOKEN) == ""
    assert STS.refusal(ROLE, 12 * 3600, TOKEN) == ""


@pytest.mark.parametrize(
    ("sts", "role", "seconds", "token", "message"),
    [
        (STS, ROLE + "-2", 3600, TOKEN, REJECTED),
        (STS, ROLE, 3600, {**TOKEN, "sub": "repo:acme/other:ref:refs/heads/main"}, REJECTED),
        (STS, ROLE, 3600, {**TOKEN, "repository_id": "3"}, REJECTED),
        (STS, "packer-ami-builder", 3600, TOKEN, "Request ARN is invalid"),
        (STS, "", 3600, TOKEN, "Request ARN is invalid"),
        (STS, ROLE, 3600, {**TOKEN, "aud": "x"}, "Incorrect token audience"),
        (
            replace(STS, providers={}),
            ROLE,
            3600,
            TOKEN,
            f"No OpenIDConnect provider found in your account for https://{GITHUB_COM}",
        ),
        (
            replace(STS, longest=3600),
            ROLE,
            7200,
            TOKEN,
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ),
    ],
)
def test_role_is_refused_with_the_message_of_sts(
    sts: Sts, role: str, seconds: int, token: dict[str, str], message: str
) -> None:
    """Each refusal has the message of STS, which the advice on errors knows.

    (issue 9)
    """
    assert sts.refusal(role, seconds, token) == message
    assert suggest_fixes([message]) != suggest_fixes(["Could not assume role with OIDC"])
    assert len(suggest_fixes([message])) == 1


def test_state_survives_being_written(tmp_path: Path) -> None:
    """What the stand-in of the action reads is what the test has set."""
    STS.write(tmp_path / "sts.json")
    assert Sts.read(tmp_path / "sts.json") == STS


def test_wildcards_are_those_of_iam() -> None:
    """`*` also stands for slashes, `?` for one character, and brackets for themselves."""

    def trusts(pattern: str) -> bool:
        provider = f"arn:aws:iam::111122223333:oidc-provider/{GITHUB_COM}"
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{GITHUB_COM}:aud": AUDIENCE},
                "StringLike": {f"{GITHUB_COM}:sub": pattern},
            },
        }
        return is_trusted({"Statement": [statement]}, TOKEN)

    assert trusts("repo:*:ref:refs/heads/main")
    assert trusts("repo:acme@????/*")
    assert not trusts("repo:acme@???/*")
    assert not trusts("repo:acme[@]*")
    assert not trusts("REPO:*")


def test_trust_in_github_without_a_subject_is_refused() -> None:
    """IAM accepts no trust policy for GitHub that does not compare the subject."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{GITHUB_COM}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{GITHUB_COM}:repository_id": "2002"}},
    }
    with pytest.raises(ValueError, match="does not test the subject"):
        is_trusted({"Statement": [statement]}, TOKEN)
