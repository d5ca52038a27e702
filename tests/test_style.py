"""What is written here passes the linters that pyproject.toml configures.

What is rendered is linted in tests/rendered, with the rendered repository's own settings.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from rig import tools

CHECKOUT = Path(__file__).parents[1]


def shell_scripts() -> list[str]:
    """Return the project's own shell scripts, known by their first line."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", ":!template"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    found = []
    for name in listing:
        file = CHECKOUT / name
        if file.is_file() and file.read_bytes()[:32].startswith(
            (b"#!/usr/bin/env bash\n", b"#!/bin/bash\n", b"#!/bin/sh\n")
        ):
            found.append(name)
    return found


@pytest.mark.integration
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check", "."], id="ruff-check"),
        pytest.param(["ruff", "format", "--diff", "."], id="ruff-format"),
        pytest.param(["mypy"], id="mypy"),
        pytest.param(["lint-imports", "--no-cache"], id="import-linter"),
        pytest.param(["shellcheck", "SCRIPTS"], id="shellcheck"),
        pytest.param(["shfmt", "--diff", "--indent=2", "SCRIPTS"], id="shfmt"),
    ],
)
def test_linter_has_nothing_to_say(command: list[str]) -> None:
    """Each linter reports by its exit code; what it found is the message."""
    program, *arguments = command
    if arguments[-1:] == ["SCRIPTS"]:
        scripts = shell_scripts()
        assert ".ci/run" in scripts
        arguments[-1:] = scripts
    result = subprocess.run(
        [tools.require(program), *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_file_of_tests_is_collected(pytestconfig: pytest.Config) -> None:
    """By default pytest enters no folder named build, and says nothing of it."""
    left_out = pytestconfig.getini("norecursedirs")
    folders = {file.parent for file in (CHECKOUT / "tests").rglob("test_*.py")}
    parts = {part for folder in folders for part in folder.relative_to(CHECKOUT).parts}
    assert "build" in parts
    assert not [part for part in parts if any(fnmatch(part, pattern) for pattern in left_out)]


def test_no_two_files_of_tests_have_one_name() -> None:
    """Outside of a package pytest collects only the first of them, and a test run still starts."""
    names = [
        file.name
        for file in (CHECKOUT / "tests").rglob("test_*.py")
        if not (file.parent / "__init__.py").exists()
    ]
    assert sorted(set(names)) == sorted(names)


def find_hollow_tests(source: str) -> list[str]:
    """Return the tests that assert nothing when what their loops run over is empty."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and any(isinstance(each, ast.Assert) for each in ast.walk(node))
        and not any(_find_certain_assertions(node.body))
    ]


def _find_certain_assertions(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.Assert) or (
            isinstance(node, ast.With) and "raises(" in ast.unparse(node.items[0])
        ):
            yield node
        elif not isinstance(node, ast.For) or not _may_be_empty(node.iter):
            yield from _find_certain_assertions(getattr(node, "body", []))


def _may_be_empty(iterated: ast.expr) -> bool:
    """Return whether nothing shows that it is not empty: a constant does, and sorted of one."""
    if isinstance(iterated, ast.Call):
        inner = iterated.args or [getattr(iterated.func, "value", iterated.func)]
        return _may_be_empty(inner[-1])
    if isinstance(iterated, ast.Tuple | ast.List | ast.Set):
        return not any(not isinstance(each, ast.Starred) for each in iterated.elts)
    if isinstance(iterated, ast.Dict):
        return not any(key or not _may_be_empty(value) for key, value in
                       zip(iterated.keys, iterated.values, strict=True))  # fmt: skip
    if isinstance(iterated, ast.Constant):
        return not iterated.value
    return not (
        isinstance(iterated, ast.Name | ast.Attribute) and ast.unparse(iterated)[-1].isupper()
    )


@pytest.mark.parametrize(
    "file", sorted((CHECKOUT / "tests").rglob("test_*.py")), ids=lambda file: file.name
)
def test_every_test_asserts_something(file: Path) -> None:
    """A loop over nothing leaves no test without an assertion (issue 12)."""
    assert find_hollow_tests(file.read_text()) == []


@pytest.mark.parametrize(
    ("body", "hollow"),
    [
        ("for x in find():\n  assert x", True),
        ("for x in find(A):\n  assert x", False),
        ("for x in [*find()]:\n  assert x", True),
        ("for x in (1, 2):\n  assert x", False),
        ("for x in NAMES:\n  for y in x:\n   assert y", True),
        ("with made() as m:\n  assert m", False),
        ("assert x\n for y in x:\n  assert y", False),
        ("with pytest.raises(E):\n  x()\n for y in z:\n  assert y", False),
        ("check(x)", False),
    ],
)
def test_hollow_tests_are_recognized(body: str, hollow: bool) -> None:
    """The check above finds a loop that may run over nothing, and nothing else (issue 12)."""
    assert find_hollow_tests(f"def test_x():\n {body}\n") == (["test_x"] if hollow else [])
