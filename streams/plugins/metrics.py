"""Plug-ins of defined metrics: functions that installed distributions name under `weir.metrics`."""

from functools import partial
from importlib.metadata import EntryPoint

from processors.defining.plugins import GROUP, Plugin, name_objection
from processors.errors import PluginError
from streams.plugins.attempts import attempted
from workers import plugin_points
from workers.plugin_points import Unusable


def installed() -> dict[str, Plugin]:
    """Return the plug-ins by name; what cannot be loaded or has a name that is taken is logged."""
    return plugin_points.installed(GROUP, name_objection, loaded)


def loaded(point: EntryPoint) -> Plugin:
    """Return the function of an entry point, guarded. Raises Unusable."""
    try:
        function = attempted(point.load)
    except PluginError as error:
        raise Unusable(str(error)) from error
    if not callable(function):
        raise Unusable(f"{point.value} is no function")
    version = point.dist.version if point.dist is not None else ""
    return Plugin(point.name, version, partial(attempted, function))
