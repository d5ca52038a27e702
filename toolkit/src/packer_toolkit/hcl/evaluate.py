"""Reads Packer's HCL with python-hcl2's parser, and works out what can be known without a build."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lark import Token, Tree
from lark.exceptions import LarkError, UnexpectedInput

from packer_toolkit.hcl.sources import UNKNOWN, Packer, Place, Source, Value

Node = Any  # a Tree or a Token of Lark
_AMI_SOURCES = re.compile(r"amazon-(ebs|ebssurrogate|instance|chroot)\Z")
_DEEPEST = 200  # locals that lead in a circle end here


@dataclass(frozen=True)
class Definition:
    """A variable's or local's expression, where it stands."""

    node: Node
    file: str

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.file, line_of(self.node))


@dataclass(frozen=True)
class Block:
    """A block of a file: its type and labels, and what is in it."""

    labels: tuple[str, ...]
    body: Tree[Token]
    place: Place


@dataclass
class Folder:
    """All HCL of one folder, which Packer reads as one."""

    packer: Packer = field(default_factory=Packer)
    blocks: list[Block] = field(default_factory=list)
    variables: dict[str, Definition] = field(default_factory=dict)
    locals: dict[str, Definition] = field(default_factory=dict)


def is_hcl(path: Path) -> bool:
    """Tell whether Packer reads a file as HCL."""
    return path.name.endswith((".pkr.hcl", ".pkr.json"))


def read(repository: Path, files: list[Path]) -> Packer:
    """Read the HCL of one folder.

    Args:
        repository: places are relative to it.
        files: everything in the folder.
    """
    folder = load(repository, files)
    for name, definition in folder.variables.items():
        value = Evaluator(folder, definition.file).evaluate(definition.node)
        folder.packer.variables[name] = Value(value, definition.place)
    _read_sources(folder)
    return folder.packer


def load(repository: Path, files: list[Path]) -> Folder:
    """Parse the HCL of one folder, with the values that variables and locals get there.

    Args:
        repository: places are relative to it.
        files: everything in the folder.
    """
    folder = Folder()
    for path in files:
        if is_hcl(path):
            folder.blocks += _blocks_of(repository, path, folder.packer)
    for block in folder.blocks:
        if block.labels[0] == "variable" and len(block.labels) == 2:
            default = dict(attributes(block.body)).get("default")
            if default is not None:
                folder.variables[block.labels[1]] = Definition(default, block.place.file)
        elif block.labels == ("locals",):
            for name, node in attributes(block.body):
                folder.locals[name] = Definition(node, block.place.file)
        elif block.labels[0] == "local" and len(block.labels) == 2:
            for name, node in attributes(block.body):
                if name == "expression":
                    folder.locals[block.labels[1]] = Definition(node, block.place.file)
    _read_values(repository, files, folder)
    return folder


# ---------------------------------------------------------------------------------------- parsing


def _blocks_of(repository: Path, path: Path, packer: Packer) -> list[Block]:
    file = path.relative_to(repository).as_posix()
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return list(_blocks_of_json(json.loads(text), file))
        return list(blocks(_parse(text), file))
    except (OSError, UnicodeDecodeError, ValueError, LarkError, RecursionError) as error:
        packer.unread.append((Place(file, _line_of_error(error)), "it is no HCL that can be read"))
        return []


def parse_expression(text: str) -> Node:
    """Parse one expression, such as true or "web"."""
    ((_, node),) = attributes(_parse(f"x = {text}"))
    return node


def _parse(text: str) -> Tree[Token]:
    import hcl2

    tree: Tree[Token] = hcl2.parses_to_tree(text if text.endswith("\n") else f"{text}\n")
    return _trees(tree)[0]


def _line_of_error(error: Exception) -> int:
    if isinstance(error, UnexpectedInput):
        return max(error.line, 0)
    return error.lineno if isinstance(error, json.JSONDecodeError) else 0


def blocks(body: Tree[Token], file: str) -> Iterator[Block]:
    """Yield the blocks of a body."""
    for child in _trees(body):
        if child.data == "block":
            labels = [_label(part) for part in _trees(child) if part.data in _LABELS]
            (inner,) = (part for part in _trees(child) if part.data == "body")
            yield Block(tuple(labels), inner, Place(file, line_of(child)))


def attributes(body: Tree[Token]) -> Iterator[tuple[str, Node]]:
    """Yield name and expression of the attributes of a body."""
    for child in _trees(body):
        if child.data == "attribute":
            name, *_, expression = [part for part in child.children if isinstance(part, Tree)]
            yield _label(name), expression


def line_of(node: Node) -> int:
    """Return the line on which a part of a file begins, 0 when that is not known."""
    return getattr(getattr(node, "meta", None), "line", 0) or 0


_LABELS = {"identifier", "string", "keyword", "literal_value"}


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if isinstance(child, Tree)]


def _label(tree: Tree[Token]) -> str:
    return "".join(_tokens(tree)).strip('"')


def _tokens(tree: Tree[Token]) -> Iterator[str]:
    for child in tree.children:
        if isinstance(child, Tree):
            yield from _tokens(child)
        else:
            yield str(child)


def _blocks_of_json(document: Any, file: str) -> Iterator[Block]:
    """Yield the blocks of HCL in its JSON form, by writing them as HCL.

    https://developer.hashicorp.com/packer/docs/templates/hcl_templates/syntax-json
    """
    lines: list[str] = []
    for kind, content in dict(document).items():
        for item in content if isinstance(content, list) else [content]:
            if kind == "locals":
                lines.append(f"locals {_as_body(item)}")
            elif kind in {"variable", "local"}:
                lines += [f'{kind} "{name}" {_as_body(body)}' for name, body in item.items()]
            elif kind in {"source", "data"}:
                for first, named in item.items():
                    for name, body in named.items():
                        lines.append(f'{kind} "{first}" "{name}" {_as_body(body)}')
    for block in blocks(_parse("\n".join(lines)), file):
        # Lines of the text that was made here would lead nowhere.
        yield Block(block.labels, _without_lines(block.body), Place(file, 0))


def _without_lines(body: Tree[Token]) -> Tree[Token]:
    for tree in body.iter_subtrees():
        tree.meta.line = 0
    return body


def _as_body(content: Any) -> str:
    return "{\n" + "".join(f"{n} = {_as_expression(v)}\n" for n, v in dict(content).items()) + "}"


def _as_expression(content: Any) -> str:
    if isinstance(content, dict):
        parts = ", ".join(f"{json.dumps(n)} = {_as_expression(v)}" for n, v in content.items())
        return f"{{ {parts} }}"
    if isinstance(content, list):
        return f"[{', '.join(map(_as_expression, content))}]"
    return json.dumps(content, ensure_ascii=False)


# ----------------------------------------------------------------------------- values of variables


def _read_values(repository: Path, files: list[Path], folder: Folder) -> None:
    """Take the variables' values that Packer takes by itself.

    Of files that it takes only with -var-file, the only one there is counts, where a variable has
    no other value.
    """
    taken = [
        path for path in files if path.name.endswith((".auto.pkrvars.hcl", ".auto.pkrvars.json"))
    ]
    given = [
        path
        for path in files
        if path.name.endswith((".pkrvars.hcl", ".pkrvars.json")) and path not in taken
    ]
    for path in taken:
        folder.variables.update(_values_of(repository, path, folder.packer))
    if len(given) == 1:
        for name, definition in _values_of(repository, given[0], folder.packer).items():
            if name not in folder.variables or Evaluator(folder, "").is_empty(name):
                folder.variables[name] = definition


def read_value(path: Path, name: str) -> Any:
    """Return the value that a file of -var-file gives a variable; None when it gives none."""
    definition = _values_of(path.parent, path, Packer()).get(name)
    if definition is None:
        return None
    return Evaluator(Folder(), definition.file).evaluate(definition.node)


def _values_of(repository: Path, path: Path, packer: Packer) -> dict[str, Definition]:
    file = path.relative_to(repository).as_posix()
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            text = _as_body(json.loads(text))[1:-1]
        body = _parse(text)
    except (OSError, UnicodeDecodeError, ValueError, TypeError, LarkError, RecursionError) as error:
        packer.unread.append((Place(file, _line_of_error(error)), "it is no HCL that can be read"))
        return {}
    if path.suffix == ".json":
        body = _without_lines(body)
    return {name: Definition(node, file) for name, node in attributes(body)}


# ----------------------------------------------------------------------------------------- sources


def _read_sources(folder: Folder) -> None:
    by_name: dict[tuple[str, str], Source] = {}
    for block in folder.blocks:
        if block.labels[0] in {"source", "data"} and len(block.labels) == 3:
            _, kind, name = block.labels
            source = Source(kind, name, block.place)
            _fill(source, block.body, Evaluator(folder, block.place.file))
            if block.labels[0] == "data":
                folder.packer.data[kind, name] = source
            elif _AMI_SOURCES.match(kind):
                by_name[kind, name] = source
    used: dict[tuple[str, str], list[Source]] = {}
    for block in folder.blocks:
        if block.labels[0] == "build":
            for key, made in _sources_of_build(folder, block, by_name):
                used.setdefault(key, []).append(made)
    for key, source in by_name.items():
        folder.packer.sources += used.get(key, [source])


def _sources_of_build(
    folder: Folder, build: Block, sources: Mapping[tuple[str, str], Source]
) -> Iterator[tuple[tuple[str, str], Source]]:
    """Yield sources as a build completes them, in `source` blocks of its own."""
    file = build.place.file
    for block in blocks(build.body, file):
        if block.labels[0] == "source" and len(block.labels) == 2:
            yield from _completed(sources, block.labels[1], block, Evaluator(folder, file))
        elif block.labels == ("dynamic", "source"):
            yield from _dynamic(folder, sources, block)


def _dynamic(
    folder: Folder, sources: Mapping[tuple[str, str], Source], block: Block
) -> Iterator[tuple[tuple[str, str], Source]]:
    outside = Evaluator(folder, block.place.file)
    given = dict(attributes(block.body))
    items = outside.evaluate(given["for_each"]) if "for_each" in given else UNKNOWN
    iterator = outside.name_of(given["iterator"]) if "iterator" in given else "source"
    content = [
        inner for inner in blocks(block.body, block.place.file) if inner.labels == ("content",)
    ]
    if isinstance(items, dict):
        pairs = list(items.items())
    else:
        pairs = (
            [(item, item) for item in items] if isinstance(items, list) else [(UNKNOWN, UNKNOWN)]
        )
    for key, value in pairs:
        scope = {iterator: {"key": key, "value": value}}
        inside = Evaluator(folder, block.place.file, scope)
        labels = inside.evaluate(given["labels"]) if "labels" in given else []
        for label in labels if isinstance(labels, list) else []:
            for inner in content:
                yield from _completed(sources, str(label), inner, inside)


def _completed(
    sources: Mapping[tuple[str, str], Source], label: str, block: Block, evaluator: Evaluator
) -> Iterator[tuple[tuple[str, str], Source]]:
    kind, _, name = label.removeprefix("source.").partition(".")
    source = sources.get((kind, name))
    if source:
        made = Source(kind, name, source.place)
        _fill(made, block.body, evaluator)
        for path, value in source.values.items():
            made.add(path, value)
        yield (kind, name), made


def _fill(source: Source, body: Tree[Token], evaluator: Evaluator, prefix: str = "") -> None:
    for name, node in attributes(body):
        _add(source, f"{prefix}{name}", node, evaluator)
    for block in blocks(body, source.place.file):
        if len(block.labels) == 1:
            _fill(source, block.body, evaluator, f"{prefix}{block.labels[0]}.")


def _add(source: Source, path: str, node: Node, evaluator: Evaluator) -> None:
    """Add an expression; the parts of an object each with its own line."""
    inner = _trees(node)
    if node.data == "expr_term" and inner and inner[0].data == "object":
        for name, part in evaluator.elements(inner[0]):
            _add(source, f"{path}.{name}", part, evaluator)
    else:
        source.add(path, evaluator.value(node))


# -------------------------------------------------------------------------------------- evaluation


class Evaluator:
    """Works out expressions; what only a build can know is UNKNOWN.

    Attributes:
        folder: has the variables and locals.
        file: the file that the expressions stand in.
        scope: names beside var, local and the like, such as the iterator of a dynamic block.
    """

    def __init__(self, folder: Folder, file: str, scope: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.file = file
        self.scope = scope or {}
        self._depth = 0

    def value(self, node: Node) -> Value:
        """Return an expression's value, and where it is set: for a variable, there."""
        place = Place(self.file, line_of(node))
        path = self.path(node)
        origin = self._definition(path)
        steps = 0
        while origin and steps < _DEEPEST:
            place, path = origin.place, Evaluator(self.folder, origin.file).path(origin.node)
            origin, steps = self._definition(path), steps + 1
        reference = path[:3] if path[:1] == ("data",) else ()
        return Value(self.evaluate(node), place, reference)

    def elements(self, node: Tree[Token]) -> Iterator[tuple[str, Node]]:
        """Yield names and expressions of an object."""
        for element in _trees(node):
            if element.data == "object_elem":
                key, value = _trees(element)[0], _trees(element)[-1]
                (inner,) = _trees(key)
                yield ".".join(self.path(inner)) or _text(self.evaluate(inner)), value

    def is_empty(self, variable: str) -> bool:
        """Tell whether a variable has no value of its own yet."""
        return not Value(self.evaluate(self.folder.variables[variable].node), Place("", 0)).known

    def name_of(self, node: Node) -> str:
        """Return a bare name."""
        return ".".join(self.path(node))

    def path(self, node: Node) -> tuple[str, ...]:
        """Return the names of an expression such as data.amazon-ami.base.id, () of any other."""
        while isinstance(node, Tree):
            inner = _trees(node)
            if node.data == "string" and len(inner) == 1 and len(_trees(inner[0])) == 1:
                node = _trees(inner[0])[0]  # "${var.x}"
            elif node.data in {"expr_term", "interpolation"} and len(inner) == 1:
                node = inner[0]
            elif node.data == "identifier":
                return (_label(node),)
            elif node.data == "get_attr_expr_term":
                first, last = inner
                before = self.path(first)
                return (*before, _label(last).lstrip(".")) if before else ()
            else:
                return ()
        return ()

    def _definition(self, path: tuple[str, ...]) -> Definition | None:
        if len(path) == 2 and path[0] == "var":
            return self.folder.variables.get(path[1])
        if len(path) == 2 and path[0] == "local":
            return self.folder.locals.get(path[1])
        return None

    def evaluate(self, node: Node) -> Any:
        """Return the value of an expression, or UNKNOWN."""
        if not isinstance(node, Tree):
            return UNKNOWN
        method: Callable[[Tree[Token]], Any] | None = getattr(self, f"_{node.data}", None)
        self._depth += 1
        try:
            return method(node) if method and self._depth < _DEEPEST else UNKNOWN
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
            RecursionError,
        ):
            return UNKNOWN
        finally:
            self._depth -= 1

    def _expr_term(self, node: Tree[Token]) -> Any:
        inner = [tree for tree in _trees(node) if tree.data != "new_line_or_comment"]
        return self.evaluate(inner[0])

    def _interpolation(self, node: Tree[Token]) -> Any:
        return self.evaluate(_trees(node)[0])

    def _string(self, node: Tree[Token]) -> Any:
        parts = [self._part(part) for part in _trees(node)]
        if len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0]  # "${var.list}" is the list
        return "".join(_text(part) for part in parts)

    def _part(self, part: Tree[Token]) -> Any:
        trees = _trees(part)
        if trees:
            return self.evaluate(trees[0]) if trees[0].data == "interpolation" else UNKNOWN
        text = _unescape("".join(map(str, part.children)))
        # Packer's own templates inside of HCL: {{timestamp}}, {{isotime "2006"}}.
        return re.sub(r"\{\{.*?\}\}", UNKNOWN, text)

    def _heredoc_template(self, node: Tree[Token]) -> Any:
        lines = str(node.children[0]).splitlines()[1:-1]
        return re.sub(r"\$\{[^}]*\}|\{\{.*?\}\}", UNKNOWN, "\n".join(lines))

    def _heredoc_template_trim(self, node: Tree[Token]) -> Any:
        return textwrap.dedent(self._heredoc_template(node))

    def _int_lit(self, node: Tree[Token]) -> Any:
        return int(str(node.children[0]))

    def _float_lit(self, node: Tree[Token]) -> Any:
        return float(str(node.children[0]))

    def _literal_value(self, node: Tree[Token]) -> Any:
        return {"true": True, "false": False, "null": None}[str(node.children[0])]

    def _tuple(self, node: Tree[Token]) -> Any:
        return [self.evaluate(part) for part in _trees(node) if part.data != "new_line_or_comment"]

    def _object(self, node: Tree[Token]) -> Any:
        return {name: self.evaluate(value) for name, value in self.elements(node)}

    def _identifier(self, node: Tree[Token]) -> Any:
        return self.scope.get(_label(node), UNKNOWN)

    def _get_attr_expr_term(self, node: Tree[Token]) -> Any:
        path = self.path(node)
        definition = self._definition(path)
        if definition:
            other = Evaluator(self.folder, definition.file)
            other._depth = self._depth + 1
            return other.evaluate(definition.node)
        if path[:1] == ("path",):
            return "."
        first, last = _trees(node)
        return self.evaluate(first)[_label(last).lstrip(".")]

    def _index_expr_term(self, node: Tree[Token]) -> Any:
        first, index = _trees(node)
        key = self.evaluate(_trees(index)[0]) if _trees(index) else int(str(index.children[-1]))
        return self.evaluate(first)[key]

    def _conditional(self, node: Tree[Token]) -> Any:
        test, yes, no = [part for part in _trees(node) if part.data != "new_line_or_comment"]
        outcome = self.evaluate(test)
        if isinstance(outcome, bool):
            return self.evaluate(yes if outcome else no)
        return UNKNOWN

    def _binary_op(self, node: Tree[Token]) -> Any:
        left, term, *_ = _trees(node)
        parts = [part for part in _trees(term) if part.data != "new_line_or_comment"]
        operator = str(parts[0].children[0])
        one, other = self.evaluate(left), self.evaluate(parts[1])
        if UNKNOWN in str(one) or UNKNOWN in str(other):
            return UNKNOWN
        return {
            "==": lambda: one == other,
            "!=": lambda: one != other,
            "&&": lambda: one and other,
            "||": lambda: one or other,
            "+": lambda: one + other,
            "-": lambda: one - other,
            "*": lambda: one * other,
        }[operator]()

    def _unary_op(self, node: Tree[Token]) -> Any:
        value = self.evaluate(_trees(node)[0])
        return not value if str(node.children[0]) == "!" else -value

    def _function_call(self, node: Tree[Token]) -> Any:
        name, *rest = _trees(node)
        given = [part for part in rest if part.data == "arguments"]
        arguments = [
            self.evaluate(part)
            for argument in given
            for part in _trees(argument)
            if part.data != "new_line_or_comment"
        ]
        function = _FUNCTIONS.get(_label(name))
        return function(*arguments) if function else UNKNOWN


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return UNKNOWN if isinstance(value, (list, dict)) or value is None else str(value)


