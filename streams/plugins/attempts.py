"""Calls of functions that others wrote: whatever goes wrong in them is their failure."""

import sys
from collections.abc import Callable
from typing import Any

from processors.errors import PluginError


def attempted(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function of others returns.

    Raises PluginError for whatever it raises, a panic of polars and an exit among it.
    """
    try:
        return function(*arguments)
    except _failures() as error:  # must not end what calls it
        raise PluginError(f"{type(error).__name__}: {error}") from error


def _failures() -> tuple[type[BaseException], ...]:
    """Return what ends a call; a panic of polars is no Exception, and can be where polars is."""
    polars = sys.modules.get("polars.exceptions")
    panics = () if polars is None else (polars.PanicException,)
    return (Exception, SystemExit, *panics)
