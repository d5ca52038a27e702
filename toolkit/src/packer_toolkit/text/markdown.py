"""Write Markdown, and escape untrusted text in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from packer_toolkit.text.lines import join_lines

# GitHub acts on mentions, references to issues, words that close an issue, HTML and images. An
# invisible character after each of these prevents that.
_ACTING = re.compile(
    r"@(?=\w)|(?:#|\bGH-)(?=\d)|<(?=[a-z/!?])|!(?=\[)|"
    r"\b(?:(?:close|fix|resolve)[sd]?|fixed|fixes):?\s+(?=https?:)",
    re.IGNORECASE,
)
_ZERO_WIDTH_SPACE = "\u200b"


def format_code(text: str) -> str:
    """Return one line as inline code, which is also safe in the cell of a table."""
    line = join_lines(text)
    if not line:
        return "—"
    ticks = "`" * (_count_longest_backticks(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    # GitHub splits a table into cells before it reads the code in them.
    line = line.replace("|", "\\|")
    return f"{ticks}{pad}{line}{pad}{ticks}"


def format_code_block(lines: Iterable[str], language: str = "text") -> str:
    """Return lines as a code block that no line of them can end.

    Args:
        lines: The lines; one item may hold several.
        language: What GitHub highlights, such as text or diff.
    """
    text = "\n".join(lines)
    fence = "`" * max(3, _count_longest_backticks(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; head and cells must be Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def neutralize_markdown(text: str) -> str:
    """Return untrusted Markdown that mentions no user, closes no issue and hides no text."""
    return _ACTING.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", text)


def _count_longest_backticks(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
