"""Where the sink reads on after the database had trouble with its disk: a little before it began.

A block that ClickHouse writes at the very moment at which its disk fills up may be acknowledged and
yet be spoiled (an engine's fault, seen with ClickHouse 26.9). So what was stored shortly before the
first refusal is stored again: a row that is there already is the same row.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from workers.kafka.clients import RawMessage
from workers.sinking.positions import Place

EVERY_S: Final = 1.0


class Rewinding:
    """Remembers what to read next per partition, now and `span_s` seconds ago."""

    def __init__(self, span_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._span_s = span_s
        self._clock = clock
        self._next: dict[Place, int] = {}
        self._history: deque[tuple[float, dict[Place, int]]] = deque()

    def begin(self, starts: dict[Place, int]) -> None:
        """Note partitions that are read from now on, and from which offsets."""
        self._next |= starts
        for _, known in self._history:
            for place, offset in starts.items():
                known.setdefault(place, offset)

    def stored(self, messages: Iterable[RawMessage]) -> None:
        """Note that messages, in the order of their partitions, were acknowledged."""
        now = self._clock()
        if not self._history or now - self._history[-1][0] >= EVERY_S:
            self._history.append((now, dict(self._next)))
        while len(self._history) > 1 and self._history[1][0] <= now - self._span_s:
            self._history.popleft()
        for message in messages:
            place = (str(message.topic()), int(message.partition() or 0))
            self._next[place] = int(message.offset() or 0) + 1

    def before(self, since: float) -> dict[Place, int]:
        """Return what was to be read next `span_s` before an instant, and begin there again."""
        older = [positions for at, positions in self._history if at <= since - self._span_s]
        known = older[-1] if older else self._history[0][1] if self._history else self._next
        self._history.clear()
        self._next = dict(known)
        return dict(known)
