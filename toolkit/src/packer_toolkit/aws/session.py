"""Access to AWS for builds and sweeps: patient sessions, and whose they are.

What an error means, and how it is told, is in `identity`; the personal role in `aws_access`.
"""

from __future__ import annotations

from typing import Any

from packer_toolkit.aws.identity import Identity, describe, explained

_ATTEMPTS = 8


def config(**options: Any) -> Any:
    """Return boto3's own retries, which know throttling, with more patience than its default."""
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=10,
        **options,
    )


def session(role_arn: str = "", role_session: str = "packer-toolkit", region: str = "") -> Any:
    """Return a boto3 session of the environment's credentials, or of a role assumed with them.

    Args:
        role_arn: Role to assume, again whenever its hour ends.
        role_session: Name of that session.
        region: Where STS is asked.

    Raises:
        SetupError: When the environment's profile does not exist or has no usable credentials.
        RemoteError: When AWS is asked for them, and refuses or is out of reach.
    """
    import boto3

    with explained():  # the profile of the environment may be missing
        base = boto3.Session()
        credentials = base.get_credentials()
    if not (role_arn and credentials):
        return base
    import botocore.session
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        DeferredRefreshableCredentials,
    )

    def client(service: str, **options: Any) -> Any:
        create: Any = base.client  # typed for each service by name; botocore names it here
        return create(service, region_name=region or None, **options)

    core: Any = botocore.session.get_session()
    fetcher = AssumeRoleCredentialFetcher(
        client, credentials, role_arn, {"RoleSessionName": role_session[:64]}
    )
    core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return boto3.Session(botocore_session=core)


def identity(base: Any, region: str) -> Identity:
    """Ask who the credentials belong to.

    Args:
        base: A boto3 session.
        region: Whose STS is asked.

    Raises:
        SetupError, RemoteError: See `identity.describe`.
    """
    return describe(base, region, config=config())


def error_code(error: BaseException) -> str:
    """Return the code of an error of AWS; the class's name of any other."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", "")) or type(error).__name__
    return type(error).__name__
