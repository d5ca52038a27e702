"""The identity that AWS sees: account, user or role, and when its credentials expire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from packer_toolkit.aws.errors import translate_aws_errors
from packer_toolkit.aws.session import open_session

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class Identity:
    """The identity that AWS sees.

    Attributes:
        account: ID of the account, 12 digits.
        arn: ARN of the user, or of the session of a role.
        expires_at: When the credentials expire, with time zone; None if they never do, or if that
            is not known.
        region: Default region of the session; None if it has none.
        renewed: Whether boto3 renews these credentials when they expire, as it does for a role.
    """

    account: str
    arn: str
    expires_at: datetime | None
    region: str | None
    renewed: bool = False

    @property
    def role(self) -> str | None:
        """Return the name of the role; None for a user."""
        kind, _, rest = self.arn.rpartition(":")[2].partition("/")
        return rest.rpartition("/")[0] or rest if kind == "assumed-role" else None

    def describe(self) -> str:
        """Describe the identity in one line without secrets."""
        # An ARN ends with user/NAME, or with root.
        user = self.arn.rpartition(":")[2].replace("/", " ", 1)
        parts = [f"account {self.account}", f"role {self.role}" if self.role else user]
        if self.region:
            parts.append(f"region {self.region}")
        if self.expires_at:
            minutes = (self.expires_at - datetime.now(timezone.utc)).total_seconds() / 60
            until = self.expires_at.astimezone(timezone.utc)
            renewal = ", then renewed" if self.renewed else ""
            parts.append(f"until {until:%H:%M} UTC, in {max(0, round(minutes))} minutes{renewal}")
        return f"AWS: {', '.join(parts)}"


def read_identity(session: boto3.Session | None = None, region: str = "") -> Identity:
    """Ask AWS which identity the credentials of a session belong to.

    Args:
        session: The session; by default one with the credentials of the environment.
        region: Region whose STS is called; by default that of the session.

    Raises:
        SetupError: If there are no credentials, or they are not valid.
        RemoteError: If AWS cannot be reached or refuses the role.
    """
    session = session or open_session()
    with translate_aws_errors():
        region_name = region or session.region_name
        # Every region answers this call, but boto3 needs the name of one.
        caller = session.client("sts", region_name=region_name or "us-east-1").get_caller_identity()
        credentials = session.get_credentials()
    # botocore has no public attribute for the expiration; test_identity.py fails if it changes.
    expires_at = getattr(credentials, "_expiry_time", None)
    renewed = expires_at is not None and getattr(credentials, "method", "") != "env"
    return Identity(caller["Account"], caller["Arn"], expires_at, region_name, renewed)
