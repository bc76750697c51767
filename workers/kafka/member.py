"""A member of a consumer group, behind the door to Kafka: who owns what, from where it is read.

Its owner is told of assignments and revocations while it polls, and says from where to read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from workers.errors import KafkaUnavailable, WorkerError
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings
from workers.telemetry import logger

Partition = tuple[str, int]
CALL_S = 15.0

log = logger(__name__)


class Owner(Protocol):
    """What a member's owner does when partitions come and go, always within a poll."""

    def assigned(self) -> None:
        """Note that partitions came; `Member.read_from` must say where to read them."""
        ...

    def revoked(self) -> None:
        """Finish what is under way and let all partitions go."""
        ...

    def lost(self) -> None:
        """Forget all partitions: others own them already."""
        ...


class Member:
    """A consumer of whole topics in a group; all partitions come and go together.

    `fetch_wait_ms` is the longest wait of a fetch for as much data as the settings say, or, of one
    that is `gathering`, as a batch needs; without it a fetch waits for the first record, and as
    long as they say.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        owner: Owner,
        fetch_wait_ms: int = 0,
        *,
        gathering: bool = False,
    ) -> None:
        self._settings = settings
        self._owner = owner
        self.generation: Any = None
        """Proof of membership as of the last assignment; a commit with an old one is refused.

        It is kept, not asked for when committing: what a client that was expelled meanwhile says
        of itself may be nothing, and transactions without a generation are taken from anybody.
        """
        self._ends: dict[Partition, int] = {}
        self._closing = False
        self._failed: Exception | None = None
        self._refused: dict[Partition, int] = {}
        fetches: dict[str, int] = {}
        if fetch_wait_ms:
            fetches = kafka.patient(settings, fetch_wait_ms, gathering=gathering)
        self.consumer = kafka.consumer(
            settings, group, enable_partition_eof=True, on_commit=self._heard, **fetches
        )
        self.consumer.subscribe(
            list(topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )

    def poll(self, most: int, wait_s: float, gather_s: float = 0.0) -> list[Message]:
        """Wait for a first message, then gather up to `most` for `gather_s`.

        Rebalances are served in here. Raises KafkaUnavailable for errors that do not pass.
        """
        found = kafka.drain(self.consumer, most, wait_s, gather_s)
        self._raise()
        return self._good(found)

    def _good(self, found: list[Message]) -> list[Message]:
        if not any(map(Message.error, found)):
            return found
        for message in found:
            if message.error() is None:
                continue
            kafka.check_alive(self._settings, message)
            if kafka.is_eof(message):
                self._ends[kafka.place_of(message)] = int(message.offset() or 0)
        return [message for message in found if message.error() is None]

    @property
    def at_end(self) -> set[Partition]:
        """Partitions that were read to their ends since `read_from`, and hide nothing.

        An open transaction hides what follows in its partition, others' records too, until it is
        committed, aborted or expired: silence there says nothing.
        """
        return {place for place, end in self._ends.items() if not self._hides(place, end)}

    def _hides(self, place: Partition, end: int) -> bool:
        if self._high(place) <= end:
            return False
        (reached,) = self.consumer.position([TopicPartition(*place)])
        return int(reached.offset) <= end

    def _high(self, place: Partition) -> int:
        """Return the end of the log, transactions that are open included, as last fetched."""
        return int(self.consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1])

    def keep_alive(self, wait_s: float) -> None:
        """Stay in the group while nothing can be taken: pause all partitions and poll.

        The owner calls `read_from` before it polls again.
        """
        self.consumer.pause(self.consumer.assignment())
        self.consumer.poll(wait_s)
        self._raise()

    def owned(self) -> set[Partition]:
        """Return the partitions that are assigned now."""
        return {(place.topic, place.partition) for place in self.consumer.assignment()}

    def read_from(self, starts: Mapping[Partition, int]) -> None:
        """Read the assigned partitions from these offsets; what was fetched is dropped."""
        places = [TopicPartition(*place, at) for place, at in starts.items()]
        self._ends.clear()
        self.consumer.assign(places)
        self.consumer.resume(places)

    def committed(self, places: Iterable[Partition]) -> dict[Partition, int]:
        """Return the committed offset per partition, 0 where there is none.

        Raises KafkaUnavailable.
        """
        asked = [TopicPartition(*place) for place in places]
        try:
            found = self.consumer.committed(asked, timeout=CALL_S) if asked else []
        except KafkaException as error:
            raise kafka.unavailable(self._settings, error) from error
        for place in found:
            if place.error is not None:
                raise KafkaUnavailable(f"Kafka at {self._settings.bootstrap}: {place.error}")
        return {(place.topic, place.partition): max(place.offset, 0) for place in found}

    def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit offsets outside of a transaction, with those that were refused before, and wait.

        False when it failed: whoever reads on from the old offsets does the work again.
        """
        places = self._commitable(offsets)
        try:
            self.consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            log.warning("offsets.not_committed", reason=str(error))
            return False
        return True

    def commit_later(self, offsets: Mapping[Partition, int]) -> None:
        """Commit as `commit` does without waiting; what fails is committed with what comes next."""
        places = self._commitable(offsets)
        try:
            self.consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            self._heard(error.args[0], places)

    def _commitable(self, offsets: Mapping[Partition, int]) -> list[TopicPartition]:
        both = {**self._refused, **offsets}
        return [TopicPartition(*place, offset) for place, offset in both.items()]

    def _heard(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """Note how a commit ended that nobody waited for: in the order in which they were sent."""
        if error is not None:
            log.warning("offsets.not_committed", reason=str(error))
        for place in places:
            key = (place.topic, place.partition)
            if error is None and place.error is None:
                self._refused.pop(key, None)
            else:
                self._refused[key] = place.offset

    def lag(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return how many offsets each partition is ahead, by the watermarks last fetched.

        Marks of transactions that were passed do not count; they follow every last record.
        """
        ahead = {}
        for place, position in positions.items():
            passed = max(position, self._ends.get(place, 0))
            ahead[place] = max(0, self._high(place) - passed)
        return ahead

    def close(self) -> None:
        """Leave the group; the owner's `revoked` is called before. Raises what it raises."""
        self._closing = True
        self.consumer.close()
        self._raise()

    def _raise(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def _serve(self, call: Callable[[], None]) -> None:
        """Keep what a callback raises until the client has returned, which may not carry it."""
        try:
            call()
        except (WorkerError, KafkaException, RuntimeError) as error:
            self._failed = error

    def _assign(self, _: Consumer, places: list[TopicPartition]) -> None:
        """Take what is assigned, but for an assignment that comes while leaving."""
        if not self._closing:
            self._serve(lambda: self._take(places))

    def _take(self, places: list[TopicPartition]) -> None:
        self.consumer.assign(places)
        self._refused.clear()
        self.generation = self.consumer.consumer_group_metadata()
        self._owner.assigned()

    def _revoke(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._serve(self._owner.revoked)

    def _lose(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._serve(self._owner.lost)
