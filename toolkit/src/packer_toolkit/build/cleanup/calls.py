"""Calls of EC2 that find out whether the credentials are still valid."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from packer_toolkit.aws.errors import INVALID_CREDENTIALS, get_error_code


class CredentialsExpiredError(Exception):
    """The credentials are no longer valid, so that no call can succeed."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the AWS credentials are no longer valid ({code})")


@contextlib.contextmanager
def detect_expired_credentials() -> Iterator[None]:
    """Raise another error if the credentials are the cause of a failure in the block.

    Raises:
        CredentialsExpiredError: If the credentials are the cause.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        code = get_error_code(error)
        if code in INVALID_CREDENTIALS or "expired" in str(error).lower():
            raise CredentialsExpiredError(code) from None
        raise


def attempt_call(call: Callable[..., object], **options: Any) -> Exception | None:
    """Call EC2; return the error if EC2 refuses the call.

    Raises:
        CredentialsExpiredError: If the credentials are the cause of a failure.
    """
    try:
        with detect_expired_credentials():
            call(**options)
    except CredentialsExpiredError:
        raise
    except Exception as error:
        return error
    return None


def list_items(client: Any, call: str, items: str, **options: Any) -> list[dict[str, Any]]:
    """List what all pages of a response describe.

    Args:
        client: EC2 client.
        call: Name of its method, such as describe_images.
        items: JMESPath of the items, such as Images[].
        options: Arguments of the call.

    Raises:
        CredentialsExpiredError: If the credentials are the cause of a failure.
        botocore.exceptions.ClientError: If EC2 refuses the call for another reason.
    """
    import jmespath  # type: ignore[import-untyped]

    with detect_expired_credentials():
        if client.can_paginate(call):
            pages = client.get_paginator(call).paginate(**options)
        else:
            pages = [getattr(client, call)(**options)]
        return [item for page in pages for item in jmespath.search(items, page) or ()]
