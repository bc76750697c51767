"""A transaction that Kafka does not finish: what was left half way is settled before going on."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from workers.errors import Aborted, HostStopped, KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka.sending import Outgoing, Transactions
from workers.settings import KafkaSettings

SLOW = KafkaError(KafkaError._TIMED_OUT, retriable=True)
SETTINGS = KafkaSettings(transaction_timeout_ms=1_000)


class FakeProducer:
    """Fails the calls that it is told to; like librdkafka it begins nothing while it is busy."""

    def __init__(self) -> None:
        self.failing: dict[str, KafkaError] = {}
        self.done: list[str] = []
        self._busy = False

    def begin_transaction(self) -> None:
        if self._busy:
            raise KafkaException(KafkaError(KafkaError._CONFLICT))
        self._call("begin")

    def produce(self, topic: str, *_: Any, **__: Any) -> None:
        self._call(topic)

    def flush(self, _: float) -> int:
        self._call("flush")
        return 0

    def send_offsets_to_transaction(self, *_: Any) -> None:
        self._call("offsets")

    def commit_transaction(self, _: float) -> None:
        self._call("commit")

    def abort_transaction(self, _: float) -> None:
        self._busy = "abort" in self.failing
        self._call("abort")

    def _call(self, name: str) -> None:
        if name in self.failing:
            raise KafkaException(self.failing[name])
        self.done.append(name)


def transactions(
    monkeypatch: pytest.MonkeyPatch,
    made: list[FakeProducer],
    stalled: Callable[[], bool],
    settings: KafkaSettings = SETTINGS,
) -> Transactions:
    def produce(*_: Any, **__: Any) -> FakeProducer:
        made.append(FakeProducer())
        return made[-1]

    monkeypatch.setattr(kafka, "transactional_producer", produce)
    return Transactions(settings, "id", stalled)


def commit(sending: Transactions) -> None:
    sending.commit([], [], {}, None)


def test_what_was_given_up_is_settled_by_a_new_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeProducer] = []
    sending = transactions(monkeypatch, made, lambda: False)
    made[0].failing = {"commit": SLOW, "abort": SLOW}
    with pytest.raises(Aborted, match="did not answer"):
        commit(sending)
    with pytest.raises(HostStopped):  # the client is half way: nothing can begin
        commit(sending)
    sending.recover()
    commit(sending)
    assert len(made) == 2
    assert made[1].done == ["begin", "offsets", "commit"]
    sending.recover()
    assert len(made) == 2


def test_what_could_be_aborted_needs_no_new_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeProducer] = []
    sending = transactions(monkeypatch, made, lambda: False)
    made[0].failing = {"commit": SLOW}
    with pytest.raises(Aborted):
        commit(sending)
    made[0].failing = {}
    sending.recover()
    commit(sending)
    assert len(made) == 1


def test_no_transaction_is_waited_for_longer_than_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[FakeProducer] = []
    sending = transactions(monkeypatch, made, lambda: True)
    made[0].failing = {"offsets": SLOW}
    began = time.monotonic()
    with pytest.raises(Aborted):
        commit(sending)
    assert 1 <= time.monotonic() - began < 5


def test_while_kafka_is_away_nothing_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeProducer] = []
    sending = transactions(monkeypatch, made, lambda: False)
    made[0].failing = {"commit": SLOW, "abort": SLOW}
    with pytest.raises(Aborted):
        commit(sending)

    def away(*_: Any, **__: Any) -> FakeProducer:
        raise KafkaUnavailable("no broker")

    monkeypatch.setattr(kafka, "transactional_producer", away)
    with pytest.raises(Aborted, match="no broker"):
        sending.recover()


@pytest.mark.parametrize(
    ("isolation", "order"),
    [
        ("read_committed", "begin output state offsets commit"),
        ("read_uncommitted", "begin output flush state offsets commit"),
    ],
)
def test_states_wait_for_outputs_where_aborted_records_are_seen(
    monkeypatch: pytest.MonkeyPatch, isolation: str, order: str
) -> None:
    made: list[FakeProducer] = []
    settings = SETTINGS.model_copy(update={"isolation": isolation})
    sending = transactions(monkeypatch, made, lambda: False, settings)
    sending.commit([Outgoing("output", b"", b"")], [Outgoing("state", b"", b"")], {}, None)
    assert made[0].done == order.split()
