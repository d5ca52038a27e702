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

from rig.host import tools
from rig.host.machine import HOST_ENV

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


# Files whose texts a user of the template reads. The workflows in template/.github are not among
# them yet.
PROSE = [
    "*.md",
    "copier.yml",
    "hooks",
    "includes",
    "template",
    ":(exclude)CHANGELOG.md",  # what was released is not rewritten
    ":(exclude)docs/decisions",  # neither is what was decided
    ":(exclude)docs/maintainers",  # the style guide quotes the phrases; faults.md quotes reports
    ":(exclude)tests/rig/*/README.md",
    ":(exclude)tests/rig/standins",
]
# What a native-speaking engineer would write instead of each phrase.
REPLACEMENTS = {
    r"mend(s|ed|ing)?": "fix",
    r"(some|no|any|every)body": "a user, no user, any user, every user",
    r"whoever": "the user who",
    r"(a|each|the) person|people": "a user, a developer",
    r"there is none": "it does not exist",
    r"(?<!there )is no(?! longer)": "is not, must be",
    r"by hand": "manually",
    r"by itself": "automatically",
    r"out of reach": "cannot be reached",
    r"stands?": "is",
    r"lies?": "is",
    r"(is |are )?told": "is reported",
    r"tells?": "reports, shows",
    r"says?": "prints, shows",
    r"blanks?": "spaces",
    r"signs": "characters",
    r"its hour|the hour": "its session",
    r"at once": "immediately, in parallel",
    r"in the way": "conflicts with",
    r"hands? (on|over)": "pass, export, return",
    r"bring(s|ing)? back": "restore",
    r"comes? along": "is kept",
    r"belongs? into": "belongs in",
    r"good build": "successful build",
    r"(?-i:account ids?)": "account ID",
    r"\w*organi[s]ation\w*|licence": "organization, license",
    r"lower-case|upper-case|lower case|upper case": "lowercase, uppercase",
    r"building (host|instance)": "build host, build instance",
    r"parents?( image)?s?": "base image; source AMI in HCL",
}
# Path and phrase -> why it may stay.
ALLOWED_PHRASES = {
    ("docs/releasing.md", "say"): "the function of hooks/migrations/steps.py",
    ("docs/toolkit.md", "signs"): "HashiCorp signs its checksum lists",
    ("hooks/migrations/steps.py", "say"): "a function that migrations of a release import",
    ("hooks/migrations/steps.py", "parent"): "the parent folder of a path",
    ("hooks/migrations/steps.py", "parents"): "an argument of Path.mkdir",
    ("hooks/post_gen.py", "parent"): "parent folders of a path",
    ("hooks/post_gen.py", "parents"): "parent folders of a path",
}


def find_forbidden_phrases(text: str) -> list[str]:
    """Return the phrases of a text that docs and messages must not contain."""
    pattern = "|".join(f"(?:{phrase})" for phrase in REPLACEMENTS)
    return [
        match[0].lower().strip()
        for match in re.finditer(rf"(?i)(?<![\w-])(?:{pattern})(?![\w-])", text)
    ]


def test_pages_and_texts_of_the_template_are_plain_english() -> None:
    """No page and no text of the template has a phrase that the style guide forbids."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PROSE]
    listing = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    names = [name for name in listing.stdout.split("\0") if (CHECKOUT / name).is_file()]
    assert "template/README.md.jinja" in names
    phrases = {
        (name, phrase)
        for name in names
        for phrase in find_forbidden_phrases((CHECKOUT / name).read_text())
    }
    assert phrases - ALLOWED_PHRASES.keys() == set()
    assert ALLOWED_PHRASES.keys() - phrases == set()


# Module and phrase in a string or docstring of the toolkit -> why it may stay.
ALLOWED_IN_TOOLKIT = {
    ("adopt/compare.py", "in the way"): "a value of `template adopt --json`",
    ("build/output.py", "parent"): "a phase in build-report.json",
    ("cli/template/adopt.py", "in the way"): "a value of `template adopt --json`",
    ("pipeline/advice.py", "parent"): "messages of 1.x",
    ("pipeline/issue_state.py", "parents"): "a key in the hidden comment of an issue",
    ("pipeline/plan.py", "parents"): "a key of `pipeline plan --json`",
    ("template/exported_template.py", "parent"): "the parent of a commit",
    ("template/exported_template.py", "parents"): "the parents of a commit",
    ("template/merge.py", "in the way"): "a value of `template update --json`",
    ("template/update_branch.py", "parent"): "the parent of a commit",
}


def test_texts_of_the_toolkit_are_plain_english() -> None:
    """No message and no docstring of the toolkit has a phrase that the style guide forbids."""
    package = CHECKOUT / "toolkit" / "src" / "packer_toolkit"
    phrases = {
        (file.relative_to(package).as_posix(), phrase)
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
        for phrase in find_forbidden_phrases(node.value)
    }
    assert phrases - ALLOWED_IN_TOOLKIT.keys() == set()
    assert ALLOWED_IN_TOOLKIT.keys() - phrases == set()


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("Tell what is missing, and mend it by hand.", ["tell", "mend", "by hand"]),
        ("It is no list, and there is no longer one.", ["is no"]),
        ("Nobody reads the lower-case account id.", ["nobody", "lower-case", "account id"]),
        ("The parent image of parent_name, image_parent", ["parent image"]),
        ("A standard client-side tellurium essay; misleading signals.", []),
    ],
)
def test_forbidden_phrases_are_recognized(text: str, phrases: list[str]) -> None:
    """The check above finds whole words in any case, and no part of another word."""
    assert find_forbidden_phrases(text) == phrases
