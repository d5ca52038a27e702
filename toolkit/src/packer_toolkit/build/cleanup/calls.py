"""Calls of EC2 that find out whether the credentials are still valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from packer_toolkit.aws.errors import INVALID_CREDENTIALS, get_error_code

_Response = TypeVar("_Response")


class CredentialsExpiredError(Exception):
    """The credentials are no longer valid, so that no call can succeed."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the AWS credentials are no longer valid ({code})")


def call_ec2(call: Callable[[], _Response]) -> _Response:
    """Call EC2.

    Raises:
        CredentialsExpiredError: If the credentials are the cause of a failure.
        botocore.exceptions.ClientError: If EC2 refuses the call for another reason.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except (BotoCoreError, ClientError) as error:
        code = get_error_code(error)
        if code in INVALID_CREDENTIALS or "expired" in str(error).lower():
            raise CredentialsExpiredError(code) from None
        raise


def list_items(client: Any, call: str, items: str, **options: Any) -> list[dict[str, Any]]:
    """List what all pages of a response describe.

    Args:
        client: EC2 client.
        call: Name of its method, such as describe_images.
        items: JMESPath of the items, such as Images[].
        options: Arguments of the call.
    """

    def read_pages() -> list[dict[str, Any]]:
        if client.can_paginate(call):
            return list(client.get_paginator(call).paginate(**options).search(items))
        import jmespath  # type: ignore[import-untyped]

        return list(jmespath.search(items, getattr(client, call)(**options)) or [])

    return [item for item in call_ec2(read_pages) if item is not None]


def make_filters(tags: dict[str, str]) -> list[dict[str, Any]]:
    """Return the filters of EC2 for resources with some tags."""
    return [{"Name": f"tag:{name}", "Values": [value]} for name, value in tags.items()]


def read_tags(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a resource by name."""
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags") or []}
