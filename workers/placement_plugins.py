"""Algorithms of others: what installed distributions name under the entry point `weir.scores`.

An entry is a subclass of `placement.algorithms.base.Algorithm`, or a function that takes what that
takes and returns one; its name is how it is asked for. Built-in algorithms keep their names.
"""

from importlib.metadata import EntryPoint

from placement.algorithms.base import Algorithm
from placement.algorithms.names import GROUP, OWN, Maker
from placement.columns import Columns
from placement.mix import Mix
from placement.needs import Machine
from workers import plugin_points
from workers.plugin_points import Unusable


def installed() -> dict[str, Maker]:
    """Return algorithms of others by name; those that cannot be had are logged and left out."""
    return plugin_points.installed(GROUP, _objection, _made)


def _objection(name: str) -> str:
    return "it has the name of a built-in algorithm" if name in OWN else ""


def _made(point: EntryPoint) -> Maker:
    """Return what makes an algorithm, tried once. Raises Unusable, and what it raises."""
    make: Maker = point.load()
    made: object = make(Columns([Machine(name="a", cpu_milli=1, memory_mib=1)]), Mix((), ()), 0)
    if not isinstance(made, Algorithm):
        raise Unusable(f"{point.value} makes a {type(made).__name__}, which is no Algorithm")
    return make
