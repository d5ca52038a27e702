"""What is written here passes the checks of .pre-commit-config.yaml.

What is rendered is linted in tests/rendered, with the rendered repository's own settings.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from rig import tools
from rig.host import HOST_ENV

CHECKOUT = Path(__file__).parents[1]
_CONFIGURATION = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())
HOOKS = [hook for repository in _CONFIGURATION["repos"] for hook in repository["hooks"]]


def list_files() -> list[str]:
    """Return the files that git knows and that are not deleted."""
    listing = subprocess.run(
        ["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [name for name in listing if (CHECKOUT / name).is_file()]


def shell_scripts() -> list[str]:
    """Return the project's own shell scripts, known by their first line."""
    lines = (b"#!/usr/bin/env bash\n", b"#!/bin/bash\n", b"#!/bin/sh\n")
    return [
        name
        for name in list_files()
        if not name.startswith("template/")
        and (CHECKOUT / name).read_bytes()[:32].startswith(lines)
    ]


@pytest.mark.integration
@pytest.mark.parametrize("hook", [hook["id"] for hook in HOOKS])
def test_hook_passes_for_all_files(hook: str, tmp_path: Path) -> None:
    """Each check of .pre-commit-config.yaml passes for the files that git knows."""
    result = subprocess.run(
        [tools.require("pre-commit"), "run", hook, "--all-files", "--color=never"],
        cwd=CHECKOUT,
        env={
            **HOST_ENV,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{HOST_ENV.get('PATH', os.defpath)}",
            "PRE_COMMIT_HOME": str(tmp_path),
            "UV_NO_SYNC": "1",  # the environment is the one that the tests run in
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Skipped" not in result.stdout, "the hook has files to check"


@pytest.mark.parametrize("hook", ["shellcheck", "shfmt"])
def test_hook_reads_every_shell_script(hook: str) -> None:
    """The pattern of the hook matches each file whose first line names a shell, and no other."""
    (settings,) = [each for each in HOOKS if each["id"] == hook]
    matched = [
        name
        for name in list_files()
        if re.search(settings["files"], name) and not re.search(settings["exclude"], name)
    ]
    assert ".ci/run" in matched
    assert matched == shell_scripts()


def test_every_file_of_tests_is_collected(pytestconfig: pytest.Config) -> None:
    """No folder of tests is left out: pytest's default leaves out build without a message."""
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
