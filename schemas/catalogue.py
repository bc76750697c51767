"""The world as the compacted topics tell it, as a value that processors look things up in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar, cast

from schemas.base import Event
from schemas.records import SourceRange
from schemas.topics import topic_named

E = TypeVar("E", bound=Event)
_EMPTY: Mapping[str, Event] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Update:
    """One message of a compacted topic; `event` None is a tombstone."""

    topic: str
    partition: int
    offset: int
    key: str
    event: Event | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Entries per event class and key; `positions` is the next offset per topic partition.

    Immutable: `apply` returns a new one and shares what did not change, so that a processor may
    compare `of(kind)` by identity to see whether anything of that kind changed.
    """

    entries: Mapping[type[Event], Mapping[str, Event]] = field(default_factory=dict)
    positions: Mapping[tuple[str, int], int] = field(default_factory=dict)
    _groups: dict[type[Event], Mapping[str, tuple[Event, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def of(self, kind: type[E]) -> Mapping[str, E]:
        """Return all entries of an event class by key."""
        return cast(Mapping[str, E], self.entries.get(kind, _EMPTY))

    def get(self, kind: type[E], key: str) -> E | None:
        """Return one entry, or None."""
        return self.of(kind).get(key)

    def by_app(self, kind: type[E]) -> Mapping[str, tuple[E, ...]]:
        """Return the entries of an event class that has a field `app`, grouped by it.

        Grouped when first asked for, and again only after an entry of the class has changed.
        """
        if kind not in self._groups:
            groups: dict[str, list[Event]] = {}
            for entry in self.of(kind).values():
                groups.setdefault(entry.app, []).append(entry)  # type: ignore[attr-defined]  # `kind` has it
            self._groups[kind] = {app: tuple(found) for app, found in groups.items()}
        return cast(Mapping[str, tuple[E, ...]], self._groups[kind])

    def apply(self, updates: Iterable[Update]) -> "Catalogue":
        """Return the catalogue after updates, in their order."""
        entries = dict(self.entries)
        positions = dict(self.positions)
        owned: set[type[Event]] = set()

        def table(kind: type[Event]) -> dict[str, Event]:
            if kind not in owned:
                entries[kind] = dict(entries.get(kind, _EMPTY))
                owned.add(kind)
            return cast(dict[str, Event], entries[kind])

        for update in updates:
            positions[(update.topic, update.partition)] = update.offset + 1
            for kind in topic_named(update.topic).events:
                if update.event is not None and type(update.event) is kind:
                    table(kind)[update.key] = update.event
                elif update.key in entries.get(kind, _EMPTY):
                    del table(kind)[update.key]
        following = Catalogue(entries, positions)
        grouped = dict(self._groups)  # at once: others may group meanwhile
        following._groups.update({k: found for k, found in grouped.items() if k not in owned})
        return following

    def sources(self) -> tuple[SourceRange, ...]:
        """Return the offsets in force, for a decision to record."""
        return tuple(
            SourceRange(topic=topic, partition=partition, first=0, last=following - 1)
            for (topic, partition), following in sorted(self.positions.items())
        )
