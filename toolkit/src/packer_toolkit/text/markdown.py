"""Texts of others in Markdown: shown as they are, and never understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_ZERO_WIDTH_SPACE = "\u200b"
# What GitHub acts on: mentions, references to issues, words that close one, HTML, images.
_MENTION = re.compile(r"@(?=\w)")
_REFERENCE = re.compile(r"(#|\bGH-)(?=\d)", re.IGNORECASE)
_MARKUP = re.compile(r"(<(?=[a-z/!?])|!(?=\[))", re.IGNORECASE)
_CLOSING = re.compile(
    r"\b((?:close|fix|resolve)[sd]?|fixed|fixes)(:?\s+)(?=https?:)", re.IGNORECASE
)


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


def quiet(text: str) -> str:
    """Return Markdown of others that notifies nobody, closes no issue and hides no text."""
    text = _MENTION.sub("@" + _ZERO_WIDTH_SPACE, text)
    text = _REFERENCE.sub(r"\1" + _ZERO_WIDTH_SPACE, text)
    text = _CLOSING.sub(r"\1\2" + _ZERO_WIDTH_SPACE, text)
    return _MARKUP.sub(r"\1" + _ZERO_WIDTH_SPACE, text)
