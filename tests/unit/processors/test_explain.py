"""Why an error drifted: what the inputs did then, and what follows for training."""

from collections.abc import Sequence
from typing import Any

import pytest

from processors.shifting.explain import ExplainParams, spec
from schemas.base import Event
from schemas.observing import DriftDetected
from schemas.processing import Batch, Record
from schemas.topics import topic_of
from tests.contracts.scenarios.explain import START, drift, inputs, window

PATIENCE = ExplainParams().patience_ms


class Feeding:
    """An explain, and the clock of its host."""

    def __init__(self) -> None:
        self.processor: Any = spec().build(0)
        self._offset = 0

    def feed(self, *events: Event, now: int = 0) -> list[DriftDetected]:
        records = []
        for event in events:
            records.append(Record(event, topic_of(event), 0, self._offset, START))
            self._offset += 1
        told: Sequence[DriftDetected] = self.processor.process(Batch(tuple(records), START + now))
        return list(told)


@pytest.mark.parametrize(
    ("known", "cause", "retrain"),
    [
        ({}, "covariate", True),
        ({"cause": "sensor-stuck"}, "sensor-stuck", False),
        ({"since": START - 700_000}, "concept", True),
        ({"service": "large"}, "concept", True),
        ({"app": "faces"}, "concept", True),
    ],
)
def test_the_cause_is_what_the_inputs_did_then(
    known: dict[str, Any], cause: str, retrain: bool
) -> None:
    explain = Feeding()
    error = drift("error", START + 30_000, 2)
    told = explain.feed(window(START, 0), inputs(START + 20_000, 1, **known), error)
    told += explain.feed(now=PATIENCE)

    (one,) = told
    assert (one.status, one.cause, one.retrain) == ("explained", cause, retrain)
    assert one.causes[0] == error.event_id
    assert (len(one.causes) == 2) == (cause != "concept")
    assert ("image.mean" in [each.feature for each in one.features]) == (cause != "concept")
    assert (one.since, one.sources, one.events) == (error.since, error.sources, error.events)
    assert explain.processor.wake_at() is None


def test_it_waits_for_the_inputs_and_no_longer() -> None:
    explain = Feeding()
    error = drift("error", START + 30_000, 1)
    assert explain.feed(window(START, 0), error) == []
    assert explain.processor.wake_at() == START + PATIENCE
    (one,) = explain.feed(inputs(START + 50_000, 2), now=40_000)
    assert one.cause == "covariate"
    explain.feed(drift("error", START + 700_000, 3), now=50_000)
    assert explain.feed(now=50_000 + PATIENCE - 1) == []
    (other,) = explain.feed(now=50_000 + PATIENCE)
    assert other.event_id != one.event_id


def test_a_sensor_that_was_warned_of_suffices_unless_the_warning_came_to_nothing() -> None:
    for dismissed, cause in ((False, "sensor-nil"), (True, "concept")):
        explain = Feeding()
        warning = inputs(START + 20_000, 1, status="warning", cause="sensor-nil")
        explain.feed(window(START, 0), warning, drift("error", START + 30_000, 2))
        if dismissed:
            explain.feed(inputs(START, 3, status="dismissed", causes=(warning.event_id,)))
        (one,) = explain.feed(now=PATIENCE)
        assert (one.cause, one.retrain) == (cause, dismissed)


def test_without_summaries_of_inputs_the_cause_is_unknown() -> None:
    explain = Feeding()
    explain.feed(drift("error", START, 1), window(START, 2, "latency"))
    (one,) = explain.feed(now=PATIENCE)
    assert (one.cause, one.retrain, one.causes) == ("", True, ("error 1",))


@pytest.mark.parametrize(
    ("metric", "after", "shifted", "retrain"),
    [
        ("error", 0.05, True, False),
        ("accuracy", 0.05, False, True),
        ("accuracy", 0.5, True, False),
        ("accuracy.class.7", 0.05, False, True),
        ("confidence", 0.05, True, True),
        ("confidence", 0.05, False, False),
    ],
)
def test_training_is_advised_for_the_worse_alone(
    metric: str, after: float, shifted: bool, retrain: bool
) -> None:
    explain = Feeding()
    told = explain.feed(inputs(START, 0)) if shifted else []
    told += explain.feed(window(START, 1), drift(metric, START, 2, after=after))
    told += explain.feed(now=PATIENCE)
    assert [one.retrain for one in told] == [retrain]


def test_an_application_s_error_has_the_cause_of_any_of_its_services() -> None:
    explain = Feeding()
    explain.feed(inputs(START, 1, service="large", cause="sensor-range"))
    (one,) = explain.feed(drift("error", START, 2, service="", stage=""))
    assert (one.cause, one.retrain) == ("sensor-range", False)


def test_what_is_no_error_or_not_confirmed_is_not_explained() -> None:
    explain = Feeding()
    others = [
        drift("latency", START, 1),
        drift("error", START, 2, status="warning"),
        drift("error", START, 3, status="explained"),
        drift("outputs", START, 4),
    ]
    assert explain.feed(*others) == []
    assert explain.processor.wake_at() is None


def test_more_drifts_than_may_wait_are_explained_early() -> None:
    explain = Feeding()
    explain.processor = spec(ExplainParams(max_waiting=2)).build(0)
    told = explain.feed(*(drift("error", START, number) for number in range(3)))
    assert [one.causes for one in told] == [("error 0",)]
