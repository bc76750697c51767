"""Expressions that define metrics: read, typed and checked once; refused with the place.

    count(where metric == "error" and value > 0) / count(where metric == "error")

Nothing of Python is evaluated: the language is its own, in `expressions_parse`, and a compiled
expression is a tree of nodes that `expressions_columns` computes column by column.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from processors.expressions_parse import DEEPEST, parse
from processors.expressions_tree import (
    Among,
    Binary,
    Call,
    Choice,
    Literal,
    Mistake,
    Node,
    Unary,
    walk,
)
from processors.expressions_types import (
    AGGREGATES,
    DEFINED,
    FUNCTIONS,
    MOST_AGGREGATES,
    World,
    check_types,
    is_aggregate,
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression that can be computed: its tree, without references, and its aggregates."""

    tree: Node
    aggregates: tuple[Call, ...]
    plugins: frozenset[str]


def compiled(
    text: str,
    plugins: Collection[str] = (),
    definitions: Mapping[str, str] | None = None,
    path: tuple[str, ...] = (),
) -> Compiled:
    """Return an expression ready to be computed.

    `plugins` are names of plug-ins; `definitions` the expressions of others by name, for
    `defined("name")`. Raises Mistake.
    """
    others = definitions or {}
    tree = parse(text)
    check_types(tree, World(plugins, others))
    tree = _inlined(tree, plugins, others, path)
    calls = tuple(dict.fromkeys(n for n in walk(tree) if isinstance(n, Call) and is_aggregate(n)))
    if len(calls) > MOST_AGGREGATES:
        what = f"with what it refers to it has more than {MOST_AGGREGATES} aggregates"
        raise Mistake(what, tree.place)
    known = {*AGGREGATES, *FUNCTIONS}
    return Compiled(tree, calls, frozenset(call.name for call in calls if call.name not in known))


def check(
    expression: str,
    *,
    plugins: Collection[str] = (),
    definitions: Mapping[str, str] | None = None,
    name: str = "",
) -> str | None:
    """Return what is wrong with an expression, told over three lines, or None.

    `name` is the definition that it stands in, so that a circle is seen.
    """
    try:
        compiled(expression, plugins, definitions, (name,) if name else ())
    except Mistake as mistake:
        return mistake.told(expression)
    return None


def _inlined(
    node: Node, plugins: Collection[str], others: Mapping[str, str], path: tuple[str, ...]
) -> Node:
    """Return the tree with the trees of the definitions that it refers to in their place."""
    if isinstance(node, Call) and node.name == DEFINED:
        return _referred(node, plugins, others, path)

    def inner(child: Node) -> Node:
        return _inlined(child, plugins, others, path)

    match node:
        case Unary() | Among():
            return replace(node, operand=inner(node.operand))
        case Binary():
            return replace(node, left=inner(node.left), right=inner(node.right))
        case Choice():
            parts = (inner(node.condition), inner(node.then), inner(node.otherwise))
            return Choice(*parts, node.place)
        case Call() if not is_aggregate(node):
            return replace(node, arguments=tuple(inner(a) for a in node.arguments))
        case _:
            return node


def _referred(
    node: Call, plugins: Collection[str], others: Mapping[str, str], path: tuple[str, ...]
) -> Node:
    name = node.arguments[0]
    wanted = str(name.value) if isinstance(name, Literal) else ""
    if wanted in path:
        circle = " -> ".join((*path[path.index(wanted) :], wanted))
        raise Mistake(f"definitions refer to each other in a circle: {circle}", node.place)
    if len(path) > DEEPEST // 4:
        what = f"definitions refer to each other over more than {DEEPEST // 4} steps"
        raise Mistake(what, node.place)
    try:
        tree = compiled(others[wanted], plugins, others, (*path, wanted)).tree
    except Mistake as mistake:
        raise Mistake(f'"{wanted}" is refused itself: {mistake.what}', node.place) from mistake
    return tree
