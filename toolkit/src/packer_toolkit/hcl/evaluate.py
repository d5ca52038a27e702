"""Evaluate expressions of HCL, as far as their values can be known without a build."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lark import Token, Tree
from lark.visitors import Interpreter

from packer_toolkit.hcl.functions import FUNCTIONS, format_value, is_known
from packer_toolkit.hcl.parse import Block, Node, find_line, list_trees, read_label
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


class Evaluator:
    """Evaluates the expressions of a file; what only a build can know is UNKNOWN.

    Attributes:
        folder: Has the variables and locals.
        file: The file with the expressions.
        scope: Names beside var, local and others, such as the iterator of a dynamic block.
        depth: How many definitions led to this file.
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
        return _Expressions(self).evaluate(node)

    def find_value(self, node: Node) -> Value:
        """Return the value of an expression with the place that sets it: a variable's own place."""
        place = Place(self.file, find_line(node))
        path = self.read_path(node)
        origin = self.find_definition(path)
        steps = 0
        while origin and steps < _DEEPEST:
            place, path = origin.place, self.read_path(origin.node)
            origin, steps = self.find_definition(path), steps + 1
        reference = path[:3] if path[:1] == ("data",) else ()
        return Value(self.evaluate(node), place, reference)

    def find_definition(self, path: tuple[str, ...]) -> Definition | None:
        """Return the definition that a path such as ("var", "region") refers to."""
        if len(path) != 2:
            return None
        kinds = {"var": self.folder.variables, "local": self.folder.locals}
        return kinds.get(path[0], {}).get(path[1])

    def list_elements(self, node: Tree[Token]) -> Iterator[tuple[str, Node]]:
        """Yield the names and expressions of an object."""
        for element in list_trees(node):
            if element.data == "object_elem":
                key, value = list_trees(element)[0], list_trees(element)[-1]
                (inner,) = list_trees(key)
                yield self.read_name(inner) or format_value(self.evaluate(inner)), value

    def read_name(self, node: Node) -> str:
        """Return a bare name; "" for any other expression."""
        return ".".join(self.read_path(node))

    def read_path(self, node: Node) -> tuple[str, ...]:
        """Return the names of an expression such as data.amazon-ami.base.id; () for any other."""
        while isinstance(node, Tree):
            inner = list_trees(node)
            if node.data == "string" and len(inner) == 1 and len(list_trees(inner[0])) == 1:
                node = list_trees(inner[0])[0]  # "${var.x}"
            elif node.data in {"expr_term", "interpolation"} and len(inner) == 1:
                node = inner[0]
            elif node.data == "identifier":
                return (read_label(node),)
            elif node.data == "get_attr_expr_term":
                first, last = inner
                before = self.read_path(first)
                return (*before, read_label(last).lstrip(".")) if before else ()
            else:
                return ()
        return ()


class _Expressions(Interpreter[Token, Any]):
    """Evaluates expressions with one method for each rule of the grammar of python-hcl2."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._depth = evaluator.depth

    def evaluate(self, node: Node) -> Any:
        """Return the value of an expression, or UNKNOWN."""
        self._depth += 1
        try:
            is_tree = isinstance(node, Tree) and self._depth < _DEEPEST
            return self.visit(node) if is_tree else UNKNOWN
        except _ERRORS:
            return UNKNOWN
        finally:
            self._depth -= 1

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

    def int_lit(self, tree: Tree[Token]) -> Any:
        return int(str(tree.children[0]))

    def float_lit(self, tree: Tree[Token]) -> Any:
        return float(str(tree.children[0]))

    def literal_value(self, tree: Tree[Token]) -> Any:
        return {"true": True, "false": False, "null": None}[str(tree.children[0])]

    def tuple(self, tree: Tree[Token]) -> Any:
        return [self.evaluate(part) for part in list_trees(tree)]

    def object(self, tree: Tree[Token]) -> Any:
        elements = self._evaluator.list_elements(tree)
        return {name: self.evaluate(value) for name, value in elements}

    def identifier(self, tree: Tree[Token]) -> Any:
        return self._evaluator.scope.get(read_label(tree), UNKNOWN)

    def get_attr_expr_term(self, tree: Tree[Token]) -> Any:
        path = self._evaluator.read_path(tree)
        if definition := self._evaluator.find_definition(path):
            folder = self._evaluator.folder
            other = Evaluator(folder, definition.file, depth=self._depth + 1)
            return other.evaluate(definition.node)
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
        if isinstance(outcome, bool):
            return self.evaluate(yes if outcome else no)
        return UNKNOWN

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
        function = FUNCTIONS.get(read_label(name))
        lists = [part for part in rest if part.data == "arguments"]
        arguments = [self.evaluate(part) for each in lists for part in list_trees(each)]
        return function(*arguments) if function else UNKNOWN


def _unescape(text: str) -> str:
    text = text.replace("$${", "${").replace("%%{", "%{")
    escapes = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
    text = re.sub(r'\\([nrt"\\])', lambda match: escapes[match[1]], text)
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), text)
