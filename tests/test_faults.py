"""docs/maintainers/faults.md and the tests agree on which test holds which fault."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PAGE = CHECKOUT / "docs" / "maintainers" / "faults.md"

# As a docstring ends: (review C1, field 2).
_ONE = r"(?:review [CR]|field |inspec |adopt |issue |report )\d+"
_CARRIED = re.compile(rf"\(({_ONE}(?:, {_ONE})*)\)\.?$")
_ROW = re.compile(rf"^\| ({_ONE}) \| .* \| (.*) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def read_carried() -> dict[str, set[tuple[str, str]]]:
    """Return fault identifier -> the tests, as (file, name), whose docstrings carry it."""
    carried: dict[str, set[tuple[str, str]]] = {}
    for file in sorted((CHECKOUT / "tests").rglob("test_*.py")):
        for name, docstring in _tests(file):
            match = _CARRIED.search(" ".join(docstring.split()))
            for fault in match[1].split(", ") if match else ():
                test = (file.relative_to(CHECKOUT).as_posix(), name)
                carried.setdefault(fault, set()).add(test)
    return carried


def _tests(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name, ast.get_docstring(node) or ""


def read_page() -> dict[str, set[tuple[str, str]]]:
    """Return fault identifier -> the tests that the page names for it."""
    rows = _ROW.findall(PAGE.read_text().partition("\n## ")[0])
    faults = [fault for fault, _ in rows]
    assert sorted(set(faults)) == sorted(faults), "a fault has two rows"
    return {fault: set(_TEST.findall(tests)) for fault, tests in rows}


def test_every_fault_on_the_page_has_a_test_that_carries_it() -> None:
    """Each test that a row names exists, and its docstring ends with the row's identifier."""
    carried = read_carried()
    page = read_page()
    assert page
    for fault, tests in page.items():
        assert tests, f"{fault}: the row names no test"
        assert tests <= carried.get(fault, set()), fault


def test_every_fault_that_a_test_carries_is_on_the_page() -> None:
    """A reader of the page sees every fault that was fixed."""
    assert read_carried().keys() == read_page().keys()


# Every entry of the three reports that the issues about 1.0.0 name; numbers that are missing here
# are missing there.
_REPORTED = {
    "review C": (1, 2, 3, 6, 7, 9, 10, 11, 14, 15, 17, 18, 20, 22, 24, 25, 27, 28, 30, 31, 32),
    "review R": tuple(range(1, 25)),
    "field ": (
        1,
        2,
        3,
        4,
        5,
        7,
        9,
        10,
        11,
        13,
        14,
        16,
        17,
        18,
        20,
        22,
        24,
        26,
        28,
        30,
        32,
        *range(33, 40),
    ),
    "inspec ": (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14),
    "report ": tuple(range(1, 11)),
}


def test_the_page_lists_every_reported_fault() -> None:
    """No entry of a report is left out (issue 12)."""
    reported = {f"{name}{number}" for name, numbers in _REPORTED.items() for number in numbers}
    assert reported <= read_page().keys()
