"""GitHub's REST API: github.com and Enterprise Server, with bounded patience.

PyGithub does the speaking.  What is added here is that nobody waits longer than the caller allows,
and that whatever goes wrong is one line.
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

# What they say about each attempt is less than the one line at the end; PyGithub prints it, with
# whatever stands in GitHub's answer.
for _name in ("github", "urllib3"):
    logging.getLogger(_name).setLevel(logging.ERROR)

_ATTEMPTS = 5
_BACKOFF_SECONDS = 1
_SECONDARY_LIMIT_SECONDS = 60
_REQUEST_SECONDS = 15


@dataclass(frozen=True)
class Place:
    """A repository on a GitHub, and the right to speak to it.

    Attributes:
        repository: owner/name.
        token: of a job or of a person.
        api_url: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server.
        patience: seconds after which nothing is tried again, waiting for rate limits included.
    """

    repository: str
    token: str
    api_url: str = "https://api.github.com"
    patience: float = 120

    def connect(self) -> Repository:
        """Return the repository, without asking for it.

        Raises:
            SetupError: when the repository, the token or the address is not given, or is none.
        """
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository):
            raise SetupError(
                f'"{self.repository}" is no repository: give --repository OWNER/NAME '
                "(or GITHUB_REPOSITORY)"
            )
        return client(self.token, self.api_url, self.patience).get_repo(self.repository)


def client(token: str, api_url: str, patience: float) -> Github:
    """Return a client that gives up in time, and asks nothing before it has to.

    Args:
        token: of a job or of a person.
        api_url: as of `Place`.
        patience: as of `Place`, counted from now: a command speaks to GitHub once, not for a day.

    Raises:
        SetupError: when there is no token, or the address is none.
    """
    if not token:
        raise SetupError("no token for GitHub: set GITHUB_TOKEN")
    if not re.match(r"https?://[^/\s:]+(:\d+)?(/|$)", api_url):
        raise SetupError(
            f'"{api_url}" is no address of an API: give --api-url https://HOST/api/v3 '
            "(or GITHUB_API_URL)"
        )
    return Github(
        auth=Auth.Token(token),
        base_url=api_url.rstrip("/"),
        per_page=100,
        retry=_BoundedRetry(end=time.monotonic() + patience),
        # Limits are met by the retry.
        seconds_between_requests=None,
        seconds_between_writes=None,
        timeout=max(1, min(_REQUEST_SECONDS, int(patience))),
        lazy=True,
    )


class _BoundedRetry(GithubRetry):
    """A retry that gives up when the next wait would end after the caller's patience.

    It tries again what is worth it: errors of the server, rate limits, lost connections; POST and
    PATCH too, because whoever opens an issue looks afterwards whether there are two.
    """

    def __init__(self, end: float, **options: Any) -> None:
        self.end = end
        if "total" not in options:  # else this is `new`, with all of them
            options = {
                "total": _ATTEMPTS - 1,
                "backoff_factor": _BACKOFF_SECONDS,
                "status_forcelist": [429, *range(500, 600)],
                "allowed_methods": {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"},
                "raise_on_status": False,
                "secondary_rate_wait": _SECONDARY_LIMIT_SECONDS,
                "max_rate_limit_wait": max(0.0, end - time.monotonic()),
                **options,
            }
        super().__init__(**options)

    def new(self, **options: Any) -> _BoundedRetry:
        """Return the retry of the next attempt."""
        return super().new(end=self.end, **options)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait before the next attempt, or give up."""
        asked = self.get_retry_after(response) if response else None
        wait = asked or self.get_backoff_time()
        if time.monotonic() + wait > self.end:
            lost = None if response else self.history[-1].error if self.history else None
            if lost:
                # urllib3 begins with the connection's own name.
                reason = re.sub(r"^.*?[)>]: ", "", " ".join(str(lost).split()))
                raise RemoteError(
                    f"GitHub cannot be reached: {reason}; check the network, a VPN or a proxy"
                )
            why = f"asks to wait {asked:.0f} s" if asked else "does not answer well"
            raise RemoteError(
                f"GitHub {why}, longer than we may wait: try again later, or raise --timeout"
            )
        time.sleep(wait)


_REASONS = {
    401: "the token is refused: it is wrong, or it has expired",
    403: "the token may not do this: look at the job's permissions",
    404: "there is no such thing, or the token may not see it",
    410: "it is switched off in this repository",
    422: "the request is refused",
    429: "too many requests: try again later",
}


_PYGITHUB = Path(github.__file__).parent
_NO_ANSWER = (
    "the answer is not from GitHub's API; check GITHUB_API_URL (https://HOST/api/v3 on an "
    "Enterprise Server), the proxy, and whether the server is under maintenance"
)


@contextmanager
def speaking(what: str) -> Iterator[None]:
    """Turn whatever GitHub or the network answers into one line.

    Args:
        what: is being done, such as "open an issue".

    Raises:
        RemoteError: instead of errors of PyGithub and of the connection.
    """
    try:
        yield
    except IncompletableObject as error:
        raise RemoteError(f"cannot {what}: {_NO_ANSWER}") from error
    except GithubException as error:
        reason = _REASONS.get(error.status, "GitHub has an error of its own: try again later")
        said = error.data.get("message", "") if isinstance(error.data, dict) else ""
        line = " ".join(f"{said or error.message or ''}".split())[:200]
        answer = f"{error.status} {line}".strip()
        raise RemoteError(f"cannot {what}: {answer}: {reason}") from error
    except requests.RequestException as error:
        line = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        raise RemoteError(f"cannot {what}: GitHub is out of reach ({line})") from error
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        # PyGithub reads what an Enterprise Server under maintenance, a login page or a proxy gives.
        frames = traceback.extract_tb(error.__traceback__)
        if not any(Path(frame.filename).parent == _PYGITHUB for frame in frames):
            raise
        raise RemoteError(f"cannot {what}: {_NO_ANSWER}") from error


def require_answer(what: str, value: object) -> None:
    """Make sure that GitHub has answered with what was created.

    Raises:
        RemoteError: when a value of the answer is missing: it was another server's, or none.
    """
    if not value:
        raise RemoteError(f"cannot {what}: {_NO_ANSWER}")
