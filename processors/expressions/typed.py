"""What each part of an expression is: a number, a string or a boolean; of a row or of a window.

A row has columns; an aggregate makes one value of a window's rows; the whole must be a number of
the window. Constants, `window_s` among them, fit everywhere.
"""

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from processors.expressions.parse import COMPARISONS
from processors.expressions.tree import (
    Among,
    Binary,
    Call,
    Choice,
    Literal,
    Mistake,
    Name,
    Node,
    Place,
    Unary,
)

NUMBER, STRING, BOOLEAN = "number", "string", "boolean"
CONSTANT, ROW, WINDOW = "constant", "row", "window"

SERIES_COLUMNS = ("app", "stage", "service", "instance", "node", "metric", "unit")
ROW_COLUMNS = ("value", "event_time", "request_id")
COLUMNS = dict.fromkeys((*SERIES_COLUMNS, "request_id"), STRING) | {
    "value": NUMBER,
    "event_time": NUMBER,
}
SECONDS = "window_s"
DEFINED = "defined"

FUNCTIONS = {
    "abs": (1, 1),
    "sqrt": (1, 1),
    "log": (1, 1),
    "exp": (1, 1),
    "floor": (1, 1),
    "ceil": (1, 1),
    "least": (2, 8),
    "greatest": (2, 8),
    "coalesce": (2, 8),
}
"""Functions of single values, and how many arguments they take."""
NUMERIC = ("sum", "avg", "min", "max", "std", "var")
AGGREGATES = ("count", "rate", "ratio", *NUMERIC, "quantile", "first", "last", "distinct")
MOST_AGGREGATES = 64
_SYNONYMS = {
    "average": "avg(x)",
    "mean": "avg(x)",
    "median": "quantile(x, 0.5)",
    "percentile": "quantile(x, 0.95)",
    "stddev": "std(x)",
    "variance": "var(x)",
    "unique": "distinct(x)",
    "round": "floor(x + 0.5)",
}
MOST_PARAMETERS = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """A type and a level."""

    type: str
    level: str


@dataclass(frozen=True, slots=True)
class World:
    """What an expression may name beside the language: plug-ins, other definitions."""

    plugins: Collection[str] = ()
    definitions: Collection[str] = ()


def check_types(node: Node, world: World) -> None:
    """Check that an expression is a number of a window.

    Raises Mistake.
    """
    kind = _Typer(world).kind(node)
    if kind.level == ROW:
        column = next(iter(columns_outside(node)), node)
        name = column.name if isinstance(column, Name) else "this"
        mend = f"{name} has one value per row; put it into an aggregate, such as avg({name})"
        if isinstance(column, Name) and COLUMNS.get(name) == STRING:
            mend = (
                f'{name} has one value per row; ask for it in a filter: count(where {name} == "")'
            )
        raise Mistake(mend, column.place)
    if kind.type != NUMBER:
        mend = "write 1 if ... else 0" if kind.type == BOOLEAN else "count or compare it"
        raise Mistake(f"a metric is a number, and this is a {kind.type}; {mend}", node.place)
    if kind.level == CONSTANT:
        mend = "it says the same of every window; use an aggregate, such as avg(value)"
        raise Mistake(mend, node.place)


def is_aggregate(call: Call) -> bool:
    """Return whether a call makes one value of many rows: not a function of single values."""
    return call.name not in FUNCTIONS


def columns_outside(node: Node) -> Iterable[Node]:
    """Yield the columns that stand in no aggregate."""
    if isinstance(node, Name) and node.name != SECONDS:
        yield node
    elif isinstance(node, Unary | Among):
        yield from columns_outside(node.operand)
    elif isinstance(node, Binary):
        yield from (*columns_outside(node.left), *columns_outside(node.right))
    elif isinstance(node, Choice):
        for part in (node.condition, node.then, node.otherwise):
            yield from columns_outside(part)
    elif isinstance(node, Call) and not is_aggregate(node):
        for argument in node.arguments:
            yield from columns_outside(argument)


