"""Histories that were found to break a promise once, each with what went wrong then."""

from __future__ import annotations

from pathlib import Path

from histories import History
from test_loses_nothing import live


def test_an_empty_folder_in_the_way(made_by: dict[str, Path], tmp_path: Path) -> None:
    """The update ended half-way: a file cannot take the place of a folder."""
    path = "scripts/20-second.sh/own.txt"
    edits = (("add_binary", (path,)), ("delete", (path,)))
    live(History("v2.0.0", (((edits,), "v2.1.0", True),)), made_by, tmp_path / "web")
