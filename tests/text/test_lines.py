"""Text in one line, and numbers with their nouns."""

from __future__ import annotations

from packer_toolkit.text.lines import format_count, join_lines


def test_lines_are_joined_with_single_spaces() -> None:
    """Spaces, tabs and line breaks become one space."""
    assert join_lines("  a\tb\r\n\n c ") == "a b c"
    assert join_lines("") == ""


def test_noun_follows_the_number() -> None:
    """The plural adds an s unless it is given."""
    assert [format_count(number, "file") for number in (0, 1, 2)] == [
        "0 files",
        "1 file",
        "2 files",
    ]
