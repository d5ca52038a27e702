"""Where the engine is that builds in containers: on this machine, or on another one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping

# As toolkit.sh has it.
REMOTE_ALLOWED = "TOOLKIT_REMOTE_ENGINE"
_OF_THIS_MACHINE = re.compile(
    r"(?:(?:unix|fd|npipe):.*|[a-z]+://(?:[^/@]*@)?(?:localhost|127\.[\d.]+|\[::1\])(?:[:/].*)?)?"
)


def find_remote_address(engine: str, values: Mapping[str, str]) -> str | None:
    """Return the address of an engine on another machine, which cannot mount this repository.

    Args:
        engine: the command, one of Docker.
        values: the repository's settings and the environment.

    Returns:
        None when it is on this machine, or when a remote one is allowed.
    """
    if values.get(REMOTE_ALLOWED) == "true":
        return None
    address = values.get("DOCKER_HOST") or _ask_context(engine)
    return None if _OF_THIS_MACHINE.fullmatch(address) else address


def _ask_context(engine: str) -> str:
    command = [engine, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
