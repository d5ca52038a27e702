"""Load the HCL of a folder: blocks, variables and locals, and the files with their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lark import Token, Tree

from packer_toolkit.hcl.evaluate import Definition, Evaluator, Folder
from packer_toolkit.hcl.parse import (
    UnreadableHclError,
    is_hcl,
    list_attributes,
    list_blocks,
    parse_template,
    parse_values,
    read_label,
)
from packer_toolkit.hcl.sources import AUTOMATIC_VALUES, Place, Value

_VALUES = (".pkrvars.hcl", ".pkrvars.json")


def load_folder(repository: Path, files: list[Path]) -> Folder:
    """Parse the HCL of one folder, with the values that variables and locals get there.

    Of files that Packer takes only with -var-file, the only one of the folder counts, where a
    variable has no other value.

    Args:
        repository: Places are relative to it.
        files: All files of the folder.
    """
    folder = Folder()
    for path in filter(is_hcl, files):
        if body := _parse(repository, path, parse_template, folder):
            folder.blocks += list_blocks(body, path.relative_to(repository).as_posix())
    _read_definitions(folder)
    automatic = [path for path in files if path.name.endswith(AUTOMATIC_VALUES)]
    for path in automatic:
        folder.variables |= _read_values(repository, path, folder)
    others = [path for path in files if path.name.endswith(_VALUES) and path not in automatic]
    if len(others) == 1:
        for name, definition in _read_values(repository, others[0], folder).items():
            if not _has_value(folder, name):
                folder.variables[name] = definition
    return folder


def read_value(path: Path, name: str) -> Any:
    """Return the value that a file of -var-file gives a variable; None when it gives none."""
    definition = _read_values(path.parent, path, Folder()).get(name)
    return Evaluator(Folder(), path.name).evaluate(definition.node) if definition else None


def find_assignment(path: Path, name: str) -> int | None:
    """Return the line on which a file of values sets a variable; None when it does not."""
    definition = _read_values(path.parent, path, Folder()).get(name)
    return definition.place.line if definition else None


def _parse(
    repository: Path, path: Path, parse: Callable[[Path], Tree[Token]], folder: Folder
) -> Tree[Token] | None:
    try:
        return parse(path)
    except UnreadableHclError as error:
        place = Place(path.relative_to(repository).as_posix(), error.line)
        folder.unread.append((place, str(error)))
        return None


def _read_definitions(folder: Folder) -> None:
    for block in folder.blocks:
        kind, *names = block.labels
        attributes = dict(list_attributes(block.body))
        file = block.place.file
        if kind == "variable" and len(names) == 1:
            type_ = attributes.get("type")
            words = re.findall(r"\w+", read_label(type_) if type_ else "")
            folder.types[names[0]] = words[0] if words else ""
            if "default" in attributes:
                folder.variables[names[0]] = Definition(attributes["default"], file)
        elif kind == "locals" and not names:
            folder.locals |= {name: Definition(node, file) for name, node in attributes.items()}
        elif kind == "local" and len(names) == 1 and "expression" in attributes:
            folder.locals[names[0]] = Definition(attributes["expression"], file)


def _read_values(repository: Path, path: Path, folder: Folder) -> dict[str, Definition]:
    file = path.relative_to(repository).as_posix()
    body = _parse(repository, path, parse_values, folder)
    return {name: Definition(node, file) for name, node in list_attributes(body)} if body else {}


def _has_value(folder: Folder, variable: str) -> bool:
    definition = folder.variables.get(variable)
    if definition is None:
        return False
    evaluator = Evaluator(folder, definition.file)
    return Value(evaluator.evaluate(definition.node), definition.place).known
