"""Who AWS takes us for, and what stands in the way when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from packer_toolkit.aws.partitions import require_supported
from packer_toolkit.errors import RemoteError, SetupError, ToolkitError

if TYPE_CHECKING:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

LOG_IN = (
    "log in with `aws sso login`, choose a profile with AWS_PROFILE, or set AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY"
)

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN_KEY = {
    "AuthFailure",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
# The credentials are at fault, not the call: another attempt is of no use.
# https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html
CREDENTIALS_ENDED = frozenset(_EXPIRED | _UNKNOWN_KEY)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


@dataclass(frozen=True)
class Identity:
    """Who AWS takes us for.

    Attributes:
        account: id of the account, 12 digits.
        arn: of the user, or of the session of a role.
        expires_at: when the credentials end, with time zone; None: not told, or never.
        region: where calls go by default; None when none is set.
        renewed: whether boto3 gets new credentials when these end, as it does for a role.
    """

    account: str
    arn: str
    expires_at: datetime | None
    region: str | None
    renewed: bool = False

    @property
    def role(self) -> str | None:
        """Return the name of the role, None for a user."""
        kind, _, rest = self.arn.rpartition(":")[2].partition("/")
        return rest.rpartition("/")[0] or rest if kind == "assumed-role" else None

    def line(self) -> str:
        """Return one line for a person; there is no secret in it."""
        # user/NAME; root has no name
        who = f"role {self.role}" if self.role else self.arn.rpartition(":")[2].replace("/", " ", 1)
        parts = [f"account {self.account}", who]
        if self.region:
            parts.append(f"region {self.region}")
        if self.expires_at:
            minutes = (self.expires_at - datetime.now(timezone.utc)).total_seconds() / 60
            until = self.expires_at.astimezone(timezone.utc)
            then = ", then renewed" if self.renewed else ""
            parts.append(f"until {until:%H:%M} UTC, in {max(0, round(minutes))} minutes{then}")
        return f"AWS: {', '.join(parts)}"


def session(
    region: str | None = None, profile: str | None = None, config_file: str | None = None
) -> boto3.Session:
    """Return a session of boto3 that gives up early where there is no network.

    Args:
        region: by default that of the environment or the profile.
        profile: a profile that wins over the environment.
        config_file: where profiles are; by default that of the environment.

    Raises:
        SetupError: when the profile that is asked for does not exist, or the region is in a
            partition that is not supported.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    with explained():
        core = botocore.session.Session(profile=profile)
        if config_file:
            core.set_config_variable("config_file", config_file)
        # Also of the clients that ask for credentials.
        core.set_default_client_config(
            Config(
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": 3},
            )
        )
        session_ = boto3.Session(botocore_session=core, region_name=region)
    require_supported([("the region", session_.region_name or "")])
    return session_


def describe(session_: boto3.Session | None = None, region: str = "", **options: Any) -> Identity:
    """Ask AWS who we are.

    Args:
        session_: whose credentials; by default those of the environment.
        region: whose STS is asked; by default the session's.
        options: of the client.

    Raises:
        SetupError: when there are no credentials, or they are not valid any more.
        RemoteError: when AWS cannot be reached, or refuses the role.
    """
    used = session_ or session()
    with explained():
        # STS answers everywhere; a region only has to be named.
        where = region or used.region_name
        answer = used.client(
            "sts", region_name=where or "us-east-1", **options
        ).get_caller_identity()
        credentials = used.get_credentials()
    # botocore tells the end of temporary credentials nowhere else.
    expires_at = getattr(credentials, "_expiry_time", None)
    renewed = expires_at is not None and getattr(credentials, "method", "") != "env"
    return Identity(answer["Account"], answer["Arn"], expires_at, where, renewed)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what boto3 raises into an error of one line, with what to do about it.

    Raises:
        SetupError: when there are no credentials, or they are not valid any more.
        RemoteError: when AWS cannot be reached, or refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise explanation(error) from error
    except ValueError as error:  # as botocore calls an address that is none
        raise SetupError(f"AWS: {' '.join(str(error).split())}; see AWS_ENDPOINT_URL") from None


def explanation(error: BotoCoreError | ClientError) -> ToolkitError:
    """Return what to tell a person about an error of boto3."""
    from botocore.exceptions import ClientError

    return _of_answer(error) if isinstance(error, ClientError) else _of_client(error)


def _of_answer(error: ClientError) -> ToolkitError:
    """Explain an error that AWS answered with."""
    code = error.response.get("Error", {}).get("Code", "")
    message = " ".join(error.response.get("Error", {}).get("Message", "").split())
    call = error.operation_name
    if code in _EXPIRED:
        return SetupError(f"the AWS login has expired ({call}: {code}); {LOG_IN}")
    if code in _UNKNOWN_KEY:
        return SetupError(f"AWS does not know these credentials ({call}: {code}); {LOG_IN}")
    if call.startswith("AssumeRole") and code in _DENIED:
        return RemoteError(
            f"the role cannot be assumed: {message}; check its name and account, and that its trust"
            " policy lets you in"
        )
    if code in _DENIED:
        return RemoteError(
            f"AWS refuses {call}: {message}; ask for the permission, or another role"
        )
    return RemoteError(f"AWS answers {call} with {code}: {message}; try again later")


def _of_client(error: BotoCoreError) -> ToolkitError:
    """Explain an error that boto3 raised itself."""
    from botocore import exceptions as known

    text = " ".join(str(error).split())
    if isinstance(error, known.NoCredentialsError):
        return SetupError(f"no AWS credentials; {LOG_IN}")
    if isinstance(error, (known.SSOError, known.TokenRetrievalError)):
        return SetupError(f"the AWS login has expired ({text}); {LOG_IN}")
    if isinstance(error, known.ProfileNotFound):
        return SetupError(f"{text}; `aws configure list-profiles` shows those that exist")
    if isinstance(error, known.NoRegionError):
        return SetupError("no AWS region: set AWS_REGION in toolkit.env")
    if isinstance(error, known.CredentialRetrievalError):
        # Here also arrives the reason that aws_access wrote down.
        reason = text.partition("custom-process: ")[2]
        if "No credentials found in credential_source" in text:
            return SetupError(f"no AWS credentials; {LOG_IN}")
        return SetupError(reason or f"{text}; {LOG_IN}")
    if isinstance(error, (known.ConnectionError, known.HTTPClientError)):
        return RemoteError(f"AWS cannot be reached: {text}; check the network, a VPN or a proxy")
    return SetupError(f"AWS: {text}; see the profile in ~/.aws/config")
