"""What is written here passes the linters that pyproject.toml configures.

What is rendered is linted in tests/rendered, with the rendered repository's own settings.
"""

from __future__ import annotations

import subprocess
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


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check", "."], id="ruff-check"),
        pytest.param(["ruff", "format", "--diff", "."], id="ruff-format"),
        pytest.param(["mypy"], id="mypy"),
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
