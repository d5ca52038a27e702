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
    rows = _ROW.findall(PAGE.read_text())
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
