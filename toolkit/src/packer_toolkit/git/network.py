"""Timeouts of git commands that use a network, so that each one ends."""

from __future__ import annotations

import os

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, is_on_terminal

SECONDS = "PACKER_TOOLKIT_GIT_TIMEOUT"
"""Environment variable with another timeout in seconds, for slow networks."""

_QUERY, _QUERY_ON_TERMINAL, _TRANSFER = 30.0, 300.0, 1800.0
# Below one byte per second for a minute, the connection is dead.
_STALLED = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "60"}


def limit_query(git: Git, most: float | None = None) -> Git:
    """Return git with a timeout for a short query, such as git ls-remote.

    Args:
        git: Git in a folder.
        most: Upper limit of the timeout in seconds; git does not ask for a password then.

    Raises:
        SetupError: The variable `SECONDS` is not a number.
    """
    if most is not None:
        limit = min(_read_limit(_QUERY), most)
        return _limit(git.with_env(GIT_TERMINAL_PROMPT="0"), limit)
    # A user needs time to type a password, or to touch a key.
    return _limit(git, _read_limit(_QUERY_ON_TERMINAL if is_on_terminal() else _QUERY))


def limit_transfer(git: Git) -> Git:
    """Return git with a timeout for transfers, such as git clone.

    Raises:
        SetupError: The variable `SECONDS` is not a number.
    """
    return _limit(git, _read_limit(_TRANSFER))


def _limit(git: Git, seconds: float) -> Git:
    stalled = {name: value for name, value in _STALLED.items() if name not in os.environ}
    return git.with_env(**stalled).with_timeout(seconds)


def _read_limit(default: float) -> float:
    text = os.environ.get(SECONDS, "").strip()
    try:
        seconds = float(text or default)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise SetupError(f'{SECONDS} is "{text}"; set it to a number of seconds, such as 300')
    return seconds
