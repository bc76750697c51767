"""Trees of expressions to columns: each node once, for all rows of many windows together.

A number that would not be finite (a division by zero, the root of a negative number, an overflow)
is no value, null. Null passes through arithmetic and comparisons, is skipped by aggregates, and is
not true: SQL's rules.
"""

from collections.abc import Callable, Sequence

import polars as pl

from processors.expressions.tree import (
    Among,
    Binary,
    Call,
    Choice,
    Literal,
    Name,
    Node,
    Unary,
    walk,
)
from processors.expressions.typed import SERIES_COLUMNS

Leaf = Callable[[Node], pl.Series | None]


class Computed:
    """Computes nodes over `height` rows; `leaf` gives what it knows, columns above all."""

    def __init__(self, height: int, leaf: Leaf) -> None:
        self._height = height
        self._leaf = leaf
        self._known: dict[Node, pl.Series] = {}

    def of(self, node: Node) -> pl.Series:
        """Return the values of a node."""
        found = self._known.get(node)
        if found is None:
            given = self._leaf(node)
            found = self._made(node) if given is None else given
            self._known[node] = found
        return found

    def true(self, node: Node) -> pl.Series:
        """Return where a condition is true: null is not."""
        return self.of(node).fill_null(value=False)

    def _made(self, node: Node) -> pl.Series:
        match node:
            case Literal():
                return pl.Series([node.value]).new_from_index(0, self._height)
            case Unary():
                operand = self.of(node.operand)
                return ~operand if node.operator == "not" else -operand
            case Binary():
                return self._binary(node)
            case Among():
                return self.of(node.operand).is_in([option.value for option in node.options])
            case Choice():
                chosen = self.true(node.condition)
                return self.of(node.then).zip_with(chosen, self.of(node.otherwise))
        return self._called(node)

    def _called(self, node: Node) -> pl.Series:
        if not isinstance(node, Call) or node.name not in _FUNCTIONS:
            raise TypeError(f"{node} has no values here")  # types were checked: a bug
        return finite(_FUNCTIONS[node.name]([self.of(argument) for argument in node.arguments]))

    def _binary(self, node: Binary) -> pl.Series:
        single = isinstance(node.right, Literal) and node.operator not in ("and", "or")
        right = node.right.value if single and isinstance(node.right, Literal) else None
        made = _OPERATORS[node.operator](
            self.of(node.left), self.of(node.right) if right is None else right
        )
        return finite(made) if node.operator in ("+", "-", "*", "/") else made


def of_series(node: Node) -> bool:
    """Return whether a node depends on fields of the series, and on nothing else."""
    names = {found.name for found in walk(node) if isinstance(found, Name)}
    return bool(names) and names <= set(SERIES_COLUMNS)


def finite(values: pl.Series) -> pl.Series:
    """Return values with null in place of numbers that are not finite."""
    if not values.dtype.is_float():
        return values
    wrong = values.is_finite().not_().fill_null(value=False)
    return values.set(wrong, None) if wrong.any() else values


def where(values: pl.Series, chosen: pl.Series | None) -> pl.Series:
    """Return values with null where they are not chosen; all when there is no filter."""
    return values if chosen is None else values.set(~chosen, None)


def _extreme(smaller: bool, columns: Sequence[pl.Series]) -> pl.Series:
    found = columns[0]
    for column in columns[1:]:
        better = found <= column if smaller else found >= column
        chosen = found.zip_with(better.fill_null(value=False), column)
        found = where(chosen, better.is_not_null())
    return found


def _first_known(columns: Sequence[pl.Series]) -> pl.Series:
    found = columns[0]
    for column in columns[1:]:
        found = found.zip_with(found.is_not_null(), column)
    return found


_OPERATORS: dict[str, Callable[[pl.Series, "pl.Series | float | str | bool"], pl.Series]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_FUNCTIONS: dict[str, Callable[[Sequence[pl.Series]], pl.Series]] = {
    "abs": lambda columns: columns[0].abs(),
    "sqrt": lambda columns: columns[0].sqrt(),
    "log": lambda columns: columns[0].log(),
    "exp": lambda columns: columns[0].exp(),
    "floor": lambda columns: columns[0].floor(),
    "ceil": lambda columns: columns[0].ceil(),
    "least": lambda columns: _extreme(True, columns),
    "greatest": lambda columns: _extreme(False, columns),
    "coalesce": _first_known,
}
