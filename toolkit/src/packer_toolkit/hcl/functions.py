"""Functions of HCL that need nothing but their arguments.

https://developer.hashicorp.com/packer/docs/templates/hcl_templates/functions
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from packer_toolkit.hcl.sources import UNKNOWN


def format_value(value: Any) -> str:
    """Return a value as HCL puts it into a string; a list or an object cannot be in one."""
    if isinstance(value, bool):
        return str(value).lower()
    return UNKNOWN if isinstance(value, (list, dict)) or value is None else str(value)


def is_known(value: Any) -> bool:
    """Report whether all of a value is known."""
    return UNKNOWN not in str(value)


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value not in (None, "")), None)


def _format(pattern: str, *values: Any) -> str:
    rest = iter(values)
    return re.sub(r"%[sdvq]", lambda _: format_value(next(rest)), pattern)


def _merge(*maps: Any) -> Any:
    return {name: value for each in maps if isinstance(each, dict) for name, value in each.items()}


def _replace(text: str, old: str, new: str) -> str:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        return re.sub(old[1:-1], re.sub(r"\$(\d)", r"\\\1", new), text)
    return text.replace(old, new)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    # A value that cannot be evaluated is unknown; here that takes the place of an error.
    "can": is_known,
    "coalesce": _coalesce,
    "compact": lambda items: [item for item in items if item],
    "concat": lambda *lists: [item for items in lists for item in items],
    "distinct": lambda items: list(dict.fromkeys(items)),
    "element": lambda items, index: items[index % len(items)],
    "flatten": lambda items: [
        part for item in items for part in (item if isinstance(item, list) else [item])
    ],
    "format": _format,
    "join": lambda separator, items: separator.join(map(format_value, items)),
    "keys": lambda item: sorted(item),
    "lookup": lambda item, key, *default: item.get(key, *default),
    "lower": lambda text: text.lower(),
    "merge": _merge,
    "replace": _replace,
    "split": lambda separator, text: text.split(separator),
    "title": lambda text: text.title(),
    "tolist": list,
    "toset": list,
    "tostring": format_value,
    "trim": lambda text, characters: text.strip(characters),
    "trimprefix": lambda text, prefix: text.removeprefix(prefix),
    "trimspace": lambda text: text.strip(),
    "trimsuffix": lambda text, suffix: text.removesuffix(suffix),
    "try": lambda *values: next(filter(is_known, values), UNKNOWN),
    "upper": lambda text: text.upper(),
    "values": lambda item: [item[key] for key in sorted(item)],
}
