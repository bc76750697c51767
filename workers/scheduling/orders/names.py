"""Orders by name. Pure."""

from collections.abc import Callable, Mapping

from workers.scheduling.orders.base import Order
from workers.scheduling.orders.mapscore import MapScore
from workers.scheduling.orders.ranked import Fifo, LeastLaxity, PriorityEdf
from workers.scheduling.orders.weir import Weir

GROUP = "weir.orders"
"""The entry point group by which installed distributions name orders of their own."""
DEFAULT = Weir.name
OWN: Mapping[str, Callable[[], Order]] = {
    order.name: order for order in (Fifo, PriorityEdf, LeastLaxity, MapScore, Weir)
}


def order(name: str, others: Mapping[str, Callable[[], Order]] | None = None) -> Order:
    """Return a new order by its name; `others` are those of plug-ins.

    Raises ValueError for an unknown name.
    """
    known = {**(others or {}), **OWN}
    if name not in known:
        raise ValueError(f"order {name!r} is unknown; known are {', '.join(sorted(known))}")
    return known[name]()
