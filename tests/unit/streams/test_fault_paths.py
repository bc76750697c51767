"""When a fault counts as overcome: every path has carried what was sent after it."""

from dataclasses import replace

from schemas.base import Event
from schemas.inference import InferenceResponse
from schemas.observing import Observation
from streams.bench.faults_paths import Paths
from streams.bench.hearing import Heard
from tests.examples import example


def heard(event: Event, partition: int = 0) -> Heard:
    return Heard(event, "topic", partition, 0, 0)


def seen(metric: str, start: int, page: str = "page") -> Observation:
    event = example(Observation)
    return replace(event, instance=page, metric=metric, window_start=start, event_id=f"{start}")


def answer(created_at: int, status: str = "complete", page: str = "page") -> InferenceResponse:
    event = example(InferenceResponse)
    return replace(event, request_id=f"{page}/1", created_at=created_at, status=status)


def paths() -> Paths:
    made = Paths(("a", "b"))
    made.turn_to("page")
    return made


def test_every_series_and_every_partition_must_carry_again() -> None:
    made = paths()
    made.hear(heard(seen("a", 1_000)))
    made.hear(heard(seen("b", 999)))
    for partition in (0, 1, 3):
        made.hear(heard(answer(1_000), partition))
    made.hear(heard(answer(1_000, status="failed"), 2))
    made.hear(heard(answer(1_000, page="other"), 2))
    assert made.missing(1_000) == ["observations of b", "answers in partition 2"]
    made.hear(heard(seen("b", 2_000)))
    made.hear(heard(answer(1_500), 2))
    assert made.missing(1_000) == []


def test_an_observation_that_stands_in_kafka_twice_is_told() -> None:
    made = paths()
    for event in (seen("a", 1), seen("a", 2), seen("a", 2), seen("a", 1, page="other")):
        made.hear(heard(event))
    assert made.repeated() == {"2": 2}
    made.turn_to("next")
    assert made.repeated() == {}