def _unescape(text: str) -> str:
    text = text.replace("$${", "${").replace("%%{", "%{")
    escapes = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
    text = re.sub(r'\\([nrt"\\])', lambda match: escapes[match[1]], text)
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), text)


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value not in (None, "")), None)


def _format(pattern: str, *values: Any) -> str:
    texts = iter(values)
    return re.sub(r"%[sdvq]", lambda _: _text(next(texts)), pattern)


def _merge(*maps: Any) -> Any:
    made: dict[str, Any] = {}
    for item in maps:
        if isinstance(item, dict):
            made.update(item)
    return made


def _replace(text: str, old: str, new: str) -> str:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        return re.sub(old[1:-1], re.sub(r"\$(\d)", r"\\\1", new), text)
    return text.replace(old, new)


def _is_known(value: Any) -> bool:
    return UNKNOWN not in str(value)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    # What cannot be evaluated is unknown, which stands for an error here.
    "can": _is_known,
    "coalesce": _coalesce,
    "compact": lambda items: [item for item in items if item],
    "concat": lambda *lists: [item for items in lists for item in items],
    "distinct": lambda items: list(dict.fromkeys(items)),
    "element": lambda items, index: items[index % len(items)],
    "flatten": lambda items: [
        part for item in items for part in (item if isinstance(item, list) else [item])
    ],
    "format": _format,
    "join": lambda separator, items: separator.join(map(_text, items)),
    "keys": lambda item: sorted(item),
    "lookup": lambda item, key, *default: item.get(key, *default),
    "lower": lambda text: text.lower(),
    "merge": _merge,
    "replace": _replace,
    "split": lambda separator, text: text.split(separator),
    "title": lambda text: text.title(),
    "tolist": list,
    "toset": list,
    "tostring": _text,
    "trim": lambda text, signs: text.strip(signs),
    "trimprefix": lambda text, prefix: text.removeprefix(prefix),
    "trimspace": lambda text: text.strip(),
    "trimsuffix": lambda text, suffix: text.removesuffix(suffix),
    "try": lambda *values: next(filter(_is_known, values), UNKNOWN),
    "upper": lambda text: text.upper(),
    "values": lambda item: [item[key] for key in sorted(item)],
}
