"""Events that come twice: recognised by their ids.

Positions make redelivery exact, but an upstream host without transactions that crashed says the
same things again, at new offsets, under the ids that they had.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import xxhash

from schemas.base import Event
from schemas.processing import Batch, Output, Processor, Record

REMEMBERED = 512
"""How many events an instance remembers."""
_DIGEST = 8
_VARIANTS = ("revision", "status", "verdict")


class Recent:
    """The last events applied, as digests of eight bytes; the oldest is forgotten first."""

    def __init__(self, data: bytes = b"", limit: int = REMEMBERED) -> None:
        whole = len(data) - len(data) % _DIGEST
        digests = [data[at : at + _DIGEST] for at in range(0, whole, _DIGEST)]
        self._limit = limit
        self._order = deque(digests[-limit:])
        self._known = set(self._order)

    def add(self, event: Event) -> bool:
        """Remember an event and return whether it is new; one without an id always is."""
        digest = _digest(event)
        if digest is None:
            return True
        if digest in self._known:
            return False
        self._known.add(digest)
        self._order.append(digest)
        if len(self._order) > self._limit:
            self._known.discard(self._order.popleft())
        return True

    def pack(self) -> bytes:
        """Return the digests, oldest first."""
        return b"".join(self._order)


def _digest(event: Event) -> bytes | None:
    event_id = getattr(event, "event_id", None)
    if event_id is None:
        return None
    variant = [str(getattr(event, name, "")) for name in _VARIANTS]
    return xxhash.xxh3_64_digest("\0".join([type(event).__name__, event_id, *variant]).encode())


class Once:
    """A processor that is handed each event once, though it may arrive more often."""

    def __init__(self, inner: Processor[Batch]) -> None:
        self.inner = inner
        self.recent = Recent()

    def process(self, batch: Batch) -> Sequence[Output]:
        """Process what is new; a batch of repeats alone is none."""
        new = tuple(record for record in batch.records if self._is_new(record))
        if batch.records and not new:
            return ()
        return self.inner.process(replace(batch, records=new))

    def _is_new(self, record: Record) -> bool:
        return self.recent.add(record.event)

    def wake_at(self) -> int | None:
        """Return when the processor wants to wake, ms since the epoch."""
        return self.inner.wake_at()

    def snapshot(self) -> bytes:
        """Return the processor's own state."""
        return self.inner.snapshot()

    def restore(self, data: bytes) -> None:
        """Restore the processor's own state.

        Raises schemas.errors.DecodeError when the bytes are none.
        """
        self.inner.restore(data)
