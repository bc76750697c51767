"""Tasks of a worker's log while there is one, and which of them need not be read again.

A worker may outlive its log: another cluster, or a topic that was removed, begins another one. An
offset is therefore known by a ticket that is never the same in two logs, so that the end of a task
of a former log moves nothing in the present one.
"""

from typing import Final

from workers.inference.link import Connection
from workers.inference.progress import Progress
from workers.kafka.clients import RawMessage

_BITS: Final = 48
_OFFSET: Final = (1 << _BITS) - 1


class Feed:
    """Reads from the connection that it has, and reads nothing while it has none."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._log = -1
        self._progress = Progress()

    @property
    def attached(self) -> bool:
        """Whether there is a log to read."""
        return self._connection is not None

    def attach(self, connection: Connection) -> None:
        """Read from a connection; if its log is another than the last, from its beginning."""
        if connection.log != self._log:
            self._log = connection.log
            self._progress = Progress()
        self._connection = connection

    def detach(self) -> None:
        """Read no more for now."""
        self._connection = None

    def read(self, most: int, wait_s: float) -> list[RawMessage]:
        """Return what is there, after waiting for a first message. Raises KafkaUnavailable."""
        return list(self._connection.tasks.read(most, wait_s)) if self._connection else []

    def begin(self, offset: int) -> int:
        """Note a task that was read, and return its ticket; offsets come ascending."""
        ticket = (self._log << _BITS) + offset
        self._progress.begin(ticket)
        return ticket

    def done(self, ticket: int) -> None:
        """Note that a task needs nothing more."""
        self._progress.done(ticket)

    def commit(self) -> None:
        """Note in the log from where a successor is to read."""
        position = self._progress.position
        if self._connection is not None and position is not None:
            self._connection.tasks.commit(position & _OFFSET)

    @property
    def following(self) -> int | None:
        """Return the offset of the next task that was not read; None before the first."""
        following = self._progress.following
        return None if following is None else following & _OFFSET

    @property
    def under_way(self) -> int:
        """Return how many tasks are not done."""
        return self._progress.under_way
