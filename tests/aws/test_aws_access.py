"""Sessions, identities, roles and errors of AWS, without a server: a fake sends the requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import botocore.exceptions
import pytest
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from packer_toolkit.aws import role
from packer_toolkit.aws.errors import get_error_code, translate_aws_errors
from packer_toolkit.aws.identity import Identity, read_identity
from packer_toolkit.aws.partitions import describe_answers, find_other_partition, find_partition
from packer_toolkit.aws.session import make_clients, open_role_session, open_session
from packer_toolkit.errors import RemoteError, SetupError, ToolkitError

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/builder"
EXPIRES = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(minutes=60)
CALLER = f"""<GetCallerIdentityResponse><GetCallerIdentityResult>
<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/builder/x</Arn><Account>{ACCOUNT}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
ASSUMED = f"""<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>
<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>{EXPIRES:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>
<AssumedRoleUser><Arn>{ROLE}</Arn><AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser>
</AssumeRoleResult></AssumeRoleResponse>"""


class Sender:
    """Answers the requests of botocore.

    Attributes:
        requests: Parameters of each request.
        error: Code of the error that it answers with; empty for success.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, list[str]]] = []
        self.error = ""

    def send(self, _: Any, request: Any) -> AWSResponse:
        """Answer a request."""
        parameters = parse_qs(request.body)
        self.requests.append(parameters)
        text = ASSUMED if parameters["Action"] == ["AssumeRole"] else CALLER
        if self.error:
            text = f"<ErrorResponse><Error><Code>{self.error}</Code></Error></ErrorResponse>"

        class Raw:
            def stream(self, *_: Any, **__: Any) -> Any:
                yield text.encode()

        return AWSResponse(request.url, 403 if self.error else 200, {}, Raw())


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> Sender:
    """Return what answers for AWS, with keys in the environment."""
    sender = Sender()
    monkeypatch.setattr(URLLib3Session, "send", lambda session, each: sender.send(session, each))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return sender


# ---------------------------------------------------------------------------------- sessions


def test_a_role_is_assumed_with_the_base_credentials(sender: Sender) -> None:
    """Calls of the session have the credentials of the role, in every region."""
    session = open_role_session(ROLE, "x" * 80, "eu-west-1")
    assert sender.requests == []  # nothing is called before the session is used
    identity = read_identity(session, "eu-west-1")
    assume, _ = sender.requests
    assert (assume["RoleArn"], assume["RoleSessionName"]) == ([ROLE], ["x" * 64])
    assert session.get_credentials().access_key == "ASIA1"
    clients = make_clients(session)
    assert clients("us-east-1").meta.region_name == "us-east-1"
    assert clients("us-east-1") is clients("us-east-1")
    assert identity.account == ACCOUNT


def test_the_expiration_of_a_role_is_known(sender: Sender) -> None:
    """Botocore has no public attribute for it: this fails when the private one is removed."""
    identity = read_identity(open_role_session(ROLE), "eu-west-1")
    assert identity.expires_at == EXPIRES
    assert identity.renewed
    minutes = (EXPIRES - datetime.now(timezone.utc)).total_seconds() / 60
    match = re.search(r"until \d\d:\d\d UTC, in (\d+) minutes, then renewed$", identity.describe())
    assert match
    assert abs(int(match[1]) - minutes) <= 1


def test_keys_of_the_environment_do_not_expire(sender: Sender) -> None:
    """Without a role the session has the credentials of the environment."""
    identity = read_identity(open_role_session())
    assert (identity.expires_at, identity.renewed, identity.region) == (None, False, None)
    assert identity.describe() == f"AWS: account {ACCOUNT}, role builder"
    assert len(sender.requests) == 1


def test_calls_of_builds_are_retried_longer(sender: Sender) -> None:
    """A build retries throttled calls; other commands fail early without a network."""
    patient = open_role_session().client("ec2", region_name="eu-west-1").meta.config
    quick = open_session("eu-west-1").client("ec2").meta.config
    assert (patient.retries["total_max_attempts"], quick.retries["total_max_attempts"]) == (8, 3)
    assert (patient.connect_timeout, quick.connect_timeout, quick.read_timeout) == (10, 5, 30)


def test_a_profile_of_another_file_is_used(tmp_path: Path) -> None:
    """The file takes precedence over the environment; a missing profile is reported in one line."""
    file = tmp_path / "config"
    file.write_text("[profile team]\nregion = eu-north-1\n")
    assert open_session(profile="team", config_file=str(file)).region_name == "eu-north-1"
    with pytest.raises(SetupError, match=r"missing.* `aws configure list-profiles` shows those"):
        open_session(profile="missing")


def test_an_identity_without_a_role() -> None:
    """The name of a user follows the account; root has no name."""
    user = Identity(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/tess", None, "eu-west-1")
    assert user.describe() == f"AWS: account {ACCOUNT}, user tess, region eu-west-1"
    root = Identity(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", None, None)
    assert (root.role, root.describe()) == (None, f"AWS: account {ACCOUNT}, root")


# ------------------------------------------------------------------------------------ errors


def fail(code: str, call: str = "DescribeImages") -> Exception:
    """Return an error of AWS."""
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "a\nb"}}, call)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (fail("ExpiredToken"), SetupError, "the AWS login has expired (DescribeImages: Exp"),
        (fail("AuthFailure"), SetupError, "AWS does not know these credentials (Describe"),
        (fail("AccessDenied", "AssumeRole"), RemoteError, "the role cannot be assumed: a b; check"),
        (fail("AccessDenied"), RemoteError, "AWS refuses DescribeImages: a b; ask for the perm"),
        (fail("Odd"), RemoteError, "AWS returned Odd for DescribeImages: a b; try again later"),
        (botocore.exceptions.NoCredentialsError(), SetupError, "no AWS credentials; log in with"),
        (botocore.exceptions.NoRegionError(), SetupError, "no AWS region: set AWS_REGION in"),
        (botocore.exceptions.UnauthorizedSSOTokenError(), SetupError, "the AWS login has expired"),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="https://x"),
            *(RemoteError, "AWS cannot be reached: Could not connect"),
        ),
        (
            botocore.exceptions.CredentialRetrievalError(
                provider="custom-process", error_msg="MY_ROLE: it is wrong"
            ),
            *(SetupError, "MY_ROLE: it is wrong"),
        ),
        (
            botocore.exceptions.CredentialRetrievalError(
                provider="x", error_msg="No credentials found in credential_source y"
            ),
            *(SetupError, "no AWS credentials; log in"),
        ),
        (
            botocore.exceptions.CredentialRetrievalError(provider="x", error_msg="odd"),
            *(SetupError, "Error when retrieving credentials from x: odd; log in"),
        ),
        (botocore.exceptions.InvalidConfigError(error_msg="odd"), SetupError, "AWS: odd; correct"),
        (
            ValueError("Invalid endpoint: x"),
            SetupError,
            "AWS: Invalid endpoint: x; correct AWS_END",
        ),
    ],
)
def test_an_error_is_one_line_with_the_next_step(
    error: Exception, kind: type[ToolkitError], message: str
) -> None:
    """Each error of boto3 becomes an error of the command line."""
    with pytest.raises(kind) as translated, translate_aws_errors():
        raise error
    assert str(translated.value).startswith(message)
    assert "\n" not in str(translated.value)


def test_every_error_has_a_code() -> None:
    """The code is that of AWS, or the name of the class."""
    assert get_error_code(fail("Odd")) == "Odd"
    assert get_error_code(fail("")) == "ClientError"
    assert get_error_code(KeyError("x")) == "KeyError"


# ------------------------------------------------------------------------------------- roles

Access = Callable[..., tuple[dict[str, "str | None"], str]]


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    """Return a function that prepares the access to AWS: variables, and the configuration file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def make(**settings: str) -> tuple[dict[str, str | None], str]:
        changes = role.make_environment({"AWS_REGION": "eu-west-1", **settings})
        file = changes.get("AWS_CONFIG_FILE")
        return changes, Path(file).read_text() if file else ""

    return make


