"""Load the HCL of a folder, with the values of its variables, and read its sources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lark import Token, Tree

from packer_toolkit.hcl.evaluate import Definition, Evaluator, Folder
from packer_toolkit.hcl.parse import (
    Block,
    Node,
    UnreadableHclError,
    is_hcl,
    list_attributes,
    list_blocks,
    list_trees,
    parse_file,
    read_label,
    read_path,
)
from packer_toolkit.hcl.sources import AUTOMATIC_VALUES, UNKNOWN, Packer, Place, Source, Value

_VALUES = (".pkrvars.hcl", ".pkrvars.json")
_AMI_SOURCES = re.compile(r"amazon-(ebs|ebssurrogate|instance|chroot)\Z")


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
        if body := _parse(repository, path, folder):
            folder.blocks += list_blocks(body, path.relative_to(repository).as_posix())
    _read_definitions(folder)
    automatic = [path for path in files if path.name.endswith(AUTOMATIC_VALUES)]
    for path in automatic:
        folder.variables |= _read_values(repository, path, folder)
    others = [path for path in files if path.name.endswith(_VALUES) and path not in automatic]
    if len(others) == 1:
        folder.variables |= {
            name: definition
            for name, definition in _read_values(repository, others[0], folder).items()
            if name not in folder.variables or not _evaluate(folder, folder.variables[name]).known
        }
    return folder


def read_value(path: Path, name: str) -> Any:
    """Return the value that a file of -var-file gives a variable; None when it gives none."""
    definition = _read_values(path.parent, path, Folder()).get(name)
    return _evaluate(Folder(), definition).value if definition else None


def find_assignment(path: Path, name: str) -> int | None:
    """Return the line on which a file of values sets a variable; None when it does not."""
    definition = _read_values(path.parent, path, Folder()).get(name)
    return definition.place.line if definition else None


def _evaluate(folder: Folder, definition: Definition) -> Value:
    value = Evaluator(folder, definition.file).evaluate(definition.node)
    return Value(value, definition.place)


def _parse(repository: Path, path: Path, folder: Folder) -> Tree[Token] | None:
    try:
        return parse_file(path)
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
    body = _parse(repository, path, folder)
    return {name: Definition(node, file) for name, node in list_attributes(body)} if body else {}


# ------------------------------------------------------------------------------------ sources


def read_packer(repository: Path, files: list[Path]) -> Packer:
    """Read the sources of one folder, with the values that a build would give them.

    Args:
        repository: Places are relative to it.
        files: All files of the folder.
    """
    folder = load_folder(repository, files)
    variables = {name: _evaluate(folder, each) for name, each in folder.variables.items()}
    packer = Packer(variables=variables, unread=folder.unread)
    sources: dict[tuple[str, str], Source] = {}
    for block in folder.blocks:
        if block.labels[0] in {"source", "data"} and len(block.labels) == 3:
            _, kind, name = block.labels
            source = Source(kind, name, block.place)
            _fill(source, block.body, Evaluator(folder, block.place.file))
            if block.labels[0] == "data":
                packer.data[kind, name] = source
            elif _AMI_SOURCES.match(kind):
                sources[kind, name] = source
    completed = [
        source
        for label, block, evaluator in list_build_sources(folder)
        for source in _complete(sources, label, block, evaluator)
    ]
    for key, source in sources.items():
        packer.sources += [each for each in completed if (each.kind, each.name) == key] or [source]
    return packer


def list_build_sources(folder: Folder) -> Iterator[tuple[str, Block, Evaluator]]:
    """Yield the sources that build blocks list in `source` blocks, which may complete them.

    Yields:
        The label, such as source.amazon-ebs.web; the block; and what evaluates its attributes.
    """
    for build in folder.blocks:
        file = build.place.file
        for block in list_blocks(build.body, file) if build.labels[0] == "build" else ():
            if block.labels[0] == "source" and len(block.labels) == 2:
                yield block.labels[1], block, Evaluator(folder, file)
            elif block.labels == ("dynamic", "source"):
                yield from _list_dynamic(folder, block)


def _list_dynamic(folder: Folder, block: Block) -> Iterator[tuple[str, Block, Evaluator]]:
    """Yield the sources of a dynamic block; a label that only a build knows is UNKNOWN."""
    file = block.place.file
    nodes = dict(list_attributes(block.body))
    outside = Evaluator(folder, file)
    items = outside.evaluate(nodes["for_each"]) if "for_each" in nodes else UNKNOWN
    iterator = ".".join(read_path(nodes["iterator"])) if "iterator" in nodes else "source"
    values = items if isinstance(items, list) else [UNKNOWN]
    pairs = items.items() if isinstance(items, dict) else zip(values, values, strict=True)
    for key, value in pairs:
        inside = Evaluator(folder, file, {iterator: {"key": key, "value": value}})
        labels = inside.evaluate(nodes["labels"]) if "labels" in nodes else []
        for content in list_blocks(block.body, file):
            for label in labels if isinstance(labels, list) else [UNKNOWN]:
                yield str(label), content, inside


def _complete(
    sources: Mapping[tuple[str, str], Source], label: str, block: Block, evaluator: Evaluator
) -> Iterator[Source]:
    kind, _, name = label.removeprefix("source.").partition(".")
    if source := sources.get((kind, name)):
        completed = Source(kind, name, source.place)
        _fill(completed, block.body, evaluator)
        for path, value in source.values.items():
            completed.add(path, value)
        yield completed


def _fill(source: Source, body: Tree[Token], evaluator: Evaluator, prefix: str = "") -> None:
    for name, node in list_attributes(body):
        _add(source, f"{prefix}{name}", node, evaluator)
    for block in list_blocks(body, source.place.file):
        if len(block.labels) == 1:
            _fill(source, block.body, evaluator, f"{prefix}{block.labels[0]}.")


def _add(source: Source, path: str, node: Node, evaluator: Evaluator) -> None:
    """Add the value of an expression; each part of an object with its own line."""
    inner = list_trees(node)
    if node.data == "expr_term" and inner and inner[0].data == "object":
        for name, part in evaluator.list_elements(inner[0]):
            _add(source, f"{path}.{name}", part, evaluator)
    else:
        source.add(path, evaluator.find_value(node))
