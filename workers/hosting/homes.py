"""Messages that stand in another partition than their key says, and the way home for them.

What comes from outside is not trusted to use our partitioner, or any key at all. An instance that
joined or counted such messages would see half of a thing, so they are sent again to where they
belong, as they are, with a header that says where they stood. One processor does so for each
topic, its mover in the topic table; everybody else passes over them.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from schemas import topics
from schemas.partitioning import partition_of
from schemas.processing import Partition, Record
from workers.kafka.clients import RawMessage
from workers.kafka.sending import Outgoing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HEADER = "weir-moved-from"
"""Carries topic/partition/offset of the message that was sent again."""
_home = lru_cache(maxsize=8192)(partition_of)
"""A request, its results and its answer have one key, and come soon after each other."""


class Homes:
    """Knows where keys belong, and what `processor` is to move.

    `counts` has the number of partitions per topic; without one everything is at home.
    """

    def __init__(self, counts: Mapping[str, int], processor: str) -> None:
        self._counts = {
            topic.name: counts[topic.name]
            for topic in topics.TOPICS.values()
            if topic.mover and counts.get(topic.name, 1) > 1
        }
        self._processor = processor

    def records(
        self, records: Sequence[Record], messages: Iterable[RawMessage]
    ) -> tuple[list[Record], list[Outgoing]]:
        """Split decoded records into those at home and messages for the others."""
        astray = {
            (record.topic, record.partition, record.offset): home
            for record in records
            if (home := self._home_of(record)) is not None
        }
        if not astray:
            return list(records), []
        good = [r for r in records if (r.topic, r.partition, r.offset) not in astray]
        moved = []
        for message in messages:
            home = astray.get((str(message.topic()), message.partition(), message.offset()))  # type: ignore[arg-type]
            if home is not None and self.moves(str(message.topic())):
                moved.append(sent_again(message, *home))
        return good, moved

    def moves(self, topic: str) -> bool:
        """Tell whether it is this processor that sends the messages of a topic home."""
        return topics.topic_named(topic).mover == self._processor

    def _home_of(self, record: Record) -> tuple[str, int] | None:
        count = self._counts.get(record.topic, 1)
        if count == 1:
            return None
        key = topics.key_of(record.event)
        home = _home(key, count)
        return None if home == record.partition else (key, home)

    def of(self, hashes: "npt.NDArray[np.int64]", place: Partition) -> "npt.NDArray[np.int64]":
        """Return the home of each series, given the hash of its message key."""
        return hashes % self._counts.get(place[0], 1)

    def astray(self, hashes: "npt.NDArray[np.int64]", place: Partition) -> "npt.NDArray[np.bool_]":
        """Tell which series stand in a partition, `place`, that is not their home."""
        here = place[1] if place[0] in self._counts else 0
        away: npt.NDArray[np.bool_] = self.of(hashes, place) != here
        return away


def sent_again(message: RawMessage, key: str, partition: int) -> Outgoing:
    """Return a message as it is to be sent to its home."""
    stood = f"{message.topic()}/{message.partition()}/{message.offset()}"
    return Outgoing(
        str(message.topic()),
        key.encode(),
        message.value() or b"",
        partition,
        ((HEADER, stood.encode()),),
    )