KEYS = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        (KEYS, ["source_profile = packer-toolkit-base", "aws_session_token = t"]),
        ({"AWS_PROFILE": "team"}, ["source_profile = team"]),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "x"}, ["credential_source = EcsContainer"]),
        ({}, ["credential_source = Ec2InstanceMetadata"]),
        (
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": ROLE},
            ["web_identity_token_file = /t", "source_profile = packer-toolkit-base"],
        ),
    ],
)
def test_a_role_is_used_through_a_profile(
    access: Access, settings: dict[str, str], lines: list[str]
) -> None:
    """The profile names the base credentials in the order of AWS's SDKs."""
    changes, config = access(SOL_CET_USER_ROLE="builder", AWS_ACCOUNT_ID=ACCOUNT, **settings)
    assert changes["AWS_PROFILE"] == role.PROFILE
    assert changes["AWS_ACCESS_KEY_ID"] is None
    for line in (f"role_arn = {ROLE}", "duration_seconds = 3600", *lines):
        assert line in config.splitlines()


def test_the_default_profile_is_the_base(access: Access, tmp_path: Path) -> None:
    """The user's configuration is copied, in whatever encoding it is."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_bytes(b"# gr\xfc\xdfe\n[default]\nregion = eu-north-1\n")
    _, config = access(SOL_CET_USER_ROLE=ROLE)
    assert "source_profile = default" in config
    assert "# grüße" in config


def test_a_role_that_cannot_be_used_fails_on_use(access: Access) -> None:
    """No command runs with another identity, and the reason is in a file for the profile."""
    changes, config = access(SOL_CET_USER_ROLE="two words", AWS_ACCOUNT_ID=ACCOUNT)
    assert "credential_process = /bin/sh -c 'cat >&2 " in config
    reason = Path(str(changes["AWS_CONFIG_FILE"])).with_name("reason").read_text()
    assert reason.startswith("SOL_CET_USER_ROLE: 'two words' is not a role: use a name such as")


@pytest.mark.parametrize("settings", [{}, {"SOL_CET_USER_ROLE": "none"}])
def test_without_a_role_only_the_region_is_set(access: Access, settings: dict[str, str]) -> None:
    """The base credentials are used as they are."""
    changes, config = access(**settings)
    assert changes == {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert config == ""


def test_the_account_of_a_name_is_that_of_the_credentials(access: Access, sender: Sender) -> None:
    """Without AWS_ACCOUNT_ID the account is that of the credentials, which AWS returns."""
    _, config = access(SOL_CET_USER_ROLE="builder")
    assert f"role_arn = {ROLE}" in config
    sender.error = "InvalidClientTokenId"
    changes, _ = access(SOL_CET_USER_ROLE="builder")
    reason = Path(str(changes["AWS_CONFIG_FILE"])).with_name("reason").read_text()
    assert "AWS does not know these credentials" in reason


@pytest.mark.parametrize(
    ("name", "account", "message"),
    [
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/B/s", "", "is not an IAM role ARN .* use the ARN"),
        ("builder", "1234", "AWS_ACCOUNT_ID is '1234': an AWS account ID has 12 digits; fix"),
        ("arn:aws-cn:iam::111122223333:role/x", "", "aws-cn is not supported"),
    ],
)
def test_a_role_that_is_not_valid_is_refused(name: str, account: str, message: str) -> None:
    """The message has the expected form."""
    with pytest.raises(SetupError, match=message):
        role.make_role_arn(name, account, "eu-west-1")


def test_partitions_are_recognized() -> None:
    """Regions, ARNs and hosts of other partitions are found in a text."""
    assert find_partition("us-isob-east-1") == "aws-iso-b"
    assert find_partition("nowhere") == "another partition"
    assert find_other_partition("arn:aws:s3:cn-north-1:1:x") == "aws-cn"
    assert describe_answers({"aws_region": "eu-west-1"}) == ""
    refusal = "aws_region is cn-north-1: aws-cn is not supported, only the partition aws is"
    assert describe_answers({"aws_region": "cn-north-1"}) == refusal
