"""Orders of others: what installed distributions name under `weir.orders`."""

from collections.abc import Callable
from importlib.metadata import entry_points

from processors.plugins import PluginError
from streams.plugins import attempted
from workers.scheduling.orders.base import Order
from workers.scheduling.orders.names import GROUP
from workers.telemetry import logger


def installed() -> dict[str, Callable[[], Order]]:
    """Return what makes each order, by name; what cannot be loaded is logged and left out."""
    found: dict[str, Callable[[], Order]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        try:
            made = attempted(point.load)
        except PluginError as error:
            made, reason = None, str(error)
        else:
            reason = f"{point.value} is no class and no function"
        if callable(made):
            found.setdefault(point.name, made)
        else:
            logger(__name__).warning("order.refused", order=point.name, reason=reason)
    return found
