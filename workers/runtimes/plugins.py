"""Runtimes of others: what installed distributions name under the entry point group.

The name of an entry point is the format of artifact that a registration gives, its value a
function without arguments that returns a Runtime; it is called when a worker starts. The laws
that a runtime keeps are tests: see `tests/unit/workers/runtime_laws.py`.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from workers.runtimes.base import Runtime
from workers.telemetry import logger

GROUP = "weir.runtimes"
PARTS = ("name", "fetches", "load")


def installed_runtimes(taken: "frozenset[str]") -> dict[str, Runtime]:
    """Return the runtimes by format; one that is taken, or cannot be made, is logged and left out.

    Of several with one format the first distribution by name has it.
    """
    found: dict[str, Runtime] = {}
    for point in sorted(entry_points(group=GROUP), key=_place):
        made, reason = (None, "the format is taken")
        if point.name not in taken and point.name not in found:
            made, reason = _made(point)
        if made is None:
            logger(__name__).warning("runtime.refused", format=point.name, reason=reason)
        else:
            found[point.name] = made
    return found


def _place(point: EntryPoint) -> tuple[str, str]:
    return point.name, point.dist.name if point.dist is not None else ""


def _made(point: EntryPoint) -> tuple[Runtime | None, str]:
    """Return what an entry point makes, or why there is nothing."""
    try:
        made: Any = point.load()()
    except Exception as error:  # noqa: BLE001 - the code of others must not end the worker
        return None, f"{type(error).__name__}: {error}"
    missing = [part for part in PARTS if not hasattr(made, part)]
    return (None, f"{point.value} has no {', '.join(missing)}") if missing else (made, "")
