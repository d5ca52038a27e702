"""What the source of a build sets an attribute to, as far as that can be known before the build."""

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
    """What a block sets an attribute to.

    Attributes:
        place: The attribute, or the block that does not set it.
        value: The value; UNKNOWN, or text with UNKNOWN in it, where only a build knows it.
        is_set: Whether the block sets it.
        blocks: Names of the blocks in the same block, such as assume_role.
    """

    place: Place
    value: Any = None
    is_set: bool = True
    blocks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Wanted:
    kind: str
    attribute: str


def read_template(template: Path) -> Folder:
    """Read the HCL of a build.

    Args:
        template: The folder or file that `packer build` gets.
    """
    from packer_toolkit.hcl.folder import load_folder

    folder = template if template.is_dir() else template.parent
    files = sorted(folder.iterdir()) if template.is_dir() else [template]
    return load_folder(folder, [file for file in files if file.is_file()])


def find_settings(read: Folder, name: str, values: Values, attribute: str) -> list[Setting]:
    """Return what a build gets for an attribute of its source, one for each possible block.

    Args:
        read: The HCL.
        name: The build, such as amazon-ebs.x86_64.
        values: Of `packer inspect`.
        attribute: Such as skip_create_ami.
    """
    _take_values(read, values)
    wanted = _Wanted(values.kinds[name], attribute)
    bases = dict(_bases(read, wanted))
    # A source is also a build by its own name, where a build block lists it.
    uses = [*((base, base, None) for base in bases), *_uses(read, wanted)]
    local_name = name.partition(f"{wanted.kind}.")[2]
    return [
        setting
        for known_as, base, own in uses
        if known_as in (local_name, UNKNOWN)
        for setting in (
            [own] if own else [bases[each] for each in bases if base in (each, UNKNOWN)]
        )
    ]


def _take_values(read: Folder, values: Values) -> None:
    """Use the values that Packer itself reports, where they are text or a boolean."""
    from packer_toolkit.hcl.evaluate import Definition
    from packer_toolkit.hcl.parse import parse_expression

    for key, text in values.raw.items():
        kind, _, name = key.partition(".")
        known = read.variables if kind == "var" else read.locals
        if text in ("true", "false"):
            known[name] = Definition(parse_expression(text), "")
        elif "<sensitive>" not in text and not text.startswith(("[", "{")) and text.isprintable():
            quoted = json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
            known[name] = Definition(parse_expression(quoted), "")


def _bases(read: Folder, wanted: _Wanted) -> Iterator[tuple[str, Setting]]:
    from packer_toolkit.hcl.evaluate import Evaluator
    from packer_toolkit.hcl.parse import list_blocks

    for block in read.blocks:
        if block.labels[:2] == ("source", wanted.kind) and len(block.labels) == 3:
            setting = _setting_of(block, Evaluator(read, block.place.file), wanted.attribute)
            if setting is None:
                inner = frozenset(
                    each.labels[0] for each in list_blocks(block.body, block.place.file)
                )
                setting = Setting(block.place, is_set=False, blocks=inner)
            yield block.labels[2], setting


def _uses(read: Folder, wanted: _Wanted) -> Iterator[tuple[str, str, Setting | None]]:
    """Yield the name of a build, that of its source, and what the build itself sets."""
    from packer_toolkit.hcl.evaluate import Evaluator
    from packer_toolkit.hcl.parse import list_attributes, list_blocks

    for build in read.blocks:
        if build.labels[0] != "build":
            continue
        file = build.place.file
        for block in list_blocks(build.body, file):
            if block.labels[0] == "source" and len(block.labels) == 2:
                yield from _use(block.labels[1], block, Evaluator(read, file), wanted)
            elif block.labels == ("dynamic", "source"):
                given = dict(list_attributes(block.body))
                outside = Evaluator(read, file)
                items = outside.evaluate(given["for_each"]) if "for_each" in given else UNKNOWN
                iterator = outside.read_name(given["iterator"]) if "iterator" in given else "source"
                pairs = items.items() if isinstance(items, dict) else zip(items, items, strict=True)
                for key, value in pairs:
                    inside = Evaluator(read, file, {iterator: {"key": key, "value": value}})
                    labels = inside.evaluate(given["labels"]) if "labels" in given else []
                    for inner in list_blocks(block.body, file):
                        for label in labels if isinstance(labels, list) else [UNKNOWN]:
                            yield from _use(str(label), inner, inside, wanted)


def _use(
    label: str, block: Block, evaluator: Evaluator, wanted: _Wanted
) -> Iterator[tuple[str, str, Setting | None]]:
    from packer_toolkit.hcl.parse import list_attributes

    kind, _, base = label.removeprefix("source.").partition(".")
    if kind != wanted.kind and UNKNOWN not in label:
        return
    base = UNKNOWN if UNKNOWN in label else base
    given = dict(list_attributes(block.body))
    name = str(evaluator.evaluate(given["name"])) if "name" in given else base
    yield (
        UNKNOWN if UNKNOWN in name else name,
        base,
        _setting_of(block, evaluator, wanted.attribute),
    )


def _setting_of(block: Block, evaluator: Evaluator, attribute: str) -> Setting | None:
    from packer_toolkit.hcl.parse import find_line, list_attributes

    node = dict(list_attributes(block.body)).get(attribute)
    if node is None:
        return None
    return Setting(Place(block.place.file, find_line(node)), evaluator.evaluate(node))
