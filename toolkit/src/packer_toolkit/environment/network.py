"""Set certificates and proxies of the user's network for every tool in the container."""

from __future__ import annotations

from collections.abc import Mapping

CERTIFICATES = "SSL_CERT_FILE"
# Git reads the first; Python's requests, the AWS CLI and boto3 read the second.
_CERTIFICATES_OF_TOOLS = ("GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE")
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS = ("NO_PROXY", "no_proxy")  # a tool reads one of both
# The metadata services of EC2 and ECS, which respond only to the instance itself.
_METADATA_SERVICES = ("169.254.169.254", "169.254.170.2", "fd00:ec2::254")


def find_changes(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that let every tool use the certificates and proxies of the user.

    Packer and Ansible Galaxy read SSL_CERT_FILE; git, the AWS CLI and boto3 read other variables.
    Requests for the credentials of an instance must not go through a proxy.

    Args:
        environment: The environment of the container.

    Returns:
        Names with their new values.
    """
    changes: dict[str, str] = {}
    if bundle := environment.get(CERTIFICATES):
        changes |= {name: bundle for name in _CERTIFICATES_OF_TOOLS if not environment.get(name)}
    if any(environment.get(name) for name in _PROXIES):
        for name in list(filter(environment.get, _EXCEPTIONS)) or _EXCEPTIONS:
            exceptions = [part.strip() for part in environment.get(name, "").split(",")]
            if "*" not in exceptions:
                missing = [each for each in _METADATA_SERVICES if each not in exceptions]
                changes[name] = ",".join(filter(None, [*exceptions, *missing]))
    return changes
