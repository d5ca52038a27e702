"""Access to AWS: sessions, who we are, and what an error of AWS means."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from packer_toolkit.build_report import Account
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.identity import explained, explanation

# The credentials are at fault, not the call: another attempt is of no use.
# https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html
CREDENTIALS_ENDED = frozenset({
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId",
    "RequestExpired", "UnrecognizedClientException",
})  # fmt: skip
_ATTEMPTS = 8


def config(**options: Any) -> Any:
    """Return boto3's own retries, which know throttling, with more patience than its default."""
    from botocore.config import Config  # type: ignore[import-untyped]

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
    import boto3  # type: ignore[import-untyped]

    with explained():  # the profile of the environment may be missing
        base = boto3.Session()
        credentials = base.get_credentials()
    if not (role_arn and credentials):
        return base
    import botocore.session  # type: ignore[import-untyped]
    from botocore.credentials import (  # type: ignore[import-untyped]
        AssumeRoleCredentialFetcher,
        DeferredRefreshableCredentials,
    )

    def client(service: str, **options: Any) -> Any:
        return base.client(service, region_name=region or None, **options)

    core = botocore.session.get_session()
    fetcher = AssumeRoleCredentialFetcher(
        client, credentials, role_arn, {"RoleSessionName": role_session[:64]}
    )
    core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return boto3.Session(botocore_session=core)


def identity(base: Any, region: str) -> Account:
    """Ask who the credentials belong to.

    Args:
        base: A boto3 session.
        region: Whose STS is asked.

    Raises:
        SetupError: When there are no credentials, or a login of SSO has expired.
        RemoteError: When they do not count, AWS refuses the role, or is out of reach.
    """
    from botocore.exceptions import (  # type: ignore[import-untyped]
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    try:
        answer = base.client(
            "sts", region_name=region or "us-east-1", config=config()
        ).get_caller_identity()
        credentials = base.get_credentials()
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise SetupError(
            f"there are no credentials for AWS here ({_one_line(error)}): log in, or set"
            " AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
        ) from None
    except ClientError as error:
        code = error_code(error)
        if code in CREDENTIALS_ENDED:
            raise RemoteError(
                f"AWS does not take these credentials any more ({code}): get new ones, and repeat"
            ) from None
        raise explanation(error) from None
    except BotoCoreError as error:
        raise explanation(error) from None
    except ValueError as error:  # as botocore calls an address that is none
        raise SetupError(f"AWS: {_one_line(error)}; see AWS_ENDPOINT_URL") from None
    # All others that end are renewed by boto3, as the role of a profile is.
    fixed = getattr(credentials, "method", "") == "env"
    ends: datetime | None = getattr(credentials, "_expiry_time", None) if fixed else None
    told = ends.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if ends else None
    return {"id": str(answer["Account"]), "arn": str(answer["Arn"]), "expires_at": told}


def describe(account: Account) -> str:
    """Say in words who it is, for the first line of a build."""
    kind, _, name = account["arn"].rpartition(":")[2].partition("/")
    who = {
        "assumed-role": f"role {name.partition('/')[0]}",
        "user": f"user {name}",
        "root": "the root user",
    }.get(kind, f"{kind} {name}".strip())
    until = account["expires_at"]
    ends = f"until {until[11:16]} UTC" if until else "without a known end"
    return f"account {account['id']}, {who}, {ends}"


def error_code(error: BaseException) -> str:
    """Return the code of an error of AWS; the class's name of any other."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", "")) or type(error).__name__
    return type(error).__name__


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
