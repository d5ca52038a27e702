"""The pages match the tests and the questions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import test_bad_answers
import test_bad_input
import test_terminal

from rig.repositories.template import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))
# What goes well is no row of bad input.
GOES_WELL = {"keys-choose-every-answer", "enter-accepts-every-default"}


def rows_of(module: ModuleType) -> list[str]:
    """Return the names of a module's tests in the form of table rows."""
    return [
        name.removeprefix("test_").replace("_", "-")
        for name in vars(module)
        if name.startswith("test_")
    ]


def test_bad_input_lists_exactly_the_tested_rows() -> None:
    """Every row of docs/bad-input.md has a test, and every test has a row."""
    page = (ROOT / "docs" / "bad-input.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)
    tested = [*rows_of(test_bad_answers), *rows_of(test_bad_input), *rows_of(test_terminal)]
    assert len(rows) == len(set(rows))
    assert set(rows) == set(tested) - GOES_WELL


def test_bad_input_names_every_row_that_copier_answers_with_a_traceback() -> None:
    """The list at the end of the page equals the rows with a traceback."""
    page = (ROOT / "docs" / "bad-input.md").read_text()
    tables, _, end = page.partition("## Errors that the template cannot explain")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|.*traceback of Copier", tables, re.MULTILINE)
    listed = re.findall(r"`([a-z0-9-]+)`", end.partition("In each of them")[0])
    assert sorted(listed) == sorted(rows)


def test_questions_page_is_up_to_date() -> None:
    """docs/questions.md is up to date with copier.yml and the rules."""
    command = [sys.executable, "docs/generate_questions.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """All links point to existing files and headings (issue 12)."""
    text = page.read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) == text.count("](")
    for target in targets:
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]
