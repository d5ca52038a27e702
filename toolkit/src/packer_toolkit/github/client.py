"""Call GitHub's REST API, on github.com and on an Enterprise Server, within a time limit.

PyGithub makes the requests.  This module adds the time limit, and turns every failure into an error
of one line.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import github
import requests
from github import Auth, Github, GithubException, IncompletableObject
from github.GithubRetry import GithubRetry
from github.Repository import Repository
from urllib3.response import BaseHTTPResponse

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.text.lines import join_lines

# Both log each attempt, with the text of GitHub's answer; the one line of the error is enough.
for _name in ("github", "urllib3"):
    logging.getLogger(_name).setLevel(logging.ERROR)

_REQUEST_SECONDS = 15


@dataclass(frozen=True)
class RepositoryAccess:
    """A repository on GitHub, and what is needed to call the API for it.

    Attributes:
        repository: OWNER/NAME.
        token: Token of a job or of a user.
        api_url: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server.
        timeout: Seconds after which no request is repeated; waiting for rate limits counts.
    """

    repository: str
    token: str
    api_url: str = "https://api.github.com"
    timeout: float = 120

    def connect(self) -> Repository:
        """Return PyGithub's object of the repository, without a request.

        Raises:
            SetupError: When the repository, the token or the URL is missing or not valid.
        """
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository):
            raise SetupError(
                f'"{self.repository}" is not a repository: give --repository OWNER/NAME '
                "(or GITHUB_REPOSITORY)"
            )
        return create_client(self.token, self.api_url, self.timeout).get_repo(self.repository)


def create_client(token: str, api_url: str, timeout: float) -> Github:
    """Create a client that makes no request yet, and stops repeating requests in time.

    Args:
        token: Token of a job or of a user.
        api_url: See `RepositoryAccess`.
        timeout: See `RepositoryAccess`; it counts from now, because a command uses one client.

    Raises:
        SetupError: When there is no token, or the URL is not valid.
    """
    if not token:
        raise SetupError("a token for GitHub is missing: set GITHUB_TOKEN")
    if not re.match(r"https?://[^/\s:]+(:\d+)?(/|$)", api_url):
        raise SetupError(
            f'"{api_url}" is not the URL of an API: give --api-url https://HOST/api/v3 '
            "(or GITHUB_API_URL)"
        )
    return Github(
        auth=Auth.Token(token),
        base_url=api_url.rstrip("/"),
        per_page=100,
        retry=_BoundedRetry(end=time.monotonic() + timeout),
        # The retry handles rate limits.
        seconds_between_requests=None,
        seconds_between_writes=None,
        timeout=max(1, min(_REQUEST_SECONDS, int(timeout))),
        lazy=True,
    )


class _BoundedRetry(GithubRetry):
    """A retry that stops when the next wait would end after the time limit.

    It repeats requests after errors of the server, rate limits and lost connections.  It repeats
    POST and PATCH too: the code that opens an issue looks for a second one afterwards.
    """

    def __init__(self, end: float, **options: Any) -> None:
        self.end = end
        if "total" not in options:  # `new` passes all options
            options = {
                "total": 4,  # after the first attempt
                "backoff_factor": 1,  # second, doubled for each attempt
                "status_forcelist": [429, *range(500, 600)],
                "allowed_methods": {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"},
                "raise_on_status": False,
                "secondary_rate_wait": 60,  # seconds
                "max_rate_limit_wait": max(0.0, end - time.monotonic()),
                **options,
            }
        super().__init__(**options)

    def new(self, **options: Any) -> _BoundedRetry:
        """Return the retry of the next attempt."""
        return super().new(end=self.end, **options)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait before the next attempt.

        Raises:
            RemoteError: When the wait would end after the time limit.
        """
        requested = self.get_retry_after(response) if response else None
        wait = requested or self.get_backoff_time()
        if time.monotonic() + wait <= self.end:
            time.sleep(wait)
            return
        lost = None if response else self.history[-1].error if self.history else None
        if lost:
            # urllib3 begins with the class and address of its connection.
            reason = re.sub(r"^.*?[)>]: ", "", join_lines(str(lost)))
            raise RemoteError(
                f"GitHub cannot be reached: {reason}; check the network, a VPN or a proxy"
            )
        problem = f"asks to wait {requested:.0f} s" if requested else "keeps returning errors"
        raise RemoteError(
            f"GitHub {problem}, and the time limit is reached: try again later, or raise --timeout"
        )


_REASONS = {
    401: "the token is not valid or has expired",
    403: "the token lacks a permission: check the permissions of the job",
    404: "it does not exist, or the token cannot read it",
    410: "the feature is disabled in this repository",
    422: "GitHub did not accept the request",
    429: "too many requests: try again later",
}


_PYGITHUB = Path(github.__file__).parent
_FOREIGN_ANSWER = (
    "the answer is not from GitHub's API; check GITHUB_API_URL (https://HOST/api/v3 on an "
    "Enterprise Server), the proxy, and whether the server is under maintenance"
)


@contextmanager
def translate_github_errors(action: str) -> Iterator[None]:
    """Turn every failure of a request to GitHub into an error of one line.

    Args:
        action: What the block does, such as "open an issue".

    Raises:
        RemoteError: In place of errors of PyGithub and of the connection.
    """
    try:
        yield
    except IncompletableObject as error:
        raise RemoteError(f"cannot {action}: {_FOREIGN_ANSWER}") from error
    except GithubException as error:
        message = error.data.get("message", "") if isinstance(error.data, dict) else ""
        answer = f"{error.status} {join_lines(message or error.message or '')[:200]}".strip()
        reason = _REASONS.get(error.status, "GitHub failed: try again later")
        raise RemoteError(f"cannot {action}: {answer}: {reason}") from error
    except requests.RequestException as error:
        line = f"{type(error).__name__}: {join_lines(str(error))}"[:200]
        raise RemoteError(f"cannot {action}: GitHub cannot be reached ({line})") from error
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        # PyGithub fails so on the page of a login, a proxy or a server under maintenance.
        frames = traceback.extract_tb(error.__traceback__)
        if not any(Path(frame.filename).parent == _PYGITHUB for frame in frames):
            raise
        raise RemoteError(f"cannot {action}: {_FOREIGN_ANSWER}") from error


def require_answer(action: str, value: object) -> None:
    """Make sure that GitHub answered with what it created.

    Args:
        action: What was done, such as "open an issue".
        value: A value of the answer that GitHub always sends, such as the number of the issue.

    Raises:
        RemoteError: When the value is missing, because another server answered.
    """
    if not value:
        raise RemoteError(f"cannot {action}: {_FOREIGN_ANSWER}")