class _Typer:
    def __init__(self, world: World) -> None:
        self._world = world
        self._inside: Call | None = None
        self._count = 0

    def kind(self, node: Node) -> Kind:
        match node:
            case Literal():
                return Kind(node.kind, CONSTANT)
            case Name():
                return self._name(node)
            case Unary() | Binary():
                return self._operation(node)
            case Among():
                return self._among(node)
            case Choice():
                return self._choice(node)
            case Call():
                return self._call(node)

    def _of(self, node: Node, wanted: str, asker: str) -> Kind:
        kind = self.kind(node)
        _expect(node, kind, wanted, asker)
        return kind

    def _level(self, nodes: Iterable[tuple[Node, Kind]]) -> str:
        """Return the level of what is made of several: of rows and of the window do not mix."""
        level = CONSTANT
        for node, kind in nodes:
            if CONSTANT not in (level, kind.level) and level != kind.level:
                raise Mistake(
                    "this mixes single rows with aggregates of the window; put the column into an "
                    "aggregate",
                    node.place,
                )
            level = kind.level if level == CONSTANT else level
        return level

    def _name(self, node: Name) -> Kind:
        if node.name == SECONDS:
            return Kind(NUMBER, CONSTANT)
        if node.name not in COLUMNS:
            raise Mistake(f"there is no column {node.name}{_meant(node.name)}", node.place)
        return Kind(COLUMNS[node.name], ROW)

    def _operation(self, node: Unary | Binary) -> Kind:
        sign = node.operator
        if isinstance(node, Unary):
            wanted = BOOLEAN if sign == "not" else NUMBER
            return Kind(wanted, self._of(node.operand, wanted, sign).level)
        if sign in ("==", "!="):
            left, right = self.kind(node.left), self.kind(node.right)
            if left.type != right.type:
                what = f"a {left.type} is never equal to a {right.type}"
                raise Mistake(what, node.place)
            wanted = BOOLEAN
        else:
            taken = BOOLEAN if sign in ("and", "or") else NUMBER
            wanted = BOOLEAN if sign in ("and", "or", *COMPARISONS) else NUMBER
            left, right = (self._of(side, taken, sign) for side in (node.left, node.right))
        return Kind(wanted, self._level([(node.left, left), (node.right, right)]))

    def _among(self, node: Among) -> Kind:
        kind = self.kind(node.operand)
        for option in node.options:
            if option.kind != kind.type:
                what = f"a {kind.type} is looked for, and this is a {option.kind}"
                raise Mistake(what, option.place)
        return Kind(BOOLEAN, kind.level)

    def _choice(self, node: Choice) -> Kind:
        condition = self._of(node.condition, BOOLEAN, "if")
        then = self.kind(node.then)
        other = self._of(node.otherwise, then.type, "else here")
        parts = ((node.condition, condition), (node.then, then), (node.otherwise, other))
        return Kind(then.type, self._level(parts))

    def _call(self, node: Call) -> Kind:
        if node.name in FUNCTIONS:
            return self._function(node)
        if node.name == DEFINED:
            return self._defined(node)
        if node.name not in AGGREGATES and node.name not in self._world.plugins:
            place = Place(node.place.first, node.place.first + len(node.name))
            raise Mistake(f"there is no function {node.name}{self._near(node)}", place)
        if self._inside is not None:
            what = f"{node.name} stands inside {self._inside.name}: an aggregate takes rows"
            raise Mistake(what, node.place)
        self._inside = node
        kind = self._aggregate(node)
        self._inside = None
        self._count += 1
        if self._count > MOST_AGGREGATES:
            what = f"it has more than {MOST_AGGREGATES} aggregates; make two definitions"
            raise Mistake(what, node.place)
        return Kind(kind, WINDOW)

    def _near(self, node: Call) -> str:
        if node.name in COLUMNS:
            return f"; {node.name} is a column"
        if node.name.lower() in _SYNONYMS:
            return f"; write {_SYNONYMS[node.name.lower()]}"
        known = (*AGGREGATES, *FUNCTIONS, DEFINED, *sorted(self._world.plugins))
        return _close(node.name, known) or f"; known: {', '.join(known)}"

    def _function(self, node: Call) -> Kind:
        if node.where is not None:
            what = f"{node.name} takes single values, not rows; only aggregates have a filter"
            raise Mistake(what, node.where.place)
        self._arguments(node, *FUNCTIONS[node.name])
        kinds = [(argument, self.kind(argument)) for argument in node.arguments]
        wanted = kinds[0][1].type if node.name == "coalesce" else NUMBER
        for argument, kind in kinds:
            _expect(argument, kind, wanted, node.name)
        return Kind(wanted, self._level(kinds))

    def _arguments(self, node: Call, least: int, most: int) -> None:
        given = len(node.arguments)
        if least <= given <= most:
            return
        wanted = str(least) if least == most else f"{least} to {most}"
        mend = ""
        if node.name in ("count", "rate"):
            mend = f"; write the condition after where: {node.name}(where value > 0)"
        what = f"{node.name} takes {wanted} arguments, not {given}{mend}"
        extra = node.arguments[most].place if given > most else node.place
        raise Mistake(what, extra)

    def _defined(self, node: Call) -> Kind:
        if self._inside is not None:
            what = f"defined stands inside {self._inside.name}: it is made of aggregates itself"
            raise Mistake(what, node.place)
        name = node.arguments[0] if len(node.arguments) == 1 and node.where is None else None
        if not isinstance(name, Literal) or not isinstance(name.value, str):
            raise Mistake('defined takes the name of a definition: defined("name")', node.place)
        if name.value not in self._world.definitions:
            near = _close(name.value, self._world.definitions)
            raise Mistake(f'no definition "{name.value}" has an expression{near}', name.place)
        return Kind(NUMBER, WINDOW)

    def _aggregate(self, node: Call) -> str:
        if node.where is not None:
            self._of(node.where, BOOLEAN, "where")
        if node.name in ("count", "rate"):
            self._arguments(node, 0, 0)
            return NUMBER
        if node.name in self._world.plugins and node.name not in AGGREGATES:
            return self._plugin(node)
        two = node.name == "quantile"
        self._arguments(node, 1 + two, 1 + two)
        argument = node.arguments[0]
        kind = self.kind(argument)
        if node.name == "ratio":
            _expect(argument, kind, BOOLEAN, "ratio")
        elif node.name in (*NUMERIC, "quantile"):
            if kind.type == BOOLEAN:
                mend = f"{node.name} takes a number; write ratio(...) or count(where ...)"
                raise Mistake(mend, argument.place)
            _expect(argument, kind, NUMBER, node.name)
        if two:
            _rank(node.arguments[1])
        return kind.type if node.name in ("first", "last") else NUMBER

    def _plugin(self, node: Call) -> str:
        self._arguments(node, 0, MOST_PARAMETERS)
        for argument in node.arguments:
            if not isinstance(argument, Literal):
                what = f"{node.name} is a plug-in: it gets all columns, and literals as parameters"
                raise Mistake(what, argument.place)
        return NUMBER


def _expect(node: Node, kind: Kind, wanted: str, asker: str) -> None:
    if kind.type != wanted:
        raise Mistake(f"{asker} takes a {wanted}, and this is a {kind.type}", node.place)


def _rank(node: Node) -> None:
    value = node.value if isinstance(node, Literal) and node.kind == NUMBER else None
    if value is None or not 0 <= float(value) <= 1:
        raise Mistake("a quantile is a number within 0 and 1, such as 0.95", node.place)


def _meant(name: str) -> str:
    if name.lower() in ("null", "none", "nan"):
        return "; coalesce(a, b) gives b where a has no value"
    if name.lower() in ("true", "false"):
        return f"; write {name.lower()}"
    known = (*ROW_COLUMNS, *SERIES_COLUMNS, SECONDS)
    return _close(name, known) or f"; known: {', '.join(known)}; strings stand in quotes"


def _close(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
