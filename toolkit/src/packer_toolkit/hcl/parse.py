"""Parse HCL with python-hcl2: the blocks and attributes of a file, each with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lark import Token, Tree
from lark.exceptions import LarkError, UnexpectedInput

from packer_toolkit.hcl.sources import Place

Node = Any  # a Tree or a Token of Lark
_LABELS = {"identifier", "string", "keyword", "literal_value"}


class UnreadableHclError(Exception):
    """A file is not HCL that can be parsed.

    Attributes:
        line: Line of the error; 0 where it is not known.
    """

    def __init__(self, line: int) -> None:
        super().__init__("it is not HCL that can be parsed")
        self.line = line


@dataclass(frozen=True)
class Block:
    """A block of a file.

    Attributes:
        labels: Its type and its labels, such as ("source", "amazon-ebs", "web").
        body: What is in it.
        place: Where it begins.
    """

    labels: tuple[str, ...]
    body: Tree[Token]
    place: Place


def is_hcl(path: Path) -> bool:
    """Report whether Packer reads a file as HCL."""
    return path.name.endswith((".pkr.hcl", ".pkr.json"))


def parse_file(path: Path) -> Tree[Token]:
    """Parse a file of blocks, or of values of variables, in either form of HCL.

    JSON is written as HCL first, so its lines are not known.

    Raises:
        UnreadableHclError: The file cannot be parsed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix != ".json":
            return _parse(text)
        write = _write_template if is_hcl(path) else _write_attributes
        body = _parse(write(json.loads(text)))
    except UnexpectedInput as error:
        raise UnreadableHclError(max(error.line, 0)) from None
    except json.JSONDecodeError as error:
        raise UnreadableHclError(error.lineno) from None
    except (AttributeError, OSError, TypeError, ValueError, LarkError, RecursionError):
        raise UnreadableHclError(0) from None
    for tree in body.iter_subtrees():
        tree.meta.line = 0
    return body


def parse_expression(text: str) -> Node:
    """Parse one expression, such as true or "web"."""
    ((_, node),) = list_attributes(_parse(f"x = {text}"))
    return node


def list_blocks(body: Tree[Token], file: str) -> Iterator[Block]:
    """Yield the blocks of a body.

    Args:
        body: Of a file or a block.
        file: Path of the file, for the places of the blocks.
    """
    for child in list_trees(body):
        if child.data == "block":
            labels = [read_label(part) for part in list_trees(child) if part.data in _LABELS]
            (inner,) = (part for part in list_trees(child) if part.data == "body")
            yield Block(tuple(labels), inner, Place(file, find_line(child)))


def list_attributes(body: Tree[Token]) -> Iterator[tuple[str, Node]]:
    """Yield the names and expressions of the attributes of a body."""
    for child in list_trees(body):
        if child.data == "attribute":
            name, *_, expression = list_trees(child)
            yield read_label(name), expression


def list_trees(tree: Tree[Token]) -> list[Tree[Token]]:
    """Return the inner parts of a part of a file, without tokens, line breaks and comments."""
    return [
        child
        for child in tree.children
        if isinstance(child, Tree) and child.data != "new_line_or_comment"
    ]


def read_label(tree: Tree[Token]) -> str:
    """Return the text of a label, a name or a type, without quotes."""
    return "".join(map(str, tree.scan_values(lambda _: True))).strip('"')


def find_line(node: Node) -> int:
    """Return the line on which a part of a file begins; 0 where it is not known."""
    return getattr(getattr(node, "meta", None), "line", 0) or 0


def read_path(node: Node) -> tuple[str, ...]:
    """Return the names of an expression such as data.amazon-ami.base.id; () for any other."""
    while isinstance(node, Tree):
        inner = list_trees(node)
        if node.data == "string" and len(inner) == 1 and len(list_trees(inner[0])) == 1:
            node = list_trees(inner[0])[0]  # "${var.x}"
        elif node.data in {"expr_term", "interpolation"} and len(inner) == 1:
            node = inner[0]
        elif node.data == "identifier":
            return (read_label(node),)
        elif node.data == "get_attr_expr_term" and (before := read_path(inner[0])):
            return (*before, read_label(inner[1]).lstrip("."))
        else:
            break
    return ()


def may_set(path: Path, value: str) -> bool:
    """Report whether a file sets something to a string, perhaps depending on a condition.

    Comparing something with the string, or naming it in a list, does not set it.

    Args:
        path: A file of HCL in either form, or one of JSON; one that cannot be parsed may set it.
        value: The string.
    """
    text = path.read_text(errors="replace")
    if path.suffix == ".json":
        return bool(re.search(rf':\s*"{value}"', text))
    if f'"{value}"' not in text:
        return False
    try:
        body = parse_file(path)
    except UnreadableHclError:
        return True
    return any(
        value in _list_results(list_trees(tree)[-1])
        for tree in body.iter_subtrees()
        if tree.data in {"attribute", "object_elem"}
    )


def _list_results(node: Tree[Token]) -> Iterator[str]:
    """Yield the strings and names that an expression may evaluate to."""
    parts = list_trees(node)
    if node.data == "conditional":
        parts = parts[1:]
    elif node.data not in {"expr_term", "interpolation", "object_elem_key", "object_elem_value"}:
        yield read_label(node)
        return
    for part in parts:
        yield from _list_results(part)


def _parse(text: str) -> Tree[Token]:
    import hcl2

    return list_trees(hcl2.parses_to_tree(f"{text}\n"))[0]


def _write_template(document: Any) -> str:
    """Write blocks of HCL's JSON form as HCL.

    https://developer.hashicorp.com/packer/docs/templates/hcl_templates/syntax-json
    """
    lines: list[str] = []
    for kind, content in dict(document).items():
        for item in content if isinstance(content, list) else [content]:
            if kind == "locals":
                lines.append(f"locals {_write_body(item)}")
            elif kind in {"variable", "local"}:
                lines += [f'{kind} "{name}" {_write_body(body)}' for name, body in item.items()]
            elif kind in {"source", "data"}:
                lines += [
                    f'{kind} "{first}" "{name}" {_write_body(body)}'
                    for first, named in item.items()
                    for name, body in named.items()
                ]
    return "\n".join(lines)


def _write_body(content: Any) -> str:
    return f"{{\n{_write_attributes(content)}}}"


def _write_attributes(content: Any) -> str:
    return "".join(f"{name} = {_write_value(value)}\n" for name, value in dict(content).items())


def _write_value(content: Any) -> str:
    if isinstance(content, dict):
        parts = ", ".join(f"{json.dumps(name)} = {_write_value(v)}" for name, v in content.items())
        return f"{{ {parts} }}"
    if isinstance(content, list):
        return f"[{', '.join(map(_write_value, content))}]"
    return json.dumps(content, ensure_ascii=False)
