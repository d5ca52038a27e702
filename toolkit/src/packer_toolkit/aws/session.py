"""Sessions of boto3: with the credentials of the environment, or with a role assumed by them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from packer_toolkit.aws.errors import translate_aws_errors
from packer_toolkit.aws.partitions import require_supported

if TYPE_CHECKING:
    import boto3
    from types_boto3_ec2 import EC2Client

# Returns the EC2 client of a region.
Clients = Callable[[str], "EC2Client"]


def open_session(
    region: str | None = None, profile: str | None = None, config_file: str | None = None
) -> boto3.Session:
    """Open a session whose calls fail early where there is no network.

    Args:
        region: Region; by default that of the environment or the profile.
        profile: Profile that takes precedence over the environment.
        config_file: File with the profiles; by default that of the environment.

    Raises:
        SetupError: If the profile does not exist, or the region is in a partition that is not
            supported.
    """
    import boto3

    with translate_aws_errors():
        core = _make_core(profile, connect_timeout=5, read_timeout=30, attempts=3)
        if config_file:
            core.set_config_variable("config_file", config_file)
        session = boto3.Session(botocore_session=core, region_name=region)
    require_supported([("the region", session.region_name or "")])
    return session


def open_role_session(
    role_arn: str = "", name: str = "packer-toolkit", region: str = ""
) -> boto3.Session:
    """Open a session for a build or a clean-up, whose calls are retried when AWS throttles them.

    Args:
        role_arn: Role to assume, again whenever its session expires; by default none.
        name: Name of the session of the role.
        region: Region whose STS is called.

    Raises:
        SetupError: If the profile of the environment does not exist or has no usable credentials.
        RemoteError: If AWS cannot be reached, or refuses the credentials.
    """
    import boto3

    with translate_aws_errors():
        session = boto3.Session(botocore_session=_make_core())
        credentials = session.get_credentials()
    if not (role_arn and credentials):
        return session
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    create: Any = session.client  # its type knows literal names of services only

    def create_client(service: str, **options: Any) -> Any:
        return create(service, region_name=region or None, **options)

    fetcher = AssumeRoleCredentialFetcher(
        create_client, credentials, role_arn, {"RoleSessionName": name[:64]}
    )
    role = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    core = _make_core()
    # In place of the search for credentials in the environment, the profiles and so on.
    core.register_component("credential_provider", SimpleNamespace(load_credentials=lambda: role))
    return boto3.Session(botocore_session=core)


def make_clients(session: boto3.Session) -> Clients:
    """Return a function that makes the EC2 client of a region, one for each region."""
    return cache(lambda region: session.client("ec2", region_name=region))


def _make_core(profile: str | None = None, attempts: int = 8, **options: Any) -> Any:
    """Make a session of botocore whose clients wait and retry as configured.

    The configuration also applies to the clients that ask for credentials.
    """
    import botocore.session
    from botocore.config import Config

    core = botocore.session.Session(profile=profile)
    retries = {"mode": "standard", "total_max_attempts": attempts}
    core.set_default_client_config(Config(**{"connect_timeout": 10, "retries": retries, **options}))
    return core
