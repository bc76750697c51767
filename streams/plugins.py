"""Plug-ins of defined metrics: functions that installed distributions name under `weir.metrics`."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from polars.exceptions import PanicException

from processors.plugins import GROUP, Plugin, PluginError, name_objection
from workers.telemetry import logger


def installed() -> dict[str, Plugin]:
    """Return the plug-ins by name; what cannot be loaded or has a name that is taken is logged."""
    found: dict[str, Plugin] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        plugin = _loaded(point)
        if plugin is not None and found.setdefault(plugin.name, plugin) is not plugin:
            _refuse(point, "another distribution has a plug-in of this name")
    return found


def attempted(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function of others returns.

    Raises PluginError for whatever it raises, a panic of polars and an exit among it.
    """
    try:
        return function(*arguments)
    except (Exception, SystemExit, PanicException) as error:  # must not end what calls it
        raise PluginError(f"{type(error).__name__}: {error}") from error


def _loaded(point: EntryPoint) -> Plugin | None:
    version = point.dist.version if point.dist is not None else ""
    function: Any = None
    try:
        reason = name_objection(point.name)
        function = None if reason else attempted(point.load)
    except PluginError as error:
        reason = str(error)
    if not reason and not callable(function):
        reason = f"{point.value} is no function"
    if reason:
        _refuse(point, reason)
        return None
    return Plugin(point.name, version, partial(attempted, function))


def _refuse(point: EntryPoint, reason: str) -> None:
    logger(__name__).warning("plugin.refused", plugin=point.name, reason=reason)
