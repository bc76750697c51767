"""Plug-ins of placement: what installed distributions name under three entry point groups.

`weir.scores`: a subclass of `placement.algorithms.base.Algorithm`, or a function that takes what
that takes and returns one. `weir.assigners`: a function that says where copies that come together
go (`placement.algorithms.guarded.Assigner`). Both are algorithms by their names; built-in ones keep
theirs. `weir.filters`: a function that says which nodes may hold a copy
(`chooser.Filter`); all that are installed hold for every copy. Whatever the code of a plug-in
raises ends nothing: a score is then that of Weir's default, and a filter rules all out.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np

from placement.algorithms.base import Algorithm
from placement.algorithms.guarded import Assigned, Assigner, Guarded
from placement.algorithms.mix import Mix
from placement.algorithms.names import GROUP, OWN, Maker
from placement.choosing.chooser import Filter
from placement.cluster.columns import Columns, Mask
from placement.cluster.needs import Machine, Need
from workers import plugin_points
from workers.plugin_points import Unusable
from workers.telemetry import logger

ASSIGNERS = "weir.assigners"
FILTERS = "weir.filters"


def installed() -> dict[str, Maker]:
    """Return algorithms of others by name; those that cannot be had are logged and left out."""
    scores = plugin_points.installed(GROUP, objection, algorithm)
    assigners = plugin_points.installed(ASSIGNERS, objection, assigner)
    made: dict[str, Maker] = {name: partial(_assigning, it, name) for name, it in assigners.items()}
    return made | {name: partial(_guarded, make, name) for name, make in scores.items()}


def filters() -> dict[str, Filter]:
    """Return filters of others by name; those that cannot be had are logged and left out."""
    found = plugin_points.installed(FILTERS, lambda _: "", passing)
    return {name: partial(_passing, name, it) for name, it in found.items()}


def objection(name: str) -> str:
    """Return why an algorithm of others cannot have a name; empty when it can."""
    return "it has the name of a built-in algorithm" if name in OWN else ""


def algorithm(point: EntryPoint) -> Maker:
    """Return what makes an algorithm, tried once. Raises Unusable, and what it raises."""
    make: Maker = point.load()
    made: object = make(Columns([Machine(name="a", cpu_milli=1, memory_mib=1)]), Mix((), ()), 0)
    if not isinstance(made, Algorithm):
        raise Unusable(f"{point.value} makes a {type(made).__name__}, which is no Algorithm")
    return make


def assigner(point: EntryPoint) -> Assigner:
    """Return an assigner. Raises Unusable, and what loading raises."""
    return _callable(point)


def passing(point: EntryPoint) -> Filter:
    """Return a filter. Raises Unusable, and what loading raises."""
    return _callable(point)


def _callable(point: EntryPoint) -> Callable[..., Any]:
    found: Any = point.load()
    if not callable(found):
        raise Unusable(f"{point.value} is no function")
    function: Callable[..., Any] = found
    return function


def _guarded(make: Maker, name: str, columns: Columns, mix: Mix, seed: int) -> Algorithm:
    return Guarded(make(columns, mix, seed), name, columns, mix, seed)


def _assigning(assign: Assigner, name: str, columns: Columns, mix: Mix, seed: int) -> Algorithm:
    return Guarded(Assigned(assign, columns, mix, seed), name, columns, mix, seed)


def _passing(name: str, inner: Filter, columns: Columns, need: Need) -> Mask:
    """Return whom a filter lets pass; nobody where it fails: it stands for a hard constraint."""
    try:
        found = np.asarray(inner(columns, need))
        if found.shape == (len(columns),) and found.dtype == np.bool_:
            return found
        reason = f"it returned {found.dtype} of shape {found.shape}; it must return a bool per node"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of others must end nothing
        reason = f"{type(error).__name__}: {error}"
    logger(__name__).warning("plugin.failed", group=FILTERS, plugin=name, reason=reason)
    return np.zeros(len(columns), np.bool_)
