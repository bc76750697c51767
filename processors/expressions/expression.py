"""Expressions that define metrics: read, typed and checked once; refused with the place.

    count(where metric == "error" and value > 0) / count(where metric == "error")

Nothing of Python is evaluated: the language is its own, in `expressions.parse`, and a compiled
expression is a tree of nodes that `expressions.columns` computes column by column.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from processors.expressions.parse import parse
from processors.expressions.tree import (
    Among,
    Binary,
    Call,
    Choice,
    Literal,
    Mistake,
    Node,
    Unary,
    levelled,
    walk,
)
from processors.expressions.typed import (
    AGGREGATES,
    DEFINED,
    FUNCTIONS,
    MOST_AGGREGATES,
    World,
    check_types,
    is_aggregate,
)

MOST_PARTS = 2_000
"""Nodes of an expression with all that it refers to; no text alone has more."""
MOST_LEVELS = 100
MOST_STEPS = 10


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression that can be computed: its tree, without references, and its aggregates.

    `steps` is the length of the longest chain of references from it.
    """

    tree: Node
    aggregates: tuple[Call, ...]
    plugins: frozenset[str]
    steps: int = field(default=0, compare=False)


class Library:
    """Expressions by name that may refer to each other: each is compiled once.

    `plugins` are names of plug-ins.
    """

    def __init__(self, plugins: Collection[str], texts: Mapping[str, str]) -> None:
        self._world = World(plugins, texts)
        self._texts = texts
        self._known: dict[str, Compiled] = {}

    @property
    def names(self) -> list[str]:
        """The names, in their order."""
        return sorted(self._texts)

    def named(self, name: str, path: tuple[str, ...] = ()) -> Compiled:
        """Return the expression of a name; `path` are the names that led to it.

        Raises Mistake.
        """
        if name not in self._known:
            self._known[name] = self.compiled(self._texts[name], (*path, name))
        return self._known[name]

    def compiled(self, text: str, path: tuple[str, ...] = ()) -> Compiled:
        """Return an expression ready to be computed; `path` as in `named`, and its own name.

        Raises Mistake.
        """
        tree = parse(text)
        check_types(tree, self._world)
        calls = [n for n in walk(tree) if isinstance(n, Call) and n.name == DEFINED]
        others = {call: self._referred(call, path) for call in calls}
        steps = 1 + max((one.steps for one in others.values()), default=-1)
        if steps > MOST_STEPS:
            what = f"definitions refer to each other over more than {MOST_STEPS} steps"
            raise Mistake(what, tree.place)
        return _linked(tree, others, steps)

    def _referred(self, node: Call, path: tuple[str, ...]) -> Compiled:
        name = node.arguments[0]
        wanted = str(name.value) if isinstance(name, Literal) else ""
        if wanted in path:
            circle = " -> ".join((*path[path.index(wanted) :], wanted))
            raise Mistake(f"definitions refer to each other in a circle: {circle}", node.place)
        if len(path) > MOST_STEPS:
            what = f"definitions refer to each other over more than {MOST_STEPS} steps"
            raise Mistake(what, node.place)
        try:
            return self.named(wanted, path)
        except Mistake as mistake:
            raise Mistake(f'"{wanted}" is refused itself: {mistake.what}', node.place) from mistake


def compiled(
    text: str, plugins: Collection[str] = (), definitions: Mapping[str, str] | None = None
) -> Compiled:
    """Return an expression ready to be computed.

    `plugins` are names of plug-ins; `definitions` the expressions of others by name, for
    `defined("name")`. Raises Mistake.
    """
    return Library(plugins, definitions or {}).compiled(text)


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
        Library(plugins, definitions or {}).compiled(expression, (name,) if name else ())
    except Mistake as mistake:
        return mistake.told(expression)
    return None


def _linked(tree: Node, others: Mapping[Call, Compiled], steps: int) -> Compiled:
    """Return a tree with the trees that it refers to in it, unless they make it too large."""
    place = tree.place
    tree = _inlined(tree, {call: one.tree for call, one in others.items()})
    parts = list(islice(levelled(tree), MOST_PARTS + 1))
    if len(parts) > MOST_PARTS:
        raise Mistake(f"with what it refers to it has more than {MOST_PARTS} parts", place)
    if max(level for level, _ in parts) > MOST_LEVELS:
        what = f"with what it refers to it is nested deeper than {MOST_LEVELS} levels"
        raise Mistake(what, place)
    nodes = (node for _, node in parts)
    calls = tuple(dict.fromkeys(n for n in nodes if isinstance(n, Call) and is_aggregate(n)))
    if len(calls) > MOST_AGGREGATES:
        what = f"with what it refers to it has more than {MOST_AGGREGATES} aggregates"
        raise Mistake(what, place)
    plugins = frozenset(call.name for call in calls) - {*AGGREGATES, *FUNCTIONS}
    return Compiled(tree, calls, plugins, steps)


def _inlined(node: Node, trees: Mapping[Call, Node]) -> Node:
    """Return a tree with the trees of the definitions that it refers to in their place."""

    def inner(child: Node) -> Node:
        return _inlined(child, trees)

    match node:
        case Call() if node.name == DEFINED:
            return trees[node]
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
