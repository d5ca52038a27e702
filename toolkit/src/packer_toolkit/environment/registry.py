"""Find out whether an image can be pulled: request it from its registry with the user's login.

The login comes from the files and credential helpers of Docker and Podman. `docker manifest
inspect` would do the same, but its messages differ between versions, and it cannot use a registry
without TLS.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from packer_toolkit.process import Runner, run_program

Availability = Literal["available", "missing", "refused", "unreachable"]

DOCKER_HUB = "registry-1.docker.io"
_DOCKER_HUB_LOGIN = "https://index.docker.io/v1/"
_TIMEOUT_SECONDS = 10
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


@dataclass(frozen=True)
class Response:
    """The response to a request.

    Attributes:
        status: Of HTTP; 0 without a response.
        reason: Why the request failed.
        challenge: The header WWW-Authenticate.
        body: The text, when the request succeeded.
    """

    status: int
    reason: str = ""
    challenge: str = ""
    body: bytes = b""


def send_request(url: str, headers: Mapping[str, str]) -> Response:
    """Send a GET request; every failure is a response, too."""
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - http or https
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            return Response(response.status, body=response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(
                error.code,
                f"{error.code} {error.reason}",
                error.headers.get("WWW-Authenticate", ""),
            )
    except OSError as error:
        return Response(0, str(getattr(error, "reason", error)))  # of urllib, the cause


def split_image(image: str) -> tuple[str, str, str]:
    """Return registry, repository, and tag or digest: https://github.com/distribution/reference."""
    first, slash, rest = image.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        first, rest = DOCKER_HUB, image if slash else f"library/{image}"
    name, at, digest = rest.partition("@")
    name, _, tag = name.partition(":")
    return first, name, digest if at else tag or "latest"


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


def request_image(
    image: str,
    send: Callable[[str, Mapping[str, str]], Response] = send_request,
    find_login: Callable[[str], str | None] = find_login,
) -> tuple[Availability, str]:
    """Request the manifest of an image from its registry.

    Args:
        image: Its name, with registry, and tag or digest.
        send: Sends a request.
        find_login: Returns the login to a registry.

    Returns:
        Whether the image can be pulled, and why not, as the registry or the network reports it.
    """
    registry, repository, reference = split_image(image)
    # Engines use HTTP for registries on this machine, too.
    is_local = registry.partition(":")[0] == "localhost" or registry.startswith("127.")
    url = f"{'http' if is_local else 'https'}://{registry}/v2/{repository}/manifests/{reference}"
    login = find_login(registry)
    basic = {"Authorization": f"Basic {login}"} if login else {}
    response = send(url, {"Accept": _MANIFESTS, **basic})
    if response.status == 401 and response.challenge.startswith("Bearer "):
        token = _request_token(response.challenge, repository, basic, send)
        response = send(url, {"Accept": _MANIFESTS, "Authorization": f"Bearer {token}"})
    states: Mapping[int, Availability] = {0: "unreachable", 200: "available", 404: "missing"}
    return states.get(response.status, "refused"), response.reason


def _request_token(
    challenge: str,
    repository: str,
    basic: Mapping[str, str],
    send: Callable[[str, Mapping[str, str]], Response],
) -> str:
    """Get a token of a registry: https://distribution.github.io/distribution/spec/auth/token/."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = {"service": fields.get("service", ""), "scope": f"repository:{repository}:pull"}
    url = f"{fields.get('realm', '')}?{urllib.parse.urlencode(query)}"
    if not url.startswith(("http://", "https://")):
        return ""
    try:
        token = json.loads(send(url, basic).body)
    except ValueError:
        return ""
    return str(token.get("token") or token.get("access_token") or "")


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
        with contextlib.suppress(OSError, ValueError):
            yield file, json.loads(file.read_text())


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
