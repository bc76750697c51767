"""Selectors of others: what installed distributions name under `weir.selectors`.

An entry is a function or class that, called without arguments, gives a
`processors.selecting.proposals.Selector`; its name is what policies, contracts and applications
call it by. The names of Weir's own algorithms stay theirs.
"""

from collections.abc import Sequence
from importlib.metadata import EntryPoint

from processors.selecting.ensembles import Problem
from processors.selecting.own import OWN
from processors.selecting.proposals import GROUP, Selector
from streams.plugins.attempts import attempted
from workers import plugin_points
from workers.plugin_points import Unusable


class Guarded:
    """A selector of others; it raises nothing but processors.errors.PluginError."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector

    def rank(self, problem: Problem) -> Sequence[Sequence[str]]:
        """Return what the selector says, as tuples of names."""
        said: Sequence[Sequence[str]] = attempted(
            lambda: [tuple(map(str, names)) for names in self._selector.rank(problem)]
        )
        return said


def installed() -> dict[str, Selector]:
    """Return selectors of others by name; those that cannot be had are logged and left out."""
    return plugin_points.installed(GROUP, objection, made)


def objection(name: str) -> str:
    """Return why a selector of others cannot have a name; empty when it can."""
    return "it has the name of one of Weir's own" if name in OWN else ""


def made(point: EntryPoint) -> Selector:
    """Return a selector, guarded. Raises Unusable, and whatever its maker raises."""
    selector: object = point.load()()
    if not isinstance(selector, Selector):
        raise Unusable(f"{point.value} makes a {type(selector).__name__}, which is no Selector")
    return Guarded(selector)
