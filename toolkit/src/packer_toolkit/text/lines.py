"""Fit text into one line, and numbers into sentences."""

from __future__ import annotations


def join_lines(text: str) -> str:
    """Return a text as one line: every run of spaces and line breaks becomes one space."""
    return " ".join(text.split())


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 package" or "2 packages".

    Args:
        number: How many there are.
        noun: The noun in the singular; its plural has an s.
    """
    return f"{number} {noun if number == 1 else noun + 's'}"
