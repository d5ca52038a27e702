"""Access to AWS: the base credentials, and the personal role that is assumed with them.

With a role, a profile in a private configuration file makes boto3, the AWS CLI, Packer and Ansible
use it: each of them assumes the role, and does so again when its session expires.
Nothing here calls AWS, unless a role is given by its name only and its account is not configured.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from packer_toolkit.aws.partitions import require_supported
from packer_toolkit.errors import SetupError, ToolkitError

PROFILE = "packer-toolkit-role"
BASE_PROFILE = "packer-toolkit-base"
NO_ROLE = "none"  # the value that requests the base credentials without a role
DEFAULT_ROLE_VARIABLE = "SOL_CET_USER_ROLE"

ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/(?P<name>\S+)")
# A path and 64 characters: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
_NAME = re.compile(r"/?(?:[!-.0-~]+/)*[\w+=,.@-]{1,64}", re.ASCII)
_PLACEHOLDER = "AddYourRoleHere"  # the value in Taskfile.local.yml.example

# Environment variable -> equivalent key of a profile.
_STATIC_KEYS = {
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_SESSION_TOKEN": "aws_session_token",
}
_WEB_IDENTITY = {
    "AWS_WEB_IDENTITY_TOKEN_FILE": "web_identity_token_file",
    "AWS_ROLE_ARN": "role_arn",
    "AWS_ROLE_SESSION_NAME": "role_session_name",
}


def make_role_arn(role: str, account: str, region: str) -> str:
    """Return the ARN of a role.

    Args:
        role: Its ARN, or its name, with its path if it has one: `deploy/packer-builder`.
        account: ID of the account of a role that is given by its name.
        region: Region of the builds.

    Raises:
        SetupError: If the role is neither, or is of a partition that is not supported.
    """
    require_supported([("the role", role), ("AWS_REGION", region)])
    if ARN.fullmatch(role):
        return role
    if role.startswith("arn:"):
        is_session = ":assumed-role/" in role
        hint = "; use the ARN of the role instead of the ARN of its session" if is_session else ""
        raise SetupError(
            f"{role} is not an IAM role ARN (expected arn:aws:iam::111122223333:role/NAME){hint}"
        )
    if role == _PLACEHOLDER or not _NAME.fullmatch(role):
        raise SetupError(
            f"{role!r} is not a role: use a name such as packer-builder, or an ARN such as"
            f" arn:aws:iam::{account or '111122223333'}:role/packer-builder"
        )
    if not re.fullmatch(r"\d{12}", account, re.ASCII):
        raise SetupError(
            f"AWS_ACCOUNT_ID is {account!r}: an AWS account ID has 12 digits; fix toolkit.env"
        )
    return f"arn:aws:iam::{account}:role/{role.lstrip('/')}"


def make_environment(settings: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables that have to change for the user's access to AWS.

    Args:
        settings: The repository's settings and the environment in one, see `read_settings`.

    Returns:
        New values by name; None removes a variable.
    """
    changes: dict[str, str | None] = {}
    region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION") or ""
    if region:
        changes |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}  # Go's SDK, Python's SDK
    role_variable = settings.get("PERSONAL_ROLE_VARIABLE") or DEFAULT_ROLE_VARIABLE
    role = settings.get(role_variable, "").strip()
    if role not in ("", NO_ROLE) and settings.get("AWS_PROFILE") != PROFILE:
        changes |= _use_role(settings, role, role_variable, region)
    return changes


def _use_role(
    settings: Mapping[str, str], role: str, variable: str, region: str
) -> dict[str, str | None]:
    """Write the configuration file with the role, and return the variables that select it.

    A role that cannot be used is not an error yet, because not every command needs AWS.  But no
    command may run with an identity other than the one requested: the profile fails with the
    reason as soon as it is used.
    """
    import tempfile  # its import is slow, and most commands need no role

    from packer_toolkit.aws.identity import read_identity

    folder = Path(tempfile.mkdtemp(prefix="packer-toolkit-aws-"))  # readable by this user only
    base: dict[str, str] = {}
    try:
        account = settings.get("AWS_ACCOUNT_ID") or ""
        if not account and not role.startswith("arn:"):
            account = read_identity().account
        arn = make_role_arn(role, account, region)
    except ToolkitError as error:
        (folder / "reason").write_text(f"{variable}: {error}\n")
        profile = {"credential_process": f"/bin/sh -c 'cat >&2 {folder}/reason; exit 1'"}
    else:
        base, source = _find_base_credentials(settings)
        profile = {
            "role_arn": arn,
            "role_session_name": "packer-toolkit",
            "duration_seconds": "3600",  # the maximum of a chained role; Go's SDK uses 900
            **source,
        }
    if region:
        profile["region"] = region
    config = folder / "aws-config"
    sections = [
        _read_user_configuration(settings),
        *([_format_section(BASE_PROFILE, base)] if base else []),
        _format_section(PROFILE, profile),
    ]
    config.touch(mode=0o600)
    config.write_text("\n".join(sections), encoding="utf-8")
    # In Python's SDK, keys in the environment take precedence over a profile.
    removed = dict.fromkeys((*_STATIC_KEYS, *_WEB_IDENTITY, "AWS_DEFAULT_PROFILE"))
    return {
        **removed,
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": PROFILE,
        "AWS_SDK_LOAD_CONFIG": "1",  # Go's older SDK reads profiles only with it
    }


def _find_base_credentials(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Find the base credentials, in the order in which AWS's SDKs look for them.

    Returns:
        The keys of the base profile, empty if it need not be written, and the key of the role's
        profile that names the base credentials.
    """
    for variables in (_STATIC_KEYS, _WEB_IDENTITY):
        names = list(variables)
        if settings.get(names[0]) and settings.get(names[1]):
            keys = {key: settings[name] for name, key in variables.items() if settings.get(name)}
            return keys, {"source_profile": BASE_PROFILE}
    if profile := settings.get("AWS_PROFILE") or settings.get("AWS_DEFAULT_PROFILE"):
        return {}, {"source_profile": profile}
    if settings.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or settings.get(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    ):
        return {}, {"credential_source": "EcsContainer"}
    credentials = settings.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    profiles = _read_user_configuration(settings) + "\n" + _read_text(credentials)
    if re.search(r"^\[(profile\s+)?default\]", profiles, re.M):
        return {}, {"source_profile": "default"}
    return {}, {"credential_source": "Ec2InstanceMetadata"}


def _read_user_configuration(settings: Mapping[str, str]) -> str:
    """Read the user's configuration file, which may have the base profile or SSO's session."""
    return _read_text(settings.get("AWS_CONFIG_FILE") or "~/.aws/config")


def _read_text(file: str) -> str:
    try:
        content = Path(os.path.expanduser(file)).read_bytes()
    except OSError:
        return ""
    try:
        return content.decode()
    except UnicodeDecodeError:
        # Such as a comment of an old editor. The copy is UTF-8, the only encoding of botocore.
        return content.decode("latin-1")


def _format_section(profile: str, keys: Mapping[str, str]) -> str:
    return "\n".join([f"[profile {profile}]", *(f"{key} = {keys[key]}" for key in keys), ""])
