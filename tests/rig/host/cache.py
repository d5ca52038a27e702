"""What is expensive to make and is kept between test runs, outside the checkout."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from rig.host.machine import HOST_ENV


def _root() -> Path:
    own = HOST_ENV.get("TEMPLATE_PACKER_AMI_CACHE")
    if own:
        return Path(own)
    shared = HOST_ENV.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "template-packer-ami"


# Taken at import like HOST_ENV: inside a test, HOME is the test's own.
CACHE_ROOT = _root().absolute()


def cache_dir(*parts: str) -> Path:
    """Return a directory of the cache, made when it is missing.

    Args:
        parts: names below the cache's root, outermost first.

    Returns:
        `$TEMPLATE_PACKER_AMI_CACHE/PARTS`; without that variable the root is
        `$XDG_CACHE_HOME/template-packer-ami` or `~/.cache/template-packer-ami`.
    """
    directory = CACHE_ROOT.joinpath(*parts)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def locked(name: str, timeout: float = 45 * 60) -> Iterator[None]:
    """Let one process at a time, of all test runs on this machine, do NAME.

    Args:
        name: what is being made, as a file name.
        timeout: seconds to wait for the other process; a cold Packer build takes 10 minutes.

    Raises:
        filelock.Timeout: when the other process still holds the lock.
    """
    with FileLock(cache_dir("locks") / f"{name}.lock", timeout=timeout):
        yield


def fingerprint(*parts: str | bytes | Path) -> str:
    """Return a short name for exactly these texts and the contents of these files."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            data = part.read_bytes()
        else:
            data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]
