"""Evaluate expressions of HCL, as far as their values can be known without a build."""
# ruff: noqa: D102 (the methods without a docstring have the names of the grammar's rules)

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lark import Token, Tree
from lark.visitors import Interpreter

from packer_toolkit.hcl.parse import Block, Node, find_line, list_trees, read_label, read_path
from packer_toolkit.hcl.sources import UNKNOWN, Place, Value

_DEEPEST = 200  # stops locals that refer to each other
# What an expression may raise that cannot be evaluated, such as an index that does not exist.
_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True)
class Definition:
    """The expression of a variable or a local.

    Attributes:
        node: The expression.
        file: The file that it is in.
    """

    node: Node
    file: str

    @property
    def place(self) -> Place:
        """The line of the expression."""
        return Place(self.file, find_line(self.node))


@dataclass
class Folder:
    """All HCL of one folder, which Packer reads as one.

    Attributes:
        blocks: All blocks at the top of a file.
        variables: By name, those that have a value.
        types: The first word of the type of each declared variable; "" where it has no type.
        locals: By name.
        unread: Files that cannot be parsed, with the reason.
    """

    blocks: list[Block] = field(default_factory=list)
    variables: dict[str, Definition] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    locals: dict[str, Definition] = field(default_factory=dict)
    unread: list[tuple[Place, str]] = field(default_factory=list)


class Evaluator(Interpreter[Token, Any]):
    """Evaluates the expressions of a file; what only a build can know is UNKNOWN.

    Each method without a docstring evaluates the rule of that name in the grammar of python-hcl2.

    Attributes:
        folder: Has the variables and locals.
        file: The file with the expressions.
        scope: Names beside var, local and others, such as the iterator of a dynamic block.
        depth: How many expressions and definitions led to this expression.
    """

    def __init__(
        self, folder: Folder, file: str, scope: Mapping[str, Any] | None = None, depth: int = 0
    ) -> None:
        self.folder = folder
        self.file = file
        self.scope = scope or {}
        self.depth = depth

    def evaluate(self, node: Node) -> Any:
        """Return the value of an expression, or UNKNOWN."""
        self.depth += 1
        try:
            return self.visit(node) if isinstance(node, Tree) and self.depth < _DEEPEST else UNKNOWN
        except _ERRORS:
            return UNKNOWN
        finally:
            self.depth -= 1

    def find_value(self, node: Node) -> Value:
        """Return the value of an expression with the place that sets it: a variable's own place."""
        place, path = Place(self.file, find_line(node)), read_path(node)
        for _ in range(_DEEPEST):
            if not (origin := self.find_definition(path)):
                break
            place, path = origin.place, read_path(origin.node)
        reference = path[:3] if path[:1] == ("data",) else ()
        return Value(self.evaluate(node), place, reference)

    def find_definition(self, path: tuple[str, ...]) -> Definition | None:
        """Return the definition that a path such as ("var", "region") refers to."""
        kinds = {"var": self.folder.variables, "local": self.folder.locals}
        return kinds.get(path[0], {}).get(path[1]) if len(path) == 2 else None

    def list_elements(self, node: Tree[Token]) -> Iterator[tuple[str, Node]]:
        """Yield the names and expressions of an object."""
        for element in list_trees(node):
            if element.data == "object_elem":
                key, value = list_trees(element)[0], list_trees(element)[-1]
                (inner,) = list_trees(key)
                yield ".".join(read_path(inner)) or format_value(self.evaluate(inner)), value

    def __default__(self, tree: Tree[Token]) -> Any:
        return UNKNOWN

    def expr_term(self, tree: Tree[Token]) -> Any:
        return self.evaluate(list_trees(tree)[0])

    interpolation = expr_term

    def string(self, tree: Tree[Token]) -> Any:
        parts = [self._evaluate_part(part) for part in list_trees(tree)]
        if len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0]  # "${var.list}" is the list
        return "".join(format_value(part) for part in parts)

    def _evaluate_part(self, part: Tree[Token]) -> Any:
        trees = list_trees(part)
        if trees:
            return self.evaluate(trees[0]) if trees[0].data == "interpolation" else UNKNOWN
        text = _unescape("".join(map(str, part.children)))
        # Packer's own templates inside of HCL: {{timestamp}}, {{isotime "2006"}}.
        return re.sub(r"\{\{.*?\}\}", UNKNOWN, text)

    def heredoc_template(self, tree: Tree[Token]) -> Any:
        lines = str(tree.children[0]).splitlines()[1:-1]
        return re.sub(r"\$\{[^}]*\}|\{\{.*?\}\}", UNKNOWN, "\n".join(lines))

    def heredoc_template_trim(self, tree: Tree[Token]) -> Any:
        return textwrap.dedent(self.heredoc_template(tree))

    def literal_value(self, tree: Tree[Token]) -> Any:
        return json.loads(str(tree.children[0]))

    int_lit = float_lit = literal_value

    def tuple(self, tree: Tree[Token]) -> Any:
        return [self.evaluate(part) for part in list_trees(tree)]

    def object(self, tree: Tree[Token]) -> Any:
        return {name: self.evaluate(value) for name, value in self.list_elements(tree)}

    def identifier(self, tree: Tree[Token]) -> Any:
        return self.scope.get(read_label(tree), UNKNOWN)

    def get_attr_expr_term(self, tree: Tree[Token]) -> Any:
        path = read_path(tree)
        if definition := self.find_definition(path):
            return Evaluator(self.folder, definition.file, None, self.depth + 1).evaluate(
                definition.node
            )
        if path[:1] == ("path",):
            return "."
        first, last = list_trees(tree)
        return self.evaluate(first)[read_label(last).lstrip(".")]

    def index_expr_term(self, tree: Tree[Token]) -> Any:
        first, index = list_trees(tree)
        inner = list_trees(index)
        key = self.evaluate(inner[0]) if inner else int(str(index.children[-1]))
        return self.evaluate(first)[key]

    def conditional(self, tree: Tree[Token]) -> Any:
        test, yes, no = list_trees(tree)
        outcome = self.evaluate(test)
        return self.evaluate(yes if outcome else no) if isinstance(outcome, bool) else UNKNOWN

    def binary_op(self, tree: Tree[Token]) -> Any:
        left, term, *_ = list_trees(tree)
        operator, right = list_trees(term)
        one, other = self.evaluate(left), self.evaluate(right)
        if not (is_known(one) and is_known(other)):
            return UNKNOWN
        return {
            "==": lambda: one == other,
            "!=": lambda: one != other,
            "&&": lambda: one and other,
            "||": lambda: one or other,
            "+": lambda: one + other,
            "-": lambda: one - other,
            "*": lambda: one * other,
        }[str(operator.children[0])]()

    def unary_op(self, tree: Tree[Token]) -> Any:
        value = self.evaluate(list_trees(tree)[0])
        return not value if str(tree.children[0]) == "!" else -value

    def function_call(self, tree: Tree[Token]) -> Any:
        name, *rest = list_trees(tree)
        function = _FUNCTIONS.get(read_label(name))
        lists = [part for part in rest if part.data == "arguments"]
        arguments = [self.evaluate(part) for each in lists for part in list_trees(each)]
        return function(*arguments) if function else UNKNOWN


