"""Failures of requests to GitHub become errors of one line, within the time limit."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from github import GithubException
from urllib3.exceptions import NewConnectionError
from urllib3.util.retry import RequestHistory

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.github.client import (
    RepositoryAccess,
    _BoundedRetry,
    create_client,
    require_answer,
    translate_github_errors,
)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GithubException(401, {"message": "Bad credentials"}, {}),
         "401 Bad credentials: the token is not valid or has expired"),
        (GithubException(403, {"message": "No\naccess"}, {}),
         "403 No access: the token lacks a permission: check the permissions of the job"),
        (GithubException(404, "page", {}, "Not Found"),
         "404 Not Found: it does not exist, or the token cannot read it"),
        (GithubException(502, None, {}), "502: GitHub failed: try again later"),
        (requests.ConnectTimeout("slow\nnetwork"),
         "GitHub cannot be reached (ConnectTimeout: slow network)"),
    ],
)  # fmt: skip
def test_each_failure_is_one_line(error: Exception, message: str) -> None:
    """The line has what was tried, GitHub's answer, and the reason."""
    with pytest.raises(RemoteError) as translated, translate_github_errors("open an issue"):
        raise error
    assert str(translated.value) == f"cannot open an issue: {message}"


def test_errors_of_pygithub_on_a_foreign_answer_are_translated() -> None:
    """PyGithub fails with errors of Python on the page of a proxy; other code does not."""
    repository: Any = RepositoryAccess("globex/web", "t").connect()
    with pytest.raises(RemoteError, match="the answer is not from GitHub's API; check"):  # noqa: SIM117
        with translate_github_errors("open an issue"):
            repository.create_issue(title=7)
    with pytest.raises(AttributeError), translate_github_errors("open an issue"):
        repository.no_such_method()  # raised in this file


def test_answer_must_have_what_was_created() -> None:
    """An answer without a number is the answer of another server."""
    require_answer("open an issue", 1)
    with pytest.raises(RemoteError, match="cannot open an issue: the answer is not from GitHub's"):
        require_answer("open an issue", None)


@pytest.mark.parametrize(
    ("access", "message"),
    [
        (RepositoryAccess("web", "t"), '"web" is not a repository: give --repository OWNER/NAME'),
        (RepositoryAccess("a/b", ""), "a token for GitHub is missing: set GITHUB_TOKEN"),
        (RepositoryAccess("a/b", "t", "ghes"), '"ghes" is not the URL of an API: give --api-url'),
    ],
)
def test_missing_settings_are_named(access: RepositoryAccess, message: str) -> None:
    """A wrong call is an error before any request."""
    with pytest.raises(SetupError) as error:
        access.connect()
    assert str(error.value).startswith(message)


def test_connecting_makes_no_request() -> None:
    """The repository is known by its name, on an Enterprise Server too."""
    repository = RepositoryAccess("globex/web", "t", "https://ghes.example/api/v3/").connect()
    assert repository.url.endswith("/repos/globex/web")
    assert create_client("t", "http://localhost:8080", 0.5).requester.base_url.endswith(":8080")


def make_retry(seconds: float, **options: Any) -> _BoundedRetry:
    """Return a retry whose time limit is so many seconds from now."""
    return _BoundedRetry(end=time.monotonic() + seconds, **options)


def test_next_attempt_has_the_same_time_limit() -> None:
    """The time limit counts once for all attempts."""
    retry = make_retry(60)
    assert retry.new(total=2).end == retry.end
    retry.sleep()  # the first attempt is repeated without a wait


def test_wait_beyond_the_time_limit_is_an_error() -> None:
    """A rate limit, errors of the server and a lost connection each have their line."""
    response: Any = SimpleNamespace(headers={"Retry-After": "3600"})
    with pytest.raises(RemoteError, match="GitHub asks to wait 3600 s, and the time limit is reac"):
        make_retry(60).sleep(response)
    with pytest.raises(RemoteError, match=r"GitHub keeps returning errors, .* or raise --timeout"):
        make_retry(-1).sleep()
    lost = NewConnectionError(object(), "Connection refused")  # type: ignore[arg-type]
    history = (RequestHistory("GET", "/", lost, None, None),)
    with pytest.raises(
        RemoteError, match=r"cannot be reached: .*Connection refused; check the net"
    ):
        make_retry(-1, total=1, history=history).sleep()
