"""Plug-ins of defined metrics: functions that installed distributions name under `weir.metrics`."""

from importlib.metadata import EntryPoint, entry_points

from processors.plugins import GROUP, Plugin, name_objection
from workers.telemetry import logger


def installed() -> dict[str, Plugin]:
    """Return the plug-ins by name; those that cannot be loaded are logged and left out."""
    found: dict[str, Plugin] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        plugin = _loaded(point)
        if plugin is not None:
            found.setdefault(plugin.name, plugin)
    return found


def _loaded(point: EntryPoint) -> Plugin | None:
    version = point.dist.version if point.dist is not None else ""
    reason = name_objection(point.name)
    try:
        function = None if reason else point.load()
    except Exception as error:  # noqa: BLE001 - code of others; the rest goes on without it
        function, reason = None, f"{type(error).__name__}: {error}"
    if not reason and not callable(function):
        reason = f"{point.value} is no function"
    if reason or function is None:
        logger(__name__).warning("plugin.refused", name=point.name, reason=reason)
        return None
    return Plugin(point.name, version, function)
