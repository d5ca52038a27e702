"""The OIDC subject of a repository and of a run."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from packer_toolkit.errors import RemoteError
from packer_toolkit.github import oidc
from packer_toolkit.github.oidc import Subject

IMMUTABLE = "repo:acme@1/web@2"
JOB = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/?v=1",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
}


def read(answer: Any) -> Subject:
    """Read the subject of acme/web from an answer of GitHub."""
    request = lambda verb, path: (verb, answer)  # noqa: ARG005, E731
    github = SimpleNamespace(requester=SimpleNamespace(requestJsonAndCheck=request))
    return oidc.read_subject(github, "acme/web")


@pytest.mark.parametrize(
    ("answer", "subject"),
    [
        ({"use_default": True, "sub_claim_prefix": f"{IMMUTABLE}:"}, Subject(IMMUTABLE)),
        ({"use_default": True}, Subject("repo:acme/web")),
        (None, Subject("repo:acme/web")),
        ({"use_default": False, "include_claim_keys": ["repo", "context"]},
         Subject("repo:acme/web")),
        ({"use_default": False, "include_claim_keys": ["repo", "actor"]},
         Subject("repo:acme/web", ["repo", "actor"])),
    ],
)  # fmt: skip
def test_subject_of_a_repository(answer: Any, subject: Subject) -> None:
    """The prefix is GitHub's, or the name; customized claims are kept."""
    assert read(answer) == subject


def test_subject_has_two_forms() -> None:
    """A subject with IDs is also accepted without them."""
    assert Subject(IMMUTABLE).prefixes == ["repo:acme/web", IMMUTABLE]
    assert Subject(IMMUTABLE).ids == ("2", "1")
    assert (Subject("repo:acme/web").prefixes, Subject("repo:acme/web").ids) == (
        ["repo:acme/web"],
        None,
    )


def test_subject_of_a_run() -> None:
    """A pull request has a subject of its own; other runs have their ref."""
    subject = Subject("repo:acme/web")
    pull_request = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/1/merge"}
    assert oidc.compose_run_subject(pull_request, subject) == "repo:acme/web:pull_request"
    push = {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"}
    assert oidc.compose_run_subject(push, subject) == "repo:acme/web:ref:refs/heads/main"


def answer_with(value: str) -> Any:
    """Return a function that answers each request with a token."""

    def get(url: str, **options: Any) -> Any:
        assert url == JOB["ACTIONS_ID_TOKEN_REQUEST_URL"]
        assert options["params"] == {"audience": "sts.amazonaws.com"}
        assert options["headers"] == {"Authorization": "Bearer request-token"}
        return SimpleNamespace(raise_for_status=lambda: None, json=lambda: {"value": value})

    return get


def make_token(claims: object) -> str:
    """Return a token without a signature."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.signature"


def test_subject_of_the_jobs_own_token() -> None:
    """A job with id-token: write can read its subject; another job has none."""
    token = make_token({"sub": f"{IMMUTABLE}:environment:x"})
    assert oidc.read_token_subject(JOB, answer_with(token)) == f"{IMMUTABLE}:environment:x"
    assert oidc.read_token_subject({}, answer_with(token)) is None


@pytest.mark.parametrize("value", ["abc", make_token([]), make_token({})])
def test_answer_without_a_subject_is_an_error(value: str) -> None:
    """The error names neither the URL nor the answer."""
    with pytest.raises(RemoteError, match=r"^GitHub issued no OIDC token: \w+; start the run"):
        oidc.read_token_subject(JOB, answer_with(value))


def test_refused_token_is_an_error() -> None:
    """A request that fails is named by its class."""

    def get(*_: Any, **__: Any) -> Any:
        raise requests.ConnectionError("https://token.example/?v=1")

    with pytest.raises(RemoteError, match=r"^GitHub issued no OIDC token: ConnectionError; start"):
        oidc.read_token_subject(JOB, get)
