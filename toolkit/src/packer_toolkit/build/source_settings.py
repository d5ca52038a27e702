"""The values of attributes of a build's source, as far as the HCL determines them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packer_toolkit.build.values import Values
from packer_toolkit.hcl.evaluate import Definition, Evaluator, Folder
from packer_toolkit.hcl.folder import list_build_sources, load_folder
from packer_toolkit.hcl.parse import (
    Block,
    find_line,
    list_attributes,
    list_blocks,
    parse_expression,
)
from packer_toolkit.hcl.sources import UNKNOWN, Place


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


# What an unexpected content of a JSON template raises.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def is_json_template(template: Path) -> bool:
    """Return whether Packer builds a file of its format before HCL."""
    return template.is_file() and not template.name.endswith((".pkr.hcl", ".pkr.json"))


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON template, or HCL in its JSON form.

    Raises:
        UNREADABLE: If it is not valid.
    """
    return dict(json.loads(file.read_text(encoding="utf-8-sig")))


def read_template(template: Path) -> Folder:
    """Read the HCL of a build.

    Args:
        template: Folder or file that Packer builds.
    """
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
    kind = values.kinds[name]
    bases = dict(_read_sources(hcl, kind, attribute))
    # A source is also a build by its own name, where a build block lists it.
    uses = [*((base, base, None) for base in bases), *_read_builds(hcl, kind, attribute)]
    local_name = name.partition(f"{kind}.")[2]
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
    for key, text in values.raw.items():
        kind, _, name = key.partition(".")
        definitions = hcl.variables if kind == "var" else hcl.locals
        if text in ("true", "false"):
            definitions[name] = Definition(parse_expression(text), "")
        elif "<sensitive>" not in text and not text.startswith(("[", "{")) and text.isprintable():
            quoted = json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
            definitions[name] = Definition(parse_expression(quoted), "")


def _read_sources(hcl: Folder, kind: str, attribute: str) -> Iterator[tuple[str, Setting]]:
    for block in hcl.blocks:
        if block.labels[:2] == ("source", kind) and len(block.labels) == 3:
            setting = _read_setting(block, Evaluator(hcl, block.place.file), attribute)
            if setting is None:
                inner = frozenset(
                    each.labels[0] for each in list_blocks(block.body, block.place.file)
                )
                setting = Setting(block.place, is_set=False, blocks=inner)
            yield block.labels[2], setting


def _read_builds(
    hcl: Folder, kind: str, attribute: str
) -> Iterator[tuple[str, str, Setting | None]]:
    """Yield the name of a build, the name of its source, and what the build itself sets."""
    for label, block, evaluator in list_build_sources(hcl):
        yield from _read_build(label, block, evaluator, kind, attribute)


def _read_build(
    label: str, block: Block, evaluator: Evaluator, kind: str, attribute: str
) -> Iterator[tuple[str, str, Setting | None]]:
    source_kind, _, base = label.removeprefix("source.").partition(".")
    if source_kind != kind and UNKNOWN not in label:
        return
    base = UNKNOWN if UNKNOWN in label else base
    nodes = dict(list_attributes(block.body))
    name = str(evaluator.evaluate(nodes["name"])) if "name" in nodes else base
    yield (
        UNKNOWN if UNKNOWN in name else name,
        base,
        _read_setting(block, evaluator, attribute),
    )


def _read_setting(block: Block, evaluator: Evaluator, attribute: str) -> Setting | None:
    node = dict(list_attributes(block.body)).get(attribute)
    if node is None:
        return None
    return Setting(Place(block.place.file, find_line(node)), evaluator.evaluate(node))
