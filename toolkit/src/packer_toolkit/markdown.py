"""Texts of others in Markdown: shown as they are, and never understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def code(text: str) -> str:
    """Return one line as code, safe in a table's cell too."""
    line = " ".join(text.split())
    if not line:
        return "—"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    # GitHub takes a table apart before it looks at code.
    line = line.replace("|", "\\|")
    return f"{ticks}{pad}{line}{pad}{ticks}"


def block(lines: Iterable[str]) -> str:
    """Return lines as a block of code that none of them can end."""
    text = "\n".join(lines)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
