"""Plug-ins: what installed distributions name under an entry point group, loaded and guarded."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from workers.telemetry import logger

T = TypeVar("T")


class Unusable(Exception):
    """A plug-in cannot be used; the message says why."""


def installed(
    group: str, objection: Callable[[str], str], made: Callable[[EntryPoint], T]
) -> dict[str, T]:
    """Return what `made` makes of each entry point of a group, by name.

    `objection` says what is against a name; empty: nothing. Of several of one name the first
    distribution by name has it. What cannot be used, whatever it raises, an exit too, is logged
    with the reason and left out.
    """
    found: dict[str, T] = {}
    for point in sorted(entry_points(group=group), key=_place):
        try:
            reason = objection(point.name)
            if not reason and point.name in found:
                reason = "another distribution has a plug-in of this name"
            if not reason:
                found[point.name] = made(point)
        except Unusable as error:
            reason = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code: it must not end the rest
            reason = f"{type(error).__name__}: {error}"
        if reason:
            logger(__name__).warning(
                "plugin.refused", group=group, plugin=point.name, reason=reason
            )
    return found


def _place(point: EntryPoint) -> tuple[str, str]:
    return point.name, point.dist.name if point.dist is not None else ""
