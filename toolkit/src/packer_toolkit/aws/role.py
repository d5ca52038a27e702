"""Access to AWS: the base credentials, and the personal role that is assumed with them.

With a role, boto3, the AWS CLI, Packer and Ansible are all led to it by a profile in a private
configuration file: each of them assumes the role by itself, and again when its hour is over.
Nothing here talks to AWS, unless a role is given by its name only and nobody says of which account.
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
NO_ROLE = "none"  # whoever wants the credentials as they are says so
DEFAULT_ROLE_VARIABLE = "SOL_CET_USER_ROLE"

ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/(?P<name>\S+)")
# A path and 64 characters: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
_NAME = re.compile(r"/?(?:[!-.0-~]+/)*[\w+=,.@-]{1,64}", re.ASCII)
_PLACEHOLDER = "AddYourRoleHere"  # what Taskfile.local.yml.example has in its place

# Environment variable -> key of a profile that means the same.
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


def role_arn(role: str, account: str, region: str) -> str:
    """Return the ARN of a role.

    Args:
        role: its ARN, or its name, with its path if it has one: `deploy/packer-builder`.
        account: id of the account that a bare name is in.
        region: where images are built.

    Raises:
        SetupError: when it is neither, or of a partition that is not supported.
    """
    require_supported([("the role", role), ("AWS_REGION", region)])
    if ARN.fullmatch(role):
        return role
    if role.startswith("arn:"):
        hint = ""
        if ":assumed-role/" in role:
            hint = "; an assumed-role ARN is a session of the role, name the role itself"
        raise SetupError(
            f"{role} is no ARN of a role, as arn:aws:iam::111122223333:role/NAME{hint}"
        )
    if role == _PLACEHOLDER or not _NAME.fullmatch(role):
        raise SetupError(
            f"{role!r} is no role: give its name, such as packer-builder, or its ARN, such as"
            f" arn:aws:iam::{account or '111122223333'}:role/packer-builder"
        )
    if not re.fullmatch(r"\d{12}", account, re.ASCII):
        raise SetupError(
            f"AWS_ACCOUNT_ID is {account!r}: an account has 12 digits; mend toolkit.env"
        )
    return f"arn:aws:iam::{account}:role/{role.lstrip('/')}"


def environment(settings: Mapping[str, str]) -> dict[str, str | None]:
    """Return what has to change in the environment for a person's access to AWS.

    Args:
        settings: the repository's settings and the environment in one, see `read_settings`.

    Returns:
        Names with their new values; None removes a variable.
    """
    changes: dict[str, str | None] = {}
    region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION") or ""
    if region:
        changes |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}  # Go's SDK, Python's SDK
    role_variable = settings.get("PERSONAL_ROLE_VARIABLE") or DEFAULT_ROLE_VARIABLE
    role = settings.get(role_variable, "").strip()
    already = settings.get("AWS_PROFILE") == PROFILE
    if role not in ("", NO_ROLE) and not already:
        changes |= _with_role(settings, role, role_variable, region)
    return changes


def _with_role(
    settings: Mapping[str, str], role: str, variable: str, region: str
) -> dict[str, str | None]:
    """Write the configuration file with the role, and return the variables that lead to it.

    A role that cannot be used stops nothing here: not every command needs AWS.  But nobody may act
    as somebody else than asked for; so then the profile answers with the reason.
    """
    try:
        account = settings.get("AWS_ACCOUNT_ID") or ""
        if not account and not role.startswith("arn:"):
            account = _own_account()
        arn = role_arn(role, account, region)
    except ToolkitError as error:
        profile = {"credential_process": "/bin/sh -c 'cat >&2 {folder}/reason; exit 1'"}
        reason = f"{variable}: {error}"
        base: dict[str, str] = {}
    else:
        base, source = _base(settings)
        profile = {
            "role_arn": arn,
            "role_session_name": "packer-toolkit",
            "duration_seconds": "3600",  # as long as a chained role may last; Go takes 900
            **source,
        }
        reason = ""
    if region:
        profile["region"] = region
    import tempfile  # costly, and not always needed

    folder = Path(tempfile.mkdtemp(prefix="packer-toolkit-aws-"))  # readable by this user only
    if reason:
        (folder / "reason").write_text(f"{reason}\n")
        profile["credential_process"] = profile["credential_process"].format(folder=folder)
    config = folder / "aws-config"
    sections = [_own_configuration(settings)]
    if base:
        sections.append(_section(BASE_PROFILE, base))
    sections.append(_section(PROFILE, profile))
    config.touch(mode=0o600)
    config.write_text("\n".join(sections), encoding="utf-8")
    # In Python's SDK, keys in the environment win over a profile.
    removed = dict.fromkeys((*_STATIC_KEYS, *_WEB_IDENTITY, "AWS_DEFAULT_PROFILE"))
    return {
        **removed,
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": PROFILE,
        "AWS_SDK_LOAD_CONFIG": "1",  # Go's older SDK reads profiles only with it
    }


def _base(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Find the base credentials, in the order in which AWS's SDKs look for them.

    Returns:
        The keys of the base profile, empty when none has to be written, and the key of the role's
        profile that leads to the base credentials.
    """
    for variables in (_STATIC_KEYS, _WEB_IDENTITY):
        names = list(variables)
        if settings.get(names[0]) and settings.get(names[1]):
            found = {key: settings[name] for name, key in variables.items() if settings.get(name)}
            return found, {"source_profile": BASE_PROFILE}
    profile = settings.get("AWS_PROFILE") or settings.get("AWS_DEFAULT_PROFILE")
    if profile:
        return {}, {"source_profile": profile}
    if settings.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or settings.get(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    ):
        return {}, {"credential_source": "EcsContainer"}
    if re.search(r"^\[(profile\s+)?default\]", _default_profile_texts(settings), re.M):
        return {}, {"source_profile": "default"}
    return {}, {"credential_source": "Ec2InstanceMetadata"}


def _default_profile_texts(settings: Mapping[str, str]) -> str:
    credentials = settings.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    return _own_configuration(settings) + "\n" + _text(credentials)


def _own_configuration(settings: Mapping[str, str]) -> str:
    """Return the person's configuration file: the base profile, or SSO's session, may be in it."""
    return _text(settings.get("AWS_CONFIG_FILE") or "~/.aws/config")


def _text(file: str) -> str:
    try:
        content = Path(os.path.expanduser(file)).read_bytes()
    except OSError:
        return ""
    try:
        return content.decode()
    except UnicodeDecodeError:
        # An old editor's comment. The copy is UTF-8, because botocore reads nothing else.
        return content.decode("latin-1")


def _section(profile: str, keys: Mapping[str, str]) -> str:
    return "\n".join([f"[profile {profile}]", *(f"{key} = {keys[key]}" for key in keys), ""])


def _own_account() -> str:
    """Ask AWS for the account of the base credentials."""
    from packer_toolkit.aws import identity

    return identity.describe().account
