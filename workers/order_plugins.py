"""Orders of others: what installed distributions name under the entry point group `weir.orders`.

An entry is a subclass of `workers.scheduling.orders.base.Order`, or a function that returns one;
its name is how it is asked for. Built-in orders keep their names.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from workers.scheduling.orders.base import Order
from workers.scheduling.orders.names import GROUP, OWN
from workers.telemetry import logger


def installed() -> dict[str, Callable[[], Order]]:
    """Return orders of others by name; those that cannot be had are logged and left out."""
    found: dict[str, Callable[[], Order]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        make, reason = _attempted(point)
        if make is None:
            logger(__name__).warning("order.refused", order=point.name, reason=reason)
        else:
            found.setdefault(point.name, make)
    return found


def _attempted(point: EntryPoint) -> tuple[Callable[[], Order] | None, str]:
    """Return what makes an order, tried once, or why there is none."""
    if point.name in OWN:
        return None, "it has the name of a built-in order"
    try:
        make = point.load()
        made = make()
    except Exception as error:  # noqa: BLE001 - other people's code: it must not end the rest
        return None, f"{type(error).__name__}: {error}"
    if not isinstance(made, Order):
        return None, f"{point.value} makes a {type(made).__name__}, which is no Order"
    return make, ""
