"""A topic counts as missing when it stays missing, not when one answer leaves it out."""

from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaException, TopicPartition

from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka.listing import believed
from workers.settings import KafkaSettings

SETTINGS = KafkaSettings(bootstrap="127.0.0.1:1")


@dataclass
class Told:
    """What a broker says of one topic; no partitions, where it says only what is wrong with it."""

    partitions: dict[int, None]


@dataclass
class Metadata:
    """One answer of a broker."""

    topics: dict[str, Told]


@dataclass
class Client:
    """A consumer whose broker gives one answer after the other, and then the last again."""

    answers: list[dict[str, int]]
    asked: int = 0
    assigned: list[TopicPartition] = field(default_factory=list)

    def list_topics(self, timeout: float) -> Metadata:
        assert timeout > 0
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return Metadata({name: Told(dict.fromkeys(range(n))) for name, n in answer.items()})

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions


class Silent(Client):
    """A consumer whose broker does not answer."""

    def list_topics(self, timeout: float) -> Metadata:
        raise KafkaException(f"timed out after {timeout} s")


@pytest.mark.parametrize("partial", [{}, {"a": 2}, {"a": 2, "b": 0}])
def test_a_topic_that_one_answer_leaves_out_is_asked_for_again(partial: dict[str, int]) -> None:
    client = Client([partial, partial, {"a": 2, "b": 1}])
    places = kafka.assign_all(client, SETTINGS, ["a", "b"])  # type: ignore[arg-type] # a fake
    assert places == {("a", 0), ("a", 1), ("b", 0)}
    assert {(p.topic, p.partition, p.offset) for p in client.assigned} == {(*p, 0) for p in places}
    assert client.asked == 3


def test_a_broker_that_does_not_answer_is_told_at_once() -> None:
    with pytest.raises(KafkaUnavailable, match="timed out"):
        kafka.assign_all(Silent([]), SETTINGS, ["a"])  # type: ignore[arg-type] # a fake


def test_a_topic_that_stays_missing_ends_the_asking() -> None:
    asked: list[None] = []

    def ask() -> dict[str, int]:
        asked.append(None)
        return {"a": 2}

    assert believed(ask, ["a", "b"], patience_s=0.25) == {"a": 2}
    assert len(asked) > 1


def test_what_needs_nothing_is_asked_once() -> None:
    client = Client([{}, {"a": 1}])
    assert believed(lambda: dict.fromkeys(client.list_topics(1.0).topics, 1), ()) == {}
    assert client.asked == 1


def test_the_error_names_what_is_missing() -> None:
    told = str(kafka.no_topic(SETTINGS, {"b", "a"}))
    assert "has no topic a, b; create it with `weir topics create`" in told
