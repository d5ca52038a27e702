"""The checks of the shims, by the name of the shim; test_aws_shims.py runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rig.aws import Ec2

CHECKS: dict[str, Callable[[Ec2], None]] = {}


def check(function: Callable[[Ec2], None]) -> Callable[[Ec2], None]:
    """Add a check to the list."""
    CHECKS[function.__name__] = function
    return function


def refused(code: str, call: Callable[..., Any], **parameters: Any) -> None:
    """Expect an error of AWS."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    assert error.value.response["Error"]["Code"] == code
