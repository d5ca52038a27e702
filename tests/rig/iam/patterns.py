"""Compares actions, ARNs and strings with the patterns of IAM policies."""

from __future__ import annotations

import re
from typing import Any

# Before a character of a pattern: it is not a wildcard.  Before a colon: any characters but colons.
LITERAL = "\0"


def match_action(pattern: str, action: str) -> bool:
    """Compare an action, whose case does not matter (reference_policies_elements_action)."""
    return match(pattern.lower(), action.lower())


def match_arn(pattern: str, arn: str) -> bool:
    """Compare ARNs (reference_policies_elements_resource).

    A wildcard stands for characters of one of the parts between the colons; * at the end of a part,
    or in the last part, also stands for colons.  A pattern with fewer parts ends in wildcards.
    """
    if pattern == "*":
        return True
    *parts, last = (pattern.split(":", 5) + ["*"] * 5)[:6]
    limited = [re.sub(r"\*(?!$)", f"{LITERAL}:", part) for part in parts]
    return match(":".join([*limited, last]), arn)


def match(pattern: str, value: str) -> bool:
    """Compare a string: * stands for any characters, ? for one of them."""
    wildcards = {"*": ".*", "?": ".", f"{LITERAL}:": "[^:]*"}
    parts = re.findall(rf"{LITERAL}.|.", pattern, re.DOTALL)
    regex = "".join(wildcards.get(part, re.escape(part[-1])) for part in parts)
    return re.fullmatch(regex, value, re.DOTALL) is not None


def list_values(value: Any) -> list[Any]:
    """Return the values of an element, which may be one value or a list."""
    return list(value) if isinstance(value, list | tuple) else [value]
