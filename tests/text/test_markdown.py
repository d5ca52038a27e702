"""Untrusted text in Markdown is shown as it is."""

from __future__ import annotations

import pytest

from packer_toolkit.text.markdown import (
    format_code,
    format_code_block,
    format_table,
    neutralize_markdown,
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a b", "`a b`"),
        ("a\n  b", "`a b`"),
        ("", "—"),
        (" \n", "—"),
        ("a`b", "``a`b``"),
        ("`a``b", "``` `a``b ```"),
        ("a|b", "`a\\|b`"),
    ],
)
def test_inline_code_is_one_line_that_cannot_end_early(text: str, code: str) -> None:
    """Backticks in a text are enclosed by more of them, and a cell of a table stays one cell."""
    assert format_code(text) == code


def test_code_block_cannot_be_ended_by_its_lines() -> None:
    """The fence is longer than any in the block."""
    assert format_code_block(["a", "b"]) == "```text\na\nb\n```"
    assert format_code_block(["````", "x"], "diff") == "`````diff\n````\nx\n`````"


def test_table_has_head_and_rows() -> None:
    """Cells are Markdown already."""
    assert format_table(("A", "B"), [("`1`", "2")]) == "| A | B |\n| --- | --- |\n| `1` | 2 |"


@pytest.mark.parametrize(
    "text", ["@everyone", "#12", "GH-12", "fixes https://x/1", "<details>", "![x](y)", "<!-- x"]
)
def test_markdown_of_others_triggers_nothing(text: str) -> None:
    """Mentions, references, closing words, HTML and images get an invisible character."""
    neutral = neutralize_markdown(text)
    assert neutral != text
    assert neutral.replace("\u200b", "") == text


def test_other_markdown_stays() -> None:
    """Headings, links, addresses of mail and comparisons are left alone."""
    text = "# Title\n\n[x](https://y) me@ x.y 1 < 2 **bold**!"
    assert neutralize_markdown(text) == text
