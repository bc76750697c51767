"""Orders of others: what installed distributions name under the entry point group `weir.orders`.

An entry is a subclass of `workers.scheduling.orders.base.Order`, or a function that returns one;
its name is how it is asked for. Built-in orders keep their names.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint

from workers import plugin_points
from workers.plugin_points import Unusable
from workers.scheduling.orders import names
from workers.scheduling.orders.base import Order
from workers.scheduling.orders.names import GROUP, OWN


def named(name: str) -> Order:
    """Return a new order by its name, a built-in one or that of others.

    Raises ValueError for an unknown name.
    """
    return names.order(name, {} if name in OWN else installed())


def installed() -> dict[str, Callable[[], Order]]:
    """Return orders of others by name; those that cannot be had are logged and left out."""
    return plugin_points.installed(GROUP, objection, made)


def objection(name: str) -> str:
    """Return why an order of others cannot have a name; empty when it can."""
    return "it has the name of a built-in order" if name in OWN else ""


def made(point: EntryPoint) -> Callable[[], Order]:
    """Return what makes an order, tried once. Raises Unusable, and what it raises."""
    make: Callable[[], Order] = point.load()
    order: object = make()
    if not isinstance(order, Order):
        raise Unusable(f"{point.value} makes a {type(order).__name__}, which is no Order")
    return make
