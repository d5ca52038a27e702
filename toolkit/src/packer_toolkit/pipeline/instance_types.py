"""Find the next larger instance type, for a build that takes too long."""

from __future__ import annotations

# The sizes that all families have; larger sizes differ between families.
_SIZES = ("nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge")


def find_larger_type(instance_type: str) -> str | None:
    """Return the next larger type of the family; None when not all families have one."""
    family, _, size = instance_type.partition(".")
    if size not in _SIZES[:-1] or not family:
        return None
    return f"{family}.{_SIZES[_SIZES.index(size) + 1]}"
