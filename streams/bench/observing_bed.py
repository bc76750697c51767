"""Where `weir bench observe` runs: a broker, a registry, and weir.metrics filled with one load."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.codec import Codec
from schemas.observing import MetricReport, Observation
from schemas.registrations import WindowDefined
from schemas.topics import PARTITIONS
from streams.bench.observing_load import Load
from streams.embedded.choice import chosen
from streams.embedded.stack import Stack
from streams.entries import Entries
from streams.errors import StreamsError
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.kafka import ends as kafka_ends
from workers.kafka import reading as kafka_reading
from workers.kafka.member import Member
from workers.registry import Registry
from workers.settings import KafkaSettings, Settings
from workers.snapshots import keeping as snapshots

TOPIC, OUTPUT = "weir.metrics", "weir.observations"
PROCESSOR = "observe"
WINDOW = "bench"
LIMIT_MIB = 8_192
"""The embedded broker keeps everything in memory."""
FLUSH_S = 120.0


class NotFilled(StreamsError):
    """The broker did not take all events that were to be measured with."""


@dataclass(frozen=True, slots=True)
class Bed:
    """A broker that holds a load, and how to reach it."""

    settings: Settings
    codec: Codec
    load: Load
    folder: Path

    def define(self, size_ms: int) -> None:
        """Cut all series into windows of this size (ms), with half a second of lateness."""
        event = WindowDefined(
            event_id=f"{WINDOW}-{size_ms}",
            name=WINDOW,
            size_ms=size_ms,
            allowed_lateness_ms=500,
            registered_at=wall_ms(),
        )
        with Entries(self.settings) as entries:
            entries.send([event])

    def forget(self) -> None:
        """Let observe begin at the start again: no saved states, no committed offsets."""
        producer = kafka.producer(self.settings.kafka)
        for partition in range(PARTITIONS):
            key = snapshots.key_of(PROCESSOR, partition)
            producer.produce(snapshots.TOPIC, None, key)
        if producer.flush(FLUSH_S):
            raise NotFilled("the broker took no tombstones of saved states")
        owner = _Owner()
        member = Member(self.settings.kafka, f"weir-{PROCESSOR}", [TOPIC], owner)
        until = time.monotonic() + FLUSH_S
        while not owner.owns and time.monotonic() < until:
            member.poll(1, 0.1)
        done = member.commit({(TOPIC, partition): 0 for partition in range(PARTITIONS)})
        member.close()
        if not done:
            raise NotFilled(f"the broker did not take back the offsets of weir-{PROCESSOR}")

    def marks(self) -> dict[tuple[str, int], int]:
        """Return where weir.observations ends now."""
        places = [(OUTPUT, partition) for partition in range(PARTITIONS)]
        return {place: end.high for place, end in kafka_ends.ends(self._kafka, places).items()}

    def counted(self, since: dict[tuple[str, int], int]) -> tuple[int, int]:
        """Return how many events the final observations count, late ones too, and how many."""
        ranges = {place: (since[place], end) for place, end in self.marks().items()}
        events = windows = 0
        for messages in kafka_reading.read_ranges(self._kafka, ranges):
            for message in messages:
                seen = self.codec.decode(message.value() or b"", Observation)
                if seen.final:
                    events += seen.count + seen.late_count
                    windows += 1
        return events, windows

    @property
    def _kafka(self) -> KafkaSettings:
        return self.settings.kafka


class _Owner:
    """The owner of a member that takes all partitions only to set its offsets."""

    def __init__(self) -> None:
        self.owns = False

    def assigned(self) -> None:
        """Note that offsets can be committed."""
        self.owns = True

    def revoked(self) -> None:
        """Do nothing."""

    def lost(self) -> None:
        """Do nothing."""


@contextmanager
def bed(settings: Settings, broker: str, load: Load, folder: Path) -> Iterator[Bed]:
    """Start a broker and a registry, fill weir.metrics, and stop them at the end.

    Raises StackError, NotFilled, KafkaUnavailable, RegistryUnavailable.
    """
    own = settings.model_copy(update={"data_dir": folder})
    cluster = chosen(own, broker, limit_mib=LIMIT_MIB)
    with Stack(own, apps=(), broker=cluster) as stack:
        registry = Registry(stack.settings.registry)
        try:
            _fill(stack.settings.kafka, load, registry.register_all()[MetricReport])
            yield Bed(stack.settings, registry.codec(), load, folder)
            stack.check()
        finally:
            registry.close()


def _fill(settings: KafkaSettings, load: Load, schema_id: int) -> None:
    producer = kafka.producer(
        settings,
        linger_ms=50,
        batch_size=262_144,
        queue_buffering_max_messages=500_000,
        delivery_report_only_error=True,
    )
    lost: list[str] = []

    def told(error: object, _: object) -> None:
        lost.append(str(error))

    for number, message in enumerate(load.messages(schema_id)):
        while True:
            try:
                producer.produce(
                    TOPIC,
                    message.value,
                    message.key,
                    message.partition,
                    on_delivery=told,
                    timestamp=message.timestamp,
                )
                break
            except BufferError:
                producer.poll(0.05)
        if number % 10_000 == 0:
            producer.poll(0)
    if producer.flush(FLUSH_S) or lost:
        raise NotFilled(f"the broker did not take all events: {lost[:1] or 'no answer'}")
    time.sleep(1.0)  # the broker writes on for a moment
