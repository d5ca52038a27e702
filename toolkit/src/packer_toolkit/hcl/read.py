"""Read the sources of a folder of Packer files, with the values that a build would give them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lark import Token, Tree

from packer_toolkit.hcl.evaluate import Evaluator, Folder
from packer_toolkit.hcl.folder import load_folder
from packer_toolkit.hcl.parse import Block, Node, list_attributes, list_blocks, list_trees
from packer_toolkit.hcl.sources import UNKNOWN, Packer, Source, Value

_AMI_SOURCES = re.compile(r"amazon-(ebs|ebssurrogate|instance|chroot)\Z")
_Key = tuple[str, str]  # kind and name of a source


def read_packer(repository: Path, files: list[Path]) -> Packer:
    """Read the HCL of one folder.

    Args:
        repository: Places are relative to it.
        files: All files of the folder.
    """
    folder = load_folder(repository, files)
    packer = Packer(unread=folder.unread)
    for name, definition in folder.variables.items():
        value = Evaluator(folder, definition.file).evaluate(definition.node)
        packer.variables[name] = Value(value, definition.place)
    sources: dict[_Key, Source] = {}
    for block in folder.blocks:
        if block.labels[0] in {"source", "data"} and len(block.labels) == 3:
            _, kind, name = block.labels
            source = Source(kind, name, block.place)
            _fill(source, block.body, Evaluator(folder, block.place.file))
            if block.labels[0] == "data":
                packer.data[kind, name] = source
            elif _AMI_SOURCES.match(kind):
                sources[kind, name] = source
    completed: dict[_Key, list[Source]] = {}
    for block in folder.blocks:
        if block.labels[0] == "build":
            for source in _read_build(folder, block, sources):
                completed.setdefault((source.kind, source.name), []).append(source)
    for key, source in sources.items():
        packer.sources += completed.get(key, [source])
    return packer


def _read_build(folder: Folder, build: Block, sources: Mapping[_Key, Source]) -> Iterator[Source]:
    """Yield sources as a build completes them, in `source` blocks of its own."""
    file = build.place.file
    for block in list_blocks(build.body, file):
        if block.labels[0] == "source" and len(block.labels) == 2:
            yield from _complete(sources, block.labels[1], block, Evaluator(folder, file))
        elif block.labels == ("dynamic", "source"):
            yield from _read_dynamic(folder, sources, block)


def _read_dynamic(folder: Folder, sources: Mapping[_Key, Source], block: Block) -> Iterator[Source]:
    file = block.place.file
    outside = Evaluator(folder, file)
    attributes = dict(list_attributes(block.body))
    items = outside.evaluate(attributes["for_each"]) if "for_each" in attributes else UNKNOWN
    iterator = outside.read_name(attributes["iterator"]) if "iterator" in attributes else "source"
    contents = [each for each in list_blocks(block.body, file) if each.labels == ("content",)]
    if isinstance(items, dict):
        pairs = list(items.items())
    else:
        pairs = [(item, item) for item in (items if isinstance(items, list) else [UNKNOWN])]
    for key, value in pairs:
        inside = Evaluator(folder, file, {iterator: {"key": key, "value": value}})
        labels = inside.evaluate(attributes["labels"]) if "labels" in attributes else []
        for label in labels if isinstance(labels, list) else []:
            for content in contents:
                yield from _complete(sources, str(label), content, inside)


def _complete(
    sources: Mapping[_Key, Source], label: str, block: Block, evaluator: Evaluator
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
