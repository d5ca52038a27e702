"""The values of attributes of a build's source, as far as the HCL determines them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packer_toolkit.build.values import Values
from packer_toolkit.hcl.sources import UNKNOWN, Place

if TYPE_CHECKING:
    from packer_toolkit.hcl.evaluate import Evaluator, Folder
    from packer_toolkit.hcl.parse import Block


@dataclass(frozen=True)
class Setting:
    """The value of an attribute of a block.

    Attributes:
        place: Location of the attribute, or of the block that does not set it.
        value: The value; UNKNOWN, or text that contains UNKNOWN, if only a build determines it.
        is_set: Whether the block sets the attribute.
        blocks: Names of the blocks in the same block, such as assume_role.
    """

    place: Place
    value: Any = None
    is_set: bool = True
    blocks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Query:
    """An attribute of sources of a type."""

    kind: str
    attribute: str


def read_template(template: Path) -> Folder:
    """Read the HCL of a build.

    Args:
        template: Folder or file that Packer builds.
    """
    from packer_toolkit.hcl.folder import load_folder

    folder = template if template.is_dir() else template.parent
    files = sorted(folder.iterdir()) if template.is_dir() else [template]
    return load_folder(folder, [file for file in files if file.is_file()])


def find_settings(hcl: Folder, name: str, values: Values, attribute: str) -> list[Setting]:
    """Find the values of an attribute of a build's source, one for each block that may set it.

    Args:
        hcl: The HCL.
        name: Name of the build, such as amazon-ebs.x86_64.
        values: Values of the HCL, as Packer prints them.
        attribute: Name of the attribute, such as skip_create_ami.
    """
    _use_values(hcl, values)
    query = _Query(values.kinds[name], attribute)
    bases = dict(_read_sources(hcl, query))
    # A source is also a build by its own name, where a build block lists it.
    uses = [*((base, base, None) for base in bases), *_read_builds(hcl, query)]
    local_name = name.partition(f"{query.kind}.")[2]
    return [
        setting
        for build_name, base, own in uses
        if build_name in (local_name, UNKNOWN)
        for setting in (
            [own] if own else [bases[each] for each in bases if base in (each, UNKNOWN)]
        )
    ]


def _use_values(hcl: Folder, values: Values) -> None:
    """Use the values that Packer prints, if they are strings or booleans."""
    from packer_toolkit.hcl.evaluate import Definition
    from packer_toolkit.hcl.parse import parse_expression

    for key, text in values.raw.items():
        kind, _, name = key.partition(".")
        definitions = hcl.variables if kind == "var" else hcl.locals
        if text in ("true", "false"):
            definitions[name] = Definition(parse_expression(text), "")
        elif "<sensitive>" not in text and not text.startswith(("[", "{")) and text.isprintable():
            quoted = json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
            definitions[name] = Definition(parse_expression(quoted), "")


def _read_sources(hcl: Folder, query: _Query) -> Iterator[tuple[str, Setting]]:
    from packer_toolkit.hcl.evaluate import Evaluator
    from packer_toolkit.hcl.parse import list_blocks

    for block in hcl.blocks:
        if block.labels[:2] == ("source", query.kind) and len(block.labels) == 3:
            setting = _read_setting(block, Evaluator(hcl, block.place.file), query.attribute)
            if setting is None:
                inner = frozenset(
                    each.labels[0] for each in list_blocks(block.body, block.place.file)
                )
                setting = Setting(block.place, is_set=False, blocks=inner)
            yield block.labels[2], setting


def _read_builds(hcl: Folder, query: _Query) -> Iterator[tuple[str, str, Setting | None]]:
    """Yield the name of a build, the name of its source, and what the build itself sets."""
    from packer_toolkit.hcl.folder import list_build_sources

    for label, block, evaluator in list_build_sources(hcl):
        yield from _read_build(label, block, evaluator, query)


def _read_build(
    label: str, block: Block, evaluator: Evaluator, query: _Query
) -> Iterator[tuple[str, str, Setting | None]]:
    from packer_toolkit.hcl.parse import list_attributes

    kind, _, base = label.removeprefix("source.").partition(".")
    if kind != query.kind and UNKNOWN not in label:
        return
    base = UNKNOWN if UNKNOWN in label else base
    nodes = dict(list_attributes(block.body))
    name = str(evaluator.evaluate(nodes["name"])) if "name" in nodes else base
    yield (
        UNKNOWN if UNKNOWN in name else name,
        base,
        _read_setting(block, evaluator, query.attribute),
    )


def _read_setting(block: Block, evaluator: Evaluator, attribute: str) -> Setting | None:
    from packer_toolkit.hcl.parse import find_line, list_attributes

    node = dict(list_attributes(block.body)).get(attribute)
    if node is None:
        return None
    return Setting(Place(block.place.file, find_line(node)), evaluator.evaluate(node))
