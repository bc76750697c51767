"""Events that wait on disk until a broker takes them: bounded, in order, each until it is taken.

When it is full the oldest go first: they have the least to say when the broker is back, and a
worker that was away for long keeps what led to now. What goes is counted by record and reason,
on disk too, until somebody was told. An entry is removed only when the broker has it, so one
whose removal was interrupted is sent twice, under the same event id.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from workers.edge.packed import Packed
from workers.edge.store import Connection, Store

OVERHEAD: Final = 64
"""What an entry costs besides its body, bytes."""
FULL: Final = "the spool was full"


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the spool; numbers ascend and are never used again."""

    number: int
    packed: Packed


@dataclass(frozen=True, slots=True)
class Lost:
    """How many events of a record were given up, why, and when (ms) first and last."""

    record: str
    reason: str
    number: int
    first: int
    last: int


class Spool:
    """The spool of one node in its store; bodies and overhead take at most `most_bytes`."""

    def __init__(self, store: Store, most_bytes: int) -> None:
        self._store = store
        self._most = most_bytes
        self._length, self._bytes = self._held()

    def __len__(self) -> int:
        return self._length

    @property
    def held_bytes(self) -> int:
        """Return how much of its bound is taken."""
        return self._bytes

    def append(self, events: Sequence[Packed], now_ms: int) -> tuple[list[int], list[int]]:
        """Keep events; return their numbers, and the numbers of those that went for them.

        What is returned is kept. Raises StoreTrouble.
        """
        with self._store.transaction() as rows:
            numbers = [_insert(rows, event) for event in events]
            (before,) = rows.execute("SELECT bytes FROM size").fetchone()
            size = before + sum(OVERHEAD + len(event.body) for event in events)
            gone, size = self._surplus(rows, size)
            rows.executemany("DELETE FROM spool WHERE number = ?", ((n,) for n in gone))
            rows.execute("UPDATE size SET bytes = ?", (size,))
            for record in gone.values():
                rows.execute(_LOSE, (record, FULL, now_ms, now_ms))
        self._length += len(numbers) - len(gone)
        self._bytes = size
        return numbers, list(gone)

    def oldest(self, most: int, after: int = 0) -> list[Entry]:
        """Return up to `most` entries with numbers above `after`, oldest first.

        Raises StoreTrouble.
        """
        with self._store.transaction() as rows:
            found = rows.execute(
                "SELECT number, record, version, body, checked FROM spool"
                " WHERE number > ? ORDER BY number LIMIT ?",
                (after, most),
            ).fetchall()
        if not found and after == 0:
            self._length = 0  # another process of the node has sent the rest
        return [Entry(number, Packed(*packed)) for number, *packed in found]

    def newest(self, most: int) -> list[Entry]:
        """Return up to `most` entries that came last, in their order. Raises StoreTrouble."""
        with self._store.transaction() as rows:
            found = rows.execute(
                "SELECT number, record, version, body, checked FROM spool"
                " ORDER BY number DESC LIMIT ?",
                (most,),
            ).fetchall()
        return [Entry(number, Packed(*packed)) for number, *packed in reversed(found)]

    def remove(self, numbers: Iterable[int]) -> None:
        """Forget entries that were taken; unknown ones are none of our business.

        Raises StoreTrouble.
        """
        wanted = list(numbers)
        if not wanted:
            return
        with self._store.transaction() as rows:
            freed = count = 0
            for number in wanted:
                found = rows.execute(
                    "SELECT length(body) FROM spool WHERE number = ?", (number,)
                ).fetchone()
                if found is not None:
                    freed, count = freed + OVERHEAD + found[0], count + 1
            rows.executemany("DELETE FROM spool WHERE number = ?", ((n,) for n in wanted))
            rows.execute("UPDATE size SET bytes = max(0, bytes - ?)", (freed,))
        self._length -= count
        self._bytes = max(0, self._bytes - freed)

    def lose(self, entry: Entry, reason: str, now_ms: int) -> None:
        """Give up an entry that nobody will ever take, and count it. Raises StoreTrouble."""
        self.remove([entry.number])
        self.count_lost(entry.packed.record, reason, now_ms)

    def count_lost(self, record: str, reason: str, now_ms: int) -> None:
        """Count an event that was given up. Raises StoreTrouble."""
        with self._store.transaction() as rows:
            rows.execute(_LOSE, (record, reason, now_ms, now_ms))

    def lost(self) -> list[Lost]:
        """Return what was given up and not yet told. Raises StoreTrouble."""
        with self._store.transaction() as rows:
            found = rows.execute("SELECT * FROM lost ORDER BY record, reason").fetchall()
        return [Lost(*row) for row in found]

    def told(self, lost: Lost) -> None:
        """Forget what was told; what was lost since stays. Raises StoreTrouble."""
        with self._store.transaction() as rows:
            place = (lost.record, lost.reason)
            rows.execute(
                "UPDATE lost SET number = number - ?, first = ? WHERE record = ? AND reason = ?",
                (lost.number, lost.last, *place),
            )
            rows.execute("DELETE FROM lost WHERE number <= 0")

    def _surplus(self, rows: Connection, size: int) -> tuple[dict[int, str], int]:
        """Return whose turn it is to go, with their records, and the size that is left."""
        gone: dict[int, str] = {}
        if size > self._most:
            oldest = "SELECT number, record, length(body) FROM spool ORDER BY number"
            for number, record, length in rows.execute(oldest):
                gone[number] = record
                size -= OVERHEAD + length
                if size <= self._most:
                    break
        return gone, size

    def _held(self) -> tuple[int, int]:
        """Return how many events there are, and their bytes."""
        with self._store.transaction() as rows:
            (count,) = rows.execute("SELECT count(*) FROM spool").fetchone()
            (size,) = rows.execute("SELECT bytes FROM size").fetchone()
        return int(count), int(size)


def _insert(rows: Connection, event: Packed) -> int:
    row = (event.record, event.version, event.body, event.checked)
    insert = "INSERT INTO spool (record, version, body, checked) VALUES (?, ?, ?, ?)"
    return int(rows.execute(insert, row).lastrowid or 0)


_LOSE: Final = (
    "INSERT INTO lost VALUES (?, ?, 1, ?, ?) ON CONFLICT (record, reason)"
    " DO UPDATE SET number = number + 1, last = excluded.last"
)
