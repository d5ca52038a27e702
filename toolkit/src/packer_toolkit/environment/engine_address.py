"""Find out whether the engine that runs containers is on this machine, or on another one."""

from __future__ import annotations

import re

from packer_toolkit.environment.machine import Machine

# toolkit.sh has the same name and the same rule.
REMOTE_ALLOWED = "TOOLKIT_REMOTE_ENGINE"
_LOCAL = re.compile(
    r"(?:(?:unix|fd|npipe):.*|[a-z]+://(?:[^/@]*@)?(?:localhost|127\.[\d.]+|\[::1\])(?:[:/].*)?)?"
)


def find_remote_address(engine: str, machine: Machine) -> str | None:
    """Return the address of an engine on another machine, which cannot mount this repository.

    Args:
        engine: The command of the engine, which is Docker.
        machine: The machine, with the settings of the repository.

    Returns:
        None when the engine is on this machine, or when a remote one is allowed.
    """
    if machine.values.get(REMOTE_ALLOWED) == "true":
        return None
    address = machine.values.get("DOCKER_HOST") or _read_context(engine, machine)
    return None if _LOCAL.fullmatch(address) else address


def _read_context(engine: str, machine: Machine) -> str:
    command = (engine, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    completed = machine.run(*command)
    return completed.stdout.strip() if completed.code == 0 else ""
