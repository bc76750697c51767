"""What a worker sends, over a client that acknowledges what it is told to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.base import Event
from schemas.codec import Codec
from schemas.observing import MetricReport
from workers.edge.spool import Spool
from workers.edge.store import Store
from workers.kafka import clients as kafka
from workers.kafka import outbox as kafka_outbox
from workers.kafka.outbox import REFUSED, WINDOW, Outbox
from workers.local import local_codec
from workers.settings import KafkaSettings

CODEC = local_codec()
AWAY = KafkaError(KafkaError._ALL_BROKERS_DOWN, "away")
FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "skipped sequence numbers", fatal=True)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")


class Client:
    """Holds messages until it is told to acknowledge them; purged ones are told as undelivered."""

    def __init__(self) -> None:
        self.held: list[tuple[float, Callable[[Any, Any], None]]] = []
        self.taken: list[float] = []
        self.error: KafkaError | None = None
        self.room = 100_000
        self.acknowledges = False

    def produce(self, _: str, value: bytes, *, on_delivery: Any, **_key: str) -> None:
        if self.error is not None:
            raise KafkaException(self.error)
        if len(self.held) >= self.room:
            raise BufferError
        event = CODEC.decode(value, MetricReport)
        self.held.append((event.value, on_delivery))

    def purge(self) -> None:
        self.error = AWAY

    def poll(self, _: float) -> int:
        return self.deliver() if self.acknowledges else 0

    def flush(self, _: float) -> int:
        if self.error is not None:
            self.deliver(self.error)
        return self.poll(0)

    def deliver(self, error: KafkaError | None = None) -> int:
        held, self.held = self.held, []
        for value, told in held:
            if error is None:
                self.taken.append(value)
            told(error, None)
        return len(held)


class World:
    """An outbox, the clients that it made, and which offsets are done."""

    def __init__(self, path: Path | None, most: int = 1_048_576) -> None:
        self.spool = Spool(Store(path), most)
        self.done: list[int] = []
        self.outbox = Outbox(KafkaSettings(), self.spool, self.done.append)

    def send(self, *numbers: int, offset: bool = False, safe: bool = False) -> None:
        for number in numbers:
            self.outbox.send(metric(number), number if offset else None, safe=safe)
        self.outbox.settle()


def metric(number: int) -> MetricReport:
    return MetricReport(app="shop", metric="load", value=float(number), event_time=1_000 + number)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    made: list[Client] = []

    def connect(*_: Any, **__: Any) -> Client:
        made.append(Client())
        return made[-1]

    monkeypatch.setattr(kafka, "producer", connect)
    monkeypatch.setattr(kafka_outbox, "SLICE_S", 10.0)
    return made


def floats(*numbers: int) -> list[float]:
    return [float(number) for number in numbers]


def test_connected_it_sends_at_once_and_writes_nothing(clients: list[Client]) -> None:
    world = World(None)
    world.outbox.connect(CODEC)
    world.send(1, 2, offset=True)
    assert (len(world.spool), world.done) == (0, [])
    clients[0].deliver()
    assert (clients[0].taken, world.done, world.outbox.heard) == ([1.0, 2.0], [1, 2], True)


def test_what_was_not_acknowledged_goes_first_when_it_is_back(clients: list[Client]) -> None:
    world = World(None)
    world.outbox.connect(CODEC)
    world.send(1, offset=True)
    clients[0].deliver()
    world.send(2, 3, offset=True)
    world.outbox.disconnect()
    world.send(4, 5, offset=True)
    world.outbox.tell(metric(99))
    assert (len(world.spool), world.done) == (4, [1])
    world.outbox.connect(CODEC)
    world.outbox.poll()
    world.send(6, offset=True)
    clients[1].deliver()
    world.outbox.poll()
    assert clients[1].taken == floats(2, 3, 4, 5, 6)
    assert (sorted(world.done), len(world.spool)) == ([1, 2, 3, 4, 5, 6], 0)
    world.send(7)
    assert len(world.spool) == 0, "what has caught up goes straight again"


def test_taken_away_while_it_catches_up_it_begins_again_where_it_was(
    clients: list[Client],
) -> None:
    world = World(None)
    world.send(*range(10))
    world.outbox.connect(CODEC)
    world.outbox.poll()
    half, clients[0].held = clients[0].held[:4], clients[0].held[4:]
    for _value, told in half:
        told(None, None)
    world.outbox.disconnect()
    world.outbox.connect(CODEC)
    world.outbox.poll()
    clients[1].deliver()
    world.outbox.poll()
    assert (clients[1].taken[-6:], len(world.spool)) == (floats(4, 5, 6, 7, 8, 9), 0)


def test_only_so_many_of_the_spool_are_under_way(clients: list[Client]) -> None:
    world = World(None)
    world.send(*range(WINDOW + 100))
    world.outbox.connect(CODEC)
    while len(clients[0].held) < WINDOW:
        world.outbox.poll()
    world.outbox.poll()
    assert len(clients[0].held) == WINDOW
    clients[0].acknowledges = True
    assert world.outbox.flush(10)
    assert clients[0].taken == floats(*range(WINDOW + 100))


def test_safe_events_are_on_disk_first_and_sent_at_once(
    clients: list[Client], tmp_path: Path
) -> None:
    world = World(tmp_path / "a")
    world.outbox.connect(CODEC)
    world.send(1, safe=True)
    assert len(clients[0].held) == 1
    assert len(Spool(Store(tmp_path / "a"), 10**6)) == 1, "as another process would see it"
    clients[0].deliver()
    world.outbox.poll()
    assert len(Spool(Store(tmp_path / "a"), 10**6)) == 0


def test_a_process_that_ends_leaves_the_rest_to_the_next(
    clients: list[Client], tmp_path: Path
) -> None:
    world = World(tmp_path / "a")
    world.outbox.connect(CODEC)
    world.send(1, 2)
    assert not world.outbox.flush(0.05)
    world.outbox.disconnect()
    following = World(tmp_path / "a")
    following.outbox.connect(CODEC)
    clients[1].acknowledges = True
    assert following.outbox.flush(5)
    assert clients[1].taken == [1.0, 2.0]


@pytest.mark.parametrize("error", [AWAY, FATAL])
def test_what_fails_gives_the_connection_up_and_is_sent_again(
    clients: list[Client], error: KafkaError
) -> None:
    world = World(None)
    world.outbox.connect(CODEC)
    world.send(1, offset=True)
    clients[0].deliver(error)
    assert world.outbox.stalled == str(error)
    world.send(2, offset=True)
    world.outbox.disconnect()
    world.outbox.connect(CODEC)
    assert world.outbox.stalled is None
    world.outbox.poll()
    clients[1].deliver()
    assert clients[1].taken == [1.0, 2.0]


def test_silence_gives_the_connection_up(
    clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(None)
    world.outbox.connect(CODEC)
    world.outbox.tell(metric(1))
    assert world.outbox.stalled is None
    monkeypatch.setattr(kafka_outbox, "PATIENCE_S", 0.0)
    assert "acknowledged nothing" in (world.outbox.stalled or "")
    clients[0].deliver()
    assert world.outbox.stalled is None
    assert len(world.spool) == 0, "what is said again is kept by nobody"


def test_what_no_broker_takes_is_counted_and_holds_nobody_up(clients: list[Client]) -> None:
    world = World(None)
    world.send(1, 2, offset=True)
    world.outbox.connect(CODEC)
    world.outbox.poll()
    world.send(3, offset=True)
    clients[0].deliver(TOO_LARGE)
    world.outbox.poll()
    (lost,) = world.outbox.untold()
    assert (lost.record, lost.reason, lost.number) == ("MetricReport", REFUSED, 3)
    assert (world.done, len(world.spool), world.outbox.stalled) == ([1, 2, 3], 0, None)
    world.outbox.told(lost)
    assert world.outbox.untold() == []


def test_a_full_queue_of_the_client_is_no_reason_to_wait(clients: list[Client]) -> None:
    world = World(None)
    world.outbox.connect(CODEC)
    clients[0].room = 1
    world.send(1, 2)
    assert "cannot be sent" in (world.outbox.stalled or "")
    world.outbox.disconnect()
    assert len(world.spool) == 2


def test_what_the_full_spool_gives_up_is_done_and_counted(clients: list[Client]) -> None:
    world = World(None, most=400)
    world.send(*range(20), offset=True)
    kept = len(world.spool)
    assert 0 < kept < 20
    assert world.done == list(range(20 - kept))
    assert world.outbox.untold()[0].number == 20 - kept


def test_a_disk_that_fails_leaves_the_broker(clients: list[Client]) -> None:
    world = World(None)
    world.outbox.connect(CODEC)
    world.spool._store.close()
    world.send(1, safe=True, offset=True)
    assert [value for value, _ in clients[0].held] == [1.0]
    clients[0].deliver()
    assert world.done == [1]
    assert world.outbox.untold() == []


def test_an_event_that_is_not_registered_is_no_reason_to_end(clients: list[Client]) -> None:
    world = World(None)
    world.outbox.connect(Codec({}, str))
    world.send(1)
    assert "not registered" in (world.outbox.stalled or "")
    unsent: list[Event] = [entry.packed.event() for entry in world.spool.oldest(5)]
    assert unsent == [metric(1)]
