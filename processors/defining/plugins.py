"""Functions of others that make a number of a window's rows: what expressions cannot say.

A plug-in is a function that an installed distribution names under the entry point group
`weir.metrics`; definitions call it like an aggregate: `outliers(3.5 where metric == "latency")`.

    def outliers(rows: polars.DataFrame, threshold: float) -> float | None:
        middle = rows["value"].median()
        spread = (rows["value"] - middle).abs().median()
        return float(((rows["value"] - middle).abs() > threshold * spread).sum())

It gets the rows of one group of one window that pass the filter, at least one, in the order of
event time, with the columns that expressions have, and the literals that the definition gives. It
returns a number, or None where there is nothing to say. The laws of processors hold for it: it
depends on its arguments alone, not on a clock, chance or what it did before, and changes nothing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from processors.errors import PluginError, ProcessorError
from processors.expressions.tree import Value
from processors.expressions.typed import AGGREGATES, COLUMNS, DEFINED, FUNCTIONS, SECONDS

GROUP = "weir.metrics"


class WindowFunction(Protocol):
    """A plug-in: from rows and parameters to a number, or None."""

    def __call__(self, rows: pl.DataFrame, /, *parameters: Value) -> float | None:
        """Return the number that the rows make."""
        ...


@dataclass(frozen=True, slots=True)
class Plugin:
    """A function and the version of the distribution that it came with.

    The function raises nothing but PluginError: `streams.plugins.metrics` sees to it.
    """

    name: str
    version: str
    function: Callable[..., float | None]


class PluginFailed(ProcessorError):
    """A plug-in raised, or returned what is no number."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"plug-in {name} {reason}")
        self.name = name
        self.reason = reason


def name_objection(name: str) -> str:
    """Return why a plug-in cannot have a name; empty when it can."""
    if not name.isascii() or not name.isidentifier():
        return f"{name!r} is no name; it may have letters, digits and underscores"
    if name in {*AGGREGATES, *FUNCTIONS, *COLUMNS, DEFINED, SECONDS}:
        return f"{name!r} belongs to the language; choose another name"
    return ""


def called(
    plugins: Mapping[str, Plugin], name: str, rows: pl.DataFrame, parameters: Sequence[Value]
) -> float | None:
    """Return what a plug-in makes of rows.

    Raises PluginFailed.
    """
    try:
        value = plugins[name].function(rows, *parameters)
    except PluginError as error:
        raise PluginFailed(name, f"raised {error}") from error
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, float | int):
        kind = type(value).__name__
        raise PluginFailed(name, f"returned a {kind}; it must return a float, an int or None")
    try:
        return float(value)
    except OverflowError as error:
        raise PluginFailed(name, "returned an int that is too large for a number") from error


def broken_laws(
    function: Callable[..., float | None], rows: pl.DataFrame, *parameters: Value
) -> list[str]:
    """Return the laws that a plug-in breaks on some rows; for the tests of its author.

    What the function raises comes through.
    """
    plugins = {"it": Plugin("it", "", function)}
    before = rows.clone()
    found: list[str] = []
    try:
        first = called(plugins, "it", rows.clone(), parameters)
        called(plugins, "it", rows.head(1), parameters)
        again = called(plugins, "it", rows.clone(), parameters)
    except PluginFailed as failed:
        return [f"it {failed.reason}"]
    if not _same(first, again):
        found.append(f"the same rows gave {first} and then {again}")
    handed = rows.clone()
    called(plugins, "it", handed, parameters)
    if not handed.equals(before):
        found.append("it changed the rows that it was given")
    return found


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))
