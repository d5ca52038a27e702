"""Errors of AWS: their codes, and their translation into errors of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from packer_toolkit.errors import RemoteError, SetupError, ToolkitError
from packer_toolkit.text.lines import join_lines

if TYPE_CHECKING:
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
# The credentials are the cause, not the call: a retry cannot succeed.
# https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html
INVALID_CREDENTIALS = frozenset(_EXPIRED | _UNKNOWN_KEY)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


@contextmanager
def translate_aws_errors() -> Iterator[None]:
    """Translate errors of boto3 into errors of one line with the next step.

    Raises:
        SetupError: If there are no credentials, or they are not valid.
        RemoteError: If AWS cannot be reached or refuses a call.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _translate_response(error) from error
    except BotoCoreError as error:
        raise _translate_client_error(error) from error
    except ValueError as error:  # botocore raises it for an endpoint that is not a valid URL
        raise SetupError(
            f"AWS: {join_lines(str(error))}; correct AWS_ENDPOINT_URL, or the variable of the "
            "service, such as AWS_ENDPOINT_URL_STS"
        ) from None


def _translate_response(error: ClientError) -> ToolkitError:
    """Translate an error that AWS returned."""
    details = error.response.get("Error", {})
    code = details.get("Code", "")
    message = join_lines(details.get("Message", ""))
    call = error.operation_name
    if code in _EXPIRED:
        return SetupError(f"the AWS login has expired ({call}: {code}); {LOG_IN}")
    if code in _UNKNOWN_KEY:
        return SetupError(f"AWS does not know these credentials ({call}: {code}); {LOG_IN}")
    if call.startswith("AssumeRole") and code in _DENIED:
        return RemoteError(
            f"the role cannot be assumed: {message}; check its name and account, and that its trust"
            " policy allows you to assume it"
        )
    if code in _DENIED:
        return RemoteError(
            f"AWS refuses {call}: {message}; ask for the permission, or use another role"
        )
    return RemoteError(f"AWS returned {code} for {call}: {message}; try again later")


def _translate_client_error(error: BotoCoreError) -> ToolkitError:
    """Translate an error that boto3 raised without a response of AWS."""
    from botocore import exceptions

    text = join_lines(str(error))
    if isinstance(error, exceptions.NoCredentialsError):
        return SetupError(f"no AWS credentials; {LOG_IN}")
    if isinstance(error, (exceptions.SSOError, exceptions.TokenRetrievalError)):
        return SetupError(f"the AWS login has expired ({text}); {LOG_IN}")
    if isinstance(error, exceptions.ProfileNotFound):
        return SetupError(f"{text}; `aws configure list-profiles` shows those that exist")
    if isinstance(error, exceptions.NoRegionError):
        return SetupError("no AWS region: set AWS_REGION in toolkit.env")
    if isinstance(error, exceptions.CredentialRetrievalError):
        # The profile that `role` writes for a role that cannot be used prints its reason here.
        reason = text.partition("custom-process: ")[2]
        if "No credentials found in credential_source" in text:
            return SetupError(f"no AWS credentials; {LOG_IN}")
        return SetupError(reason or f"{text}; {LOG_IN}")
    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError)):
        return RemoteError(f"AWS cannot be reached: {text}; check the network, a VPN or a proxy")
    return SetupError(f"AWS: {text}; correct the profile in ~/.aws/config")


def get_error_code(error: BaseException) -> str:
    """Return the code of an error of AWS, or the name of the class of any other error."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    return str(code) or type(error).__name__
