"""The package is easy to navigate: small classes, short parameter lists, one name for one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "toolkit" / "src" / "packer_toolkit"
_LONGEST_CLASS = 150
_MOST_PARAMETERS = 7


def read_modules() -> Iterator[tuple[str, str, ast.Module]]:
    """Yield the path below the package, the text and the tree of each module."""
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if "collection_skeleton" not in name:
            text = file.read_text()
            yield name, text, ast.parse(text)


def test_no_class_is_long() -> None:
    """A class has at most 150 lines."""
    long = {
        f"{name}: {node.name}": lines
        for name, _, tree in read_modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > _LONGEST_CLASS
    }
    assert long == {}


def test_no_function_takes_many_parameters() -> None:
    """A function outside the command line has at most 7 parameters, or a reason above it."""
    many = {}
    for name, text, tree in read_modules():
        if name.startswith("cli/"):
            continue
        lines = text.splitlines()
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            arguments = node.args
            names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            own = [each for each in names if each.arg not in ("self", "cls")]
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            has_reason = lines[first - 2].strip().startswith("#")
            if len(own) > _MOST_PARAMETERS and not has_reason:
                many[f"{name}: {node.name}"] = len(own)
    assert many == {}


def test_no_two_public_classes_have_one_name() -> None:
    """One word means one thing: a class can be found by its name."""
    places = defaultdict(list)
    for name, _, tree in read_modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
