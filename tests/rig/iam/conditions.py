"""Evaluates the Condition element of IAM policies.

Sources in the IAM User Guide: operators and their behavior without a key in
reference_policies_elements_condition_operators, several values and set operators in
reference_policies_condition-single-vs-multi-valued-context-keys and
reference_policies_condition-logic-multiple-context-keys-or-values, variables in
reference_policies_variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from ipaddress import ip_address, ip_network
from operator import eq, ge, gt, le, lt
from typing import Any

from rig.iam.patterns import LITERAL, list_values, match, match_arn

Context = Mapping[str, str | Sequence[str]]
Test = Callable[[str, str], bool]  # value of the request, value of the policy

# Matches no value: a variable that the request does not have.
_NOTHING = LITERAL * 2
_VARIABLE = re.compile(r"\$\{([^},]+)(?:,\s*'([^']*)')?\}")


def meets_conditions(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Return whether a request meets all operators and all keys of a Condition element.

    Args:
        conditions: The element.
        context: Values by condition key; the case of a key does not matter.

    Raises:
        ValueError: If an operator is unknown.
    """
    values = {
        key.lower(): [value] if isinstance(value, str) else list(value)
        for key, value in context.items()
    }
    return all(
        _meets(operator, values.get(key.lower()), _read_expected(expected, context))
        for operator, keys in conditions.items()
        for key, expected in keys.items()
    )


def replace_variables(text: str, context: Context) -> str:
    """Replace policy variables such as ${aws:userid}; a variable without a value matches nothing.

    The value of a variable is compared literally, so that its * and ? are not wildcards.
    """
    values = {key.lower(): value for key, value in context.items()}

    def replace(variable: re.Match[str]) -> str:
        name, default = variable.groups()
        value = name if name in ("*", "?", "$") else values.get(name.lower(), default)
        return "".join(map(LITERAL.__add__, value)) if isinstance(value, str) else _NOTHING

    return _VARIABLE.sub(replace, text)


def _read_expected(expected: Any, context: Context) -> list[str]:
    """Return the values of a policy as strings; JSON allows booleans and numbers, too."""
    values = [each if isinstance(each, str) else json.dumps(each) for each in list_values(expected)]
    return [replace_variables(each, context) for each in values]


def _meets(operator: str, values: list[str] | None, expected: list[str]) -> bool:
    """Test the values of one key; None: the request does not have the key.

    One of the expected values must match, or, for a negated operator, none of them may.
    ForAllValues is true without values, ForAnyValue is false.
    """
    if operator == "Null":
        return str(values is None).lower() in expected
    prefix, _, name = operator.rpartition(":")
    is_optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if prefix not in ("", "ForAnyValue", "ForAllValues") or name not in _OPERATORS:
        raise ValueError(f"the evaluator does not know the operator {operator}")
    if values is None and is_optional:
        return True
    test, is_negated = _OPERATORS[name]

    def is_met(value: str) -> bool:
        return any(test(value, each) for each in expected) is not is_negated

    if prefix == "ForAllValues":
        return all(map(is_met, values or []))
    if values is None or prefix == "ForAnyValue":
        return any(map(is_met, values or [])) or (is_negated and not prefix)
    # Without a set operator, a negated operator must hold for all values of the request.
    return (all if is_negated else any)(map(is_met, values))


def _unescape(expected: str) -> str:
    return expected.replace(LITERAL, "") if expected != _NOTHING else expected


def _read_time(text: str) -> datetime:
    """Read ISO 8601, or seconds since 1970."""
    if text.isdecimal():
        return datetime.fromtimestamp(int(text), timezone.utc)
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _compare(read: Callable[[str], Any], test: Callable[[Any, Any], bool]) -> Test:
    return lambda value, expected: test(read(value), read(_unescape(expected)))


def _is_in_network(value: str, expected: str) -> bool:
    return ip_address(value) in ip_network(_unescape(expected), strict=False)


def _match_string(value: str, expected: str) -> bool:
    return match(expected, value)


def _match_arn(value: str, expected: str) -> bool:
    return match_arn(expected, value)


_equals = _compare(str, eq)
_equals_ignoring_case = _compare(str.lower, eq)
# Operator -> test of one value, and whether the operator negates it.
_OPERATORS: dict[str, tuple[Test, bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equals_ignoring_case, True),
    "StringLike": (_match_string, False),
    "StringNotLike": (_match_string, True),
    "Bool": (_equals_ignoring_case, False),
    "BinaryEquals": (_equals, False),
    "IpAddress": (_is_in_network, False),
    "NotIpAddress": (_is_in_network, True),
    # ArnEquals behaves as ArnLike does.
    "ArnEquals": (_match_arn, False),
    "ArnLike": (_match_arn, False),
    "ArnNotEquals": (_match_arn, True),
    "ArnNotLike": (_match_arn, True),
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": eq,
    "LessThan": lt,
    "LessThanEquals": le,
    "GreaterThan": gt,
    "GreaterThanEquals": ge,
}
_READERS: dict[str, Callable[[str], Any]] = {"Numeric": float, "Date": _read_time}
for _kind, _read in _READERS.items():
    _OPERATORS |= {
        f"{_kind}{_name}": (_compare(_read, _test), False) for _name, _test in _ORDER.items()
    }
    _OPERATORS[f"{_kind}NotEquals"] = (_compare(_read, eq), True)
