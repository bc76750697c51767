"""Plug-ins: what installed distributions name under an entry point group, loaded and guarded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from workers.telemetry import logger

T = TypeVar("T")


class Unusable(Exception):
    """A plug-in cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """An entry point, and what was made of it; None, with the reason, where it cannot be used."""

    name: str
    target: str
    distribution: str
    version: str
    made: T | None
    reason: str


def installed(
    group: str, objection: Callable[[str], str], made: Callable[[EntryPoint], T]
) -> dict[str, T]:
    """Return what `made` makes of each entry point of a group, by name.

    `objection` says what is against a name; empty: nothing. Of several of one name the first
    distribution by name has it. What cannot be used, whatever it raises, an exit too, is logged
    with the reason and left out.
    """
    usable: dict[str, T] = {}
    for found in surveyed(group, objection, made):
        if found.reason or found.made is None:
            logger(__name__).warning(
                "plugin.refused", group=group, plugin=found.name, reason=found.reason
            )
        else:
            usable[found.name] = found.made
    return usable


def surveyed(
    group: str, objection: Callable[[str], str], made: Callable[[EntryPoint], T]
) -> Iterator[Found[T]]:
    """Yield every entry point of a group by name, usable or not."""
    taken: set[str] = set()
    for point in sorted(entry_points(group=group), key=_place):
        value = None
        try:
            reason = objection(point.name)
            if not reason and point.name in taken:
                reason = "another distribution has a plug-in of this name"
            if not reason:
                value = made(point)
                taken.add(point.name)
        except Unusable as error:
            reason = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code: it must not end the rest
            reason = f"{type(error).__name__}: {error}"
        name, version = (
            (point.dist.name, point.dist.version) if point.dist is not None else ("", "")
        )
        yield Found(point.name, point.value, name, version, value, reason)


def _place(point: EntryPoint) -> tuple[str, str]:
    return point.name, point.dist.name if point.dist is not None else ""
