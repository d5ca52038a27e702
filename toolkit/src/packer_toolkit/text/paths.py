"""Paths in lines of text."""

from __future__ import annotations


def join_paths(paths: list[str], most: int = 3) -> str:
    """Join paths for a line of text.

    Args:
        paths: Any number of paths.
        most: How many of them to name.

    Returns:
        The first paths, and how many more there are.
    """
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(show_path(path) for path in paths[:most]) + more


def show_path(path: str) -> str:
    """Escape the characters of a path that a terminal cannot show."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
