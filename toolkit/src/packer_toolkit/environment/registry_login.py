"""Find the login to a registry, in the files and credential helpers of Docker and Podman."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packer_toolkit.process import Runner, run_program

DOCKER_HUB = "registry-1.docker.io"
_DOCKER_HUB_LOGIN = "https://index.docker.io/v1/"
_TIMEOUT_SECONDS = 10


def find_login(registry: str, run: Runner = run_program) -> str | None:
    """Return the user and the password for a registry, as the header Authorization: Basic.

    Args:
        registry: Its host, with a port if it has one.
        run: Runs a credential helper.
    """
    name = _DOCKER_HUB_LOGIN if registry == DOCKER_HUB else registry
    for _, config in _read_files():
        if stored := config.get("auths", {}).get(name, {}).get("auth"):
            return str(stored)
        helper = _get_helper(config, name)
        if helper and (login := _ask_helper(helper, name, run)):
            return login
    return None


def find_helper_problem(registry: str, run: Runner = run_program) -> tuple[str, str] | None:
    """Return why the credential helper of a registry has no login.

    Args:
        registry: Its host, with a port if it has one.
        run: Runs a credential helper.

    Returns:
        The reason and the next step; None without a helper, or when it has a login.
    """
    for file, config in _read_files():
        helper = _get_helper(config, registry)
        if not helper:
            continue
        program = f"docker-credential-{helper}"
        if not shutil.which(program):
            reason = f"{program} is not on PATH, but {file} names it"
            return reason, f"install it, or remove its line from {file}"
        # Only Amazon's helper has to have a login before `task docker-login`.
        if helper == "ecr-login" and not _ask_helper(helper, registry, run):
            reason = f"{program}, which {file} names, returned no password"
            return reason, "renew your credentials, such as with: aws sso login"
    return None


def _read_files() -> Iterator[tuple[Path, dict[str, Any]]]:
    home = Path.home()
    files = [Path(os.environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        files.append(Path(runtime) / "containers" / "auth.json")
    for file in (*files, home / ".config" / "containers" / "auth.json"):
        try:
            config = json.loads(file.read_text())
        except (OSError, ValueError):
            continue
        yield file, config


def _get_helper(config: dict[str, Any], name: str) -> str:
    return str(config.get("credHelpers", {}).get(name) or config.get("credsStore") or "")


def _ask_helper(helper: str, name: str, run: Runner) -> str | None:
    """Get a login from a helper: https://github.com/docker/docker-credential-helpers."""
    completed = run([f"docker-credential-{helper}", "get"], text=name, timeout=_TIMEOUT_SECONDS)
    try:
        login = json.loads(completed.stdout if completed.code == 0 else "")
        return base64.b64encode(f"{login['Username']}:{login['Secret']}".encode()).decode()
    except (ValueError, KeyError):
        return None
