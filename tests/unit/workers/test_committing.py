"""What a host without transactions owes: offsets after acknowledgements, and nobody waits."""

from collections.abc import Mapping
from typing import Any, cast

from confluent_kafka import KafkaError, TopicPartition

from schemas.processing import Partition
from tests.hosts.samples import EPOCH, tally
from workers.hosting.commit import AsTheyCome
from workers.hosting.work import Work
from workers.kafka.member import Member as KafkaMember
from workers.kafka.sending import Outgoing, Wave
from workers.local import local_codec
from workers.settings import KafkaSettings, Settings

PLACE: Partition = ("weir.observations", 0)
NOWHERE = Settings(kafka=KafkaSettings(bootstrap="127.0.0.1:1"))


class Member:
    """Notes what it is to commit."""

    def __init__(self) -> None:
        self.later: list[Mapping[Partition, int]] = []
        self.at_once: list[Mapping[Partition, int]] = []

    def commit_later(self, offsets: Mapping[Partition, int]) -> None:
        self.later.append(offsets)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self.at_once.append(offsets)


class Bed:
    """A committer whose broker answers nobody, and work whose offsets are set by hand."""

    def __init__(self) -> None:
        self.committer = AsTheyCome(tally(), NOWHERE, local_codec(), lambda: False)
        self.work = Work(tally(), local_codec(), "cluster", 0.5, {})
        self.work.offsets = lambda: {PLACE: self.offset}  # type: ignore[method-assign]
        self.offset = 0
        self.member = Member()

    def commit(self, offset: int, *outputs: Outgoing) -> None:
        self.offset = offset
        self.work.held = list(outputs)
        self.committer.commit(self.work, cast(Any, self.member), EPOCH)

    def tend(self) -> list[Mapping[Partition, int]]:
        self.committer.tend(cast(Any, self.member))
        return self.member.later


OUTPUT = Outgoing("weir.quality", b"key", b"value")


def test_offsets_wait_for_the_outputs_before_them_alone() -> None:
    bed = Bed()
    bed.commit(5)
    bed.commit(7, OUTPUT)
    bed.commit(9)

    assert bed.tend() == [{PLACE: 5}]
    assert bed.tend() == [{PLACE: 5}]


def test_what_is_acknowledged_is_committed_together() -> None:
    bed = Bed()
    bed.commit(5)
    bed.commit(7)

    assert bed.tend() == [{PLACE: 7}]


def test_nothing_is_committed_of_partitions_that_have_gone() -> None:
    bed = Bed()
    bed.commit(5)
    bed.committer.recover()

    assert bed.tend() == []


def test_who_leaves_commits_what_is_owed_and_what_came_since() -> None:
    bed = Bed()
    bed.commit(5)
    bed.work.offsets = lambda: {("weir.observations", 1): 3}  # type: ignore[method-assign]
    bed.committer.finish(bed.work, cast(Any, bed.member), EPOCH)

    assert bed.member.at_once == [{PLACE: 5, ("weir.observations", 1): 3}]
    assert bed.tend() == []


def test_a_wave_counts_what_failed_as_settled_and_says_so() -> None:
    failed: list[object] = []
    wave = Wave(lambda error, _: failed.append(error))
    wave.left = 2
    wave.delivered(None, cast(Any, object()))
    wave.delivered(cast(Any, "gone"), cast(Any, object()))

    assert (wave.left, failed) == (0, ["gone"])


def test_offsets_that_were_refused_are_committed_with_the_next() -> None:
    member = KafkaMember(NOWHERE.kafka, "weir-tally", ["weir.observations"], cast(Any, None))
    refused = KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    told = [TopicPartition("weir.observations", p, offset) for p, offset in ((0, 5), (1, 3))]
    member._heard(refused, told)
    member._heard(None, [TopicPartition("weir.observations", 0, 7)])
    places = member._commitable({("weir.observations", 2): 1})
    member.close()

    assert {place.partition: place.offset for place in places} == {1: 3, 2: 1}
