"""What grows together, and what does not grow."""

import pytest

from schemas.errors import UnknownContract
from schemas.topics import TOPICS
from streams.topics.growing import planned
from workers.errors import RecoveryRefused

COUNTS = {topic.name: topic.partitions for topic in TOPICS.values()}


def test_joined_topics_grow_together() -> None:
    growth = planned(["weir.labels"], 8, COUNTS)
    requests = ["weir.labels", "weir.requests", "weir.responses", "weir.results"]
    assert list(growth.before) == requests
    assert [spec.name for spec in growth.readers] == ["derive", "shift", "route"]
    assert growth.needed
    assert not planned(["weir.labels"], 4, COUNTS).needed


def test_every_reader_of_a_topic_is_stopped() -> None:
    assert [s.name for s in planned(["weir.metrics"], 8, COUNTS).readers] == ["observe", "drift"]
    readers = {s.name for s in planned(["weir.drifts"], 8, COUNTS).readers}
    control = {"diagnose", "select", "remedy", "scale", "canary"}
    assert readers == {"explain", "quality", "anomaly", "contract"} | control


def test_a_growth_that_was_interrupted_is_still_needed() -> None:
    half = COUNTS | {"weir.labels": 8}
    assert planned(["weir.results"], 8, half).needed


def test_what_cannot_grow_says_why() -> None:
    for names, count, counts, why in (
        (["weir.control"], 8, COUNTS, "one partition for good"),
        (["weir.metrics"], 3, COUNTS, "has 4 partitions: they cannot be taken away"),
        (["weir.metrics"], 8, {}, "no topic weir.metrics; `weir topics create`"),
    ):
        with pytest.raises(RecoveryRefused, match=why):
            planned(names, count, counts)
    with pytest.raises(UnknownContract):
        planned(["weir.nothing"], 8, COUNTS)
