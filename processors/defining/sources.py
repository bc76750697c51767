"""The partitions of the metrics as define knows them: what each has told, and who is waited for."""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.closed import WindowsClosed
from schemas.processing import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A partition of the metrics: until when windows closed, when it was heard, what it gives."""

    topic: str
    partition: int
    until: int
    heard_ms: int
    definitions: tuple[str, ...]
    since: tuple[int, ...]

    def gives(self, definition: str, start: int) -> bool:
        """Return whether it gives all rows of a definition for windows from an instant on."""
        held = dict(zip(self.definitions, self.since, strict=True))
        return definition in held and held[definition] <= start


class Sources:
    """The partitions that were heard, of `count`; one silent for `silent_ms` is not waited for.

    `born_ms` is when the first of all was heard; those never heard are waited for from then on.
    """

    def __init__(
        self, count: int, silent_ms: int, born_ms: int | None, known: Iterable[Source]
    ) -> None:
        self._count = count
        self._silent_ms = silent_ms
        self._known = {(one.topic, one.partition): one for one in known}
        self.born_ms = born_ms

    def state(self) -> tuple[Source, ...]:
        """Return them in the order of their names."""
        return tuple(self._known[place] for place in sorted(self._known))

    def hear(self, event: WindowsClosed, now_ms: int) -> None:
        """Take over what an event says; an instant has been told with its last event."""
        self.born_ms = now_ms if self.born_ms is None else self.born_ms
        place = (event.topic, event.partition)
        before = self._known.get(place)
        until = event.until - 1 if before is None else before.until
        self._known[place] = Source(
            topic=event.topic,
            partition=event.partition,
            until=max(until, event.until) if event.last else until,
            heard_ms=now_ms,
            definitions=tuple(one.definition for one in event.definitions),
            since=tuple(one.since for one in event.definitions),
        )

    def heard(self, now_ms: int) -> set[Partition]:
        """Return those that are not silent."""
        return {p for p, one in self._known.items() if not self._silent(one.heard_ms, now_ms)}

    def told(self, now_ms: int) -> int | None:
        """Return until when all have told that are waited for; None while there is none such."""
        born = now_ms if self.born_ms is None else self.born_ms
        if len(self._known) < self._count and not self._silent(born, now_ms):
            return None
        return min((self._known[place].until for place in self.heard(now_ms)), default=None)

    def have_told(self, places: Iterable[Partition], until: int) -> bool:
        """Return whether some have told all that closed at an instant."""
        return all(self._known[place].until >= until for place in places)

    def give(self, places: Iterable[Partition], definition: str, start: int) -> bool:
        """Return whether some give all rows of a definition for windows from an instant on."""
        return all(self._known[place].gives(definition, start) for place in places)

    def _silent(self, heard_ms: int, now_ms: int) -> bool:
        return now_ms - heard_ms > self._silent_ms
