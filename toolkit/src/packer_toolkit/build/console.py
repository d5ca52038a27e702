"""Where a build writes what the user reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Console:
    """Functions that print.

    Attributes:
        show: Prints Packer's output, which has its line breaks.
        echo: Prints a line of the toolkit.
    """

    show: Callable[[str], None]
    echo: Callable[[str], None]
