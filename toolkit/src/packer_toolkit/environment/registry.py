"""Find out whether an image can be pulled, by requesting it from its registry.

`docker manifest inspect` would do the same, but its messages differ between versions, and it cannot
use a registry without TLS.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from packer_toolkit.environment.registry_login import DOCKER_HUB, find_login

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


class Availability(Enum):
    """Whether a registry lets an image be pulled."""

    AVAILABLE = "can be pulled"
    MISSING = "does not exist"
    REFUSED = "refused"
    UNREACHABLE = "cannot be reached"


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
            challenge = error.headers.get("WWW-Authenticate", "")
            return Response(error.code, f"{error.code} {error.reason}", challenge)
    except urllib.error.URLError as error:
        return Response(0, str(error.reason))
    except OSError as error:
        return Response(0, str(error))


def split_image(image: str) -> tuple[str, str, str]:
    """Return registry, repository, and tag or digest: https://github.com/distribution/reference."""
    first, slash, rest = image.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        first, rest = DOCKER_HUB, image if slash else f"library/{image}"
    name, at, digest = rest.partition("@")
    name, _, tag = name.partition(":")
    return first, name, digest if at else tag or "latest"


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
        Whether the image can be pulled, and the reason of the registry or the network.
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
    states = {
        0: Availability.UNREACHABLE,
        200: Availability.AVAILABLE,
        404: Availability.MISSING,
    }
    return states.get(response.status, Availability.REFUSED), response.reason


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