def _unescape(text: str) -> str:
    text = text.replace("$${", "${").replace("%%{", "%{")
    escapes = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
    text = re.sub(r'\\([nrt"\\])', lambda match: escapes[match[1]], text)
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), text)


def format_value(value: Any) -> str:
    """Return a value as HCL puts it into a string; a list or an object cannot be in one."""
    if isinstance(value, bool):
        return str(value).lower()
    return UNKNOWN if isinstance(value, (list, dict)) or value is None else str(value)


def is_known(value: Any) -> bool:
    """Report whether all of a value is known."""
    return UNKNOWN not in str(value)


def _format(pattern: str, *values: Any) -> str:
    rest = iter(values)
    return re.sub(r"%[sdvq]", lambda _: format_value(next(rest)), pattern)


def _replace(text: str, old: str, new: str) -> str:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        return re.sub(old[1:-1], re.sub(r"\$(\d)", r"\\\1", new), text)
    return text.replace(old, new)


# Functions that need nothing but their arguments.
# https://developer.hashicorp.com/packer/docs/templates/hcl_templates/functions
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    # A value that cannot be evaluated is unknown; here that takes the place of an error.
    "can": is_known,
    "coalesce": lambda *values: next((each for each in values if each not in (None, "")), None),
    "compact": lambda items: [item for item in items if item],
    "concat": lambda *lists: [item for items in lists for item in items],
    "distinct": lambda items: list(dict.fromkeys(items)),
    "element": lambda items, index: items[index % len(items)],
    "flatten": lambda items: [
        part for item in items for part in (item if isinstance(item, list) else [item])
    ],
    "format": _format,
    "join": lambda separator, items: separator.join(map(format_value, items)),
    "keys": lambda item: sorted(item),
    "lookup": lambda item, key, *default: item.get(key, *default),
    "lower": lambda text: text.lower(),
    "merge": lambda *maps: {
        name: value for each in maps if isinstance(each, dict) for name, value in each.items()
    },
    "replace": _replace,
    "split": lambda separator, text: text.split(separator),
    "title": lambda text: text.title(),
    "tolist": list,
    "toset": list,
    "tostring": format_value,
    "trim": lambda text, characters: text.strip(characters),
    "trimprefix": lambda text, prefix: text.removeprefix(prefix),
    "trimspace": lambda text: text.strip(),
    "trimsuffix": lambda text, suffix: text.removesuffix(suffix),
    "try": lambda *values: next(filter(is_known, values), UNKNOWN),
    "upper": lambda text: text.upper(),
    "values": lambda item: [item[key] for key in sorted(item)],
}
