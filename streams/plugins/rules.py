"""Kinds of rules of others: what installed distributions name under `weir.rules`.

An entry is a function or class that, called without arguments, gives a
`processors.rules.kinds.Kind`; its name is the kind that rules say. Weir's own kinds keep theirs.
"""

from importlib.metadata import EntryPoint

from processors.rules.kernels import Floats
from processors.rules.kinds import GROUP, Kind
from processors.rules.meaning import KINDS
from streams.plugins.attempts import attempted
from workers import plugin_points
from workers.plugin_points import Unusable

MOST_WIDTH = 256
"""Most numbers that a kind of others may remember of a series under a rule."""


class Guarded:
    """A kind of others; it raises nothing but processors.errors.PluginError."""

    def __init__(self, kind: Kind, width: int) -> None:
        self._kind = kind
        self.width = width

    def value(
        self, memory: Floats, statistic: float, span_ms: int, start_ms: int, end_ms: int
    ) -> float:
        """Return what the kind says."""
        said: float = attempted(
            lambda: float(self._kind.value(memory, statistic, span_ms, start_ms, end_ms))
        )
        return said


def installed() -> dict[str, Kind]:
    """Return kinds of others by name; those that cannot be had are logged and left out."""
    return plugin_points.installed(GROUP, objection, made)


def objection(name: str) -> str:
    """Return why a kind of others cannot have a name; empty when it can."""
    return "it has the name of one of Weir's own" if name in KINDS else ""


def made(point: EntryPoint) -> Kind:
    """Return a kind, guarded. Raises Unusable, and whatever its maker raises."""
    kind: object = point.load()()
    if not isinstance(kind, Kind):
        raise Unusable(f"{point.value} makes a {type(kind).__name__}, which is no Kind")
    if not isinstance(kind.width, int) or not 0 <= kind.width <= MOST_WIDTH:
        raise Unusable(f"its width is {kind.width}; it must be within 0 and {MOST_WIDTH}")
    return Guarded(kind, kind.width)
