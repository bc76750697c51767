"""What an expression is made of, and what is said of one that is wrong.

Nodes are equal when they say the same, wherever they stand; so what several definitions have in
common is computed once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from processors.errors import ProcessorError

Value = float | str | bool
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the text: from a character up to another, counted from 0."""

    first: int
    end: int

    def to(self, other: "Place") -> "Place":
        """Return the place from here to the end of another."""
        return Place(self.first, other.end)


class Mistake(ProcessorError):
    """An expression that is refused: where, why, and how to mend it."""

    def __init__(self, what: str, place: Place) -> None:
        super().__init__(what)
        self.what = what
        self.place = place

    def told(self, text: str) -> str:
        """Return the mistake with the line of the text and a mark under the place."""
        first = min(self.place.first, len(text))
        start = text.rfind("\n", 0, first) + 1
        stop = text.find("\n", first)
        line = text[start : len(text) if stop < 0 else stop]
        number, column = text.count("\n", 0, first) + 1, first - start
        marks = max(1, min(self.place.end - first, len(line) - column))
        where = f"column {column + 1}" if number == 1 else f"line {number}, column {column + 1}"
        skipped = max(0, column - _SHOWN // 2)
        shown = line[skipped : skipped + _SHOWN].replace("\t", " ")
        column, marks = column - skipped, min(marks, _SHOWN - (column - skipped))
        return f"{where}: {self.what}\n  {shown}\n  {' ' * column}{'^' * marks}"


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a string, true or false."""

    value: Value
    kind: str
    """Its type; keeps 1.0 and true apart, which Python takes for equal."""
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A column of the rows, or `window_s`."""

    name: str
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`-` or `not` before an operand."""

    operator: str
    operand: "Node"
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands with an operator between them."""

    operator: str
    left: "Node"
    right: "Node"
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Among:
    """Whether an operand is one of some literals."""

    operand: "Node"
    options: tuple[Literal, ...]
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """`then if condition else otherwise`."""

    condition: "Node"
    then: "Node"
    otherwise: "Node"
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an aggregate, with the filter of an aggregate."""

    name: str
    arguments: tuple["Node", ...]
    where: "Node | None"
    place: Place = field(compare=False, repr=False)


Node = Literal | Name | Unary | Binary | Among | Choice | Call


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below one."""
    match node:
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Among(operand):
            return (operand,)
        case Choice(condition, then, otherwise):
            return (condition, then, otherwise)
        case Call(_, arguments, where):
            return arguments if where is None else (*arguments, where)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    return (found for _, found in levelled(node))


def levelled(node: Node) -> Iterator[tuple[int, Node]]:
    """Yield a node and all below it with their levels, its own being 1."""
    waiting = [(1, node)]
    while waiting:
        level, found = waiting.pop()
        yield level, found
        waiting.extend((level + 1, child) for child in children(found))
