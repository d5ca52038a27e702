"""Whether an image can be pulled, asked of its registry with the engine's own login.

`docker manifest inspect` could be asked too, but its words differ from one version to the next, and
it has none for a registry without TLS.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

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
_DOCKER_HUB = "registry-1.docker.io"
_DOCKER_HUB_LOGIN = "https://index.docker.io/v1/"


class Answer(Enum):
    """What a registry says about an image."""

    CAN_BE_PULLED = "can be pulled"
    NOT_THERE = "not there"
    REFUSED = "refused"
    OUT_OF_REACH = "out of reach"


def split(image: str) -> tuple[str, str, str]:
    """Return registry, repository, and tag or digest: https://github.com/distribution/reference."""
    first, slash, rest = image.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        first, rest = _DOCKER_HUB, image if slash else f"library/{image}"
    name, at, digest = rest.partition("@")
    name, _, tag = name.partition(":")
    return first, name, digest if at else tag or "latest"


def ask(image: str) -> tuple[Answer, str]:
    """Ask the registry of an image whether it can be pulled.

    Args:
        image: its name, with registry, and tag or digest.

    Returns:
        The answer, and the registry's or the network's own words.
    """
    registry, repository, reference = split(image)
    # Engines too speak plain HTTP with this machine.
    local = registry.partition(":")[0] == "localhost" or registry.startswith("127.")
    url = f"{'http' if local else 'https'}://{registry}/v2/{repository}/manifests/{reference}"
    login = _login(registry)
    headers = {"Accept": _MANIFESTS}
    if login:
        headers["Authorization"] = f"Basic {login}"
    status, words, challenge = _get(url, headers)
    if status == 401 and challenge.startswith("Bearer "):
        token = _token(challenge, repository, login)
        status, words, _ = _get(url, {**headers, "Authorization": f"Bearer {token}"})
    if status == 0:
        return Answer.OUT_OF_REACH, words
    if status == 200:
        return Answer.CAN_BE_PULLED, words
    if status == 404:
        return Answer.NOT_THERE, words
    return Answer.REFUSED, words


def _get(url: str, headers: Mapping[str, str]) -> tuple[int, str, str]:
    """Return status, words and challenge of an answer; status 0 when there is none."""
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - http or https
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return answer.status, "", ""
    except urllib.error.HTTPError as error:
        with error:
            challenge = error.headers.get("WWW-Authenticate", "")
            return error.code, f"{error.code} {error.reason}", challenge
    except urllib.error.URLError as error:
        return 0, str(error.reason), ""
    except OSError as error:
        return 0, str(error), ""


def _token(challenge: str, repository: str, login: str | None) -> str:
    """Get a registry's token: https://distribution.github.io/distribution/spec/auth/token/."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = {"service": fields.get("service", ""), "scope": f"repository:{repository}:pull"}
    url = f"{fields.get('realm', '')}?{urllib.parse.urlencode(query)}"
    if not url.startswith(("http://", "https://")):
        return ""
    headers = {"Authorization": f"Basic {login}"} if login else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            found = json.load(answer)
    except (OSError, ValueError):
        return ""
    return str(found.get("token") or found.get("access_token") or "")


def _login(registry: str) -> str | None:
    """Return user and password as Basic wants them, from the files of Docker and of Podman."""
    name = _DOCKER_HUB_LOGIN if registry == _DOCKER_HUB else registry
    for file in _login_files():
        try:
            config = json.loads(file.read_text())
        except (OSError, ValueError):
            continue
        helper = config.get("credHelpers", {}).get(name) or config.get("credsStore")
        stored = config.get("auths", {}).get(name, {}).get("auth")
        found = stored or (helper and _ask_helper(helper, name))
        if found:
            return str(found)
    return None


def find_helper_problem(image: str) -> tuple[str, str] | None:
    """Return why the credential helper of an image's registry has no login, and what to do.

    Args:
        image: name of the image, with its registry.

    Returns:
        The reason and the next step; None where no helper is named, or where it has a login.
    """
    name = split(image)[0]
    for file in _login_files():
        try:
            config = json.loads(file.read_text())
        except (OSError, ValueError):
            continue
        helper = config.get("credHelpers", {}).get(name) or config.get("credsStore")
        if not helper:
            continue
        program = f"docker-credential-{helper}"
        if not shutil.which(program):
            reason = f"{program} is not on PATH, but {file} names it"
            return reason, f"install it, or remove its line from {file}"
        # Only Amazon's helper has to have a login before `task docker-login`.
        if helper == "ecr-login" and not _ask_helper(helper, name):
            reason = f"{program}, which {file} names, gave no password"
            return reason, "renew your credentials, such as with: aws sso login"
    return None


def _login_files() -> list[Path]:
    home = Path.home()
    docker = os.environ.get("DOCKER_CONFIG") or home / ".docker"
    run = os.environ.get("XDG_RUNTIME_DIR")
    files = [Path(docker) / "config.json", home / ".config" / "containers" / "auth.json"]
    if run:
        files.insert(1, Path(run) / "containers" / "auth.json")
    return files


def _ask_helper(helper: str, name: str) -> str | None:
    """Ask a credential helper: https://github.com/docker/docker-credential-helpers."""
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=name, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout)
        return base64.b64encode(f"{found['Username']}:{found['Secret']}".encode()).decode()
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None
