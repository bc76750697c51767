"""A producer that outlives fatal errors, over a client that breaks when it is told to."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from workers.kafka import clients as kafka
from workers.kafka.steady import SteadyProducer
from workers.settings import KafkaSettings

FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "skipped sequence numbers", fatal=True)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")


class Client:
    """Takes messages until it breaks; purged ones are told as undelivered by `flush`."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Callable[[Any, Any], None]]] = []
        self.error: KafkaError | None = None
        self.purged = False
        self.asked: list[float] = []

    def list_topics(self, *, timeout: float) -> None:
        self.asked.append(timeout)

    def produce(self, _: str, value: bytes, *, on_delivery: Callable[[Any, Any], None]) -> None:
        if self.error is not None:
            raise KafkaException(self.error)
        self.held.append((value, on_delivery))

    def purge(self) -> None:
        self.purged = True

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        for _value, told in self.held:
            told(FATAL if self.purged else None, None)
        self.held.clear()
        return 0


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    made: list[Client] = []

    def connect(*_: Any, **__: Any) -> Client:
        made.append(Client())
        return made[-1]

    monkeypatch.setattr(kafka, "producer", connect)
    return made


def test_it_goes_on_after_a_fatal_error_and_tells_what_was_not_delivered(
    clients: list[Client],
) -> None:
    producer = SteadyProducer(KafkaSettings())
    told: list[tuple[int, bool]] = []
    for number in range(3):
        if number == 2:
            clients[0].error = FATAL
        producer.produce(
            "t", b"%d" % number, on_delivery=lambda e, _, n=number: told.append((n, e is None))
        )
    assert told == [(0, False), (1, False)]
    producer.flush(1.0)
    assert told == [(0, False), (1, False), (2, True)]
    assert len(clients) == 2


def test_what_no_producer_takes_is_raised(clients: list[Client]) -> None:
    producer = SteadyProducer(KafkaSettings())
    clients[0].error = TOO_LARGE
    with pytest.raises(kafka.ClientError):
        producer.produce("t", b"", on_delivery=lambda *_: None)
    assert len(clients) == 1


def test_a_producer_asks_its_cluster_before_it_is_used(clients: list[Client]) -> None:
    SteadyProducer(KafkaSettings()).meet(0.5)
    assert clients[0].asked == [0.5]


def test_meeting_a_cluster_that_is_away_is_no_error() -> None:
    SteadyProducer(KafkaSettings(bootstrap="127.0.0.1:1")).meet(0.05)
