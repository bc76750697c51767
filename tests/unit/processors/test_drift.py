"""Drift: when it is told, when it is not, and what is said of it."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from processors.drifting import drift
from processors.drifting.drift import Detect, DriftParams, DriftState
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.columns import metrics
from schemas.decisions import ActionTaken
from schemas.observing import DriftDetected
from schemas.processing import Columns, Output
from schemas.registrations import MetricDefined

START = 1_700_000_000_000
STEP_MS = 25


def bernoulli(seed: int, *parts: tuple[int, float]) -> npt.NDArray[np.float64]:
    dice = np.random.default_rng(seed)
    shares = np.concatenate([np.full(count, share) for count, share in parts])
    return (dice.random(len(shares)) < shares).astype(np.float64)


def columns(
    values: npt.NDArray[np.float64],
    first: int = 0,
    metric: str = "error",
    service: str = "small",
    catalogue: Catalogue | None = None,
) -> Columns:
    count = len(values)
    offsets = pl.Series(range(first, first + count), dtype=pl.Int64)
    frame = pl.DataFrame(
        {
            "event_time": START + offsets * STEP_MS,
            "app": ["digits"] * count,
            "stage": ["classify" if service else ""] * count,
            "service": [service] * count,
            "instance": [""] * count,
            "node": [""] * count,
            "metric": [metric] * count,
            "value": values,
            "unit": [""] * count,
            "_offset": offsets,
        }
    )
    lean, series = metrics(frame)
    return Columns(lean, "weir.metrics", 1, START, catalogue or Catalogue(), series)


def drifts(outputs: object) -> list[DriftDetected]:
    assert isinstance(outputs, list)
    seen = [event for event in outputs if isinstance(event, DriftDetected)]
    return [event for event in seen if event.status == "confirmed"]


def detect(values: npt.NDArray[np.float64]) -> list[DriftDetected]:
    return drifts(Detect(DriftParams()).process(columns(values)))


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_no_drift_is_told_of_a_steady_error_rate(share: float) -> None:
    alarms = {seed: detect(bernoulli(seed, (5_000, share))) for seed in range(20)}

    assert {seed: told for seed, told in alarms.items() if told} == {}


def test_a_jump_of_the_error_rate_is_told_once_and_soon() -> None:
    delays, cuts, kinds = [], [], Counter[str]()
    for seed in range(30):
        (one,) = detect(bernoulli(seed, (1_000, 0.05), (600, 0.35)))
        delays.append((one.detected_at - START) // STEP_MS - 999)
        cuts.append((one.since - START) // STEP_MS - 1_000)
        kinds[one.kind] += 1
        assert one.before == pytest.approx(0.05, abs=0.03)
        assert one.after > one.before + 0.1
        assert one.degree > 0.7

    assert max(delays) < 150
    assert np.mean(delays) < 100
    assert abs(float(np.median(cuts))) <= 8
    assert kinds["sudden"] >= 27


def test_the_events_of_the_new_concept_are_named() -> None:
    (one,) = detect(bernoulli(3, (800, 0.05), (300, 0.6)))

    (source,) = one.sources
    assert source.series == "digits/classify/small///error"
    assert abs(source.first - 800) <= 16
    assert source.last == (one.detected_at - START) // STEP_MS
    assert one.since == START + source.first * STEP_MS
    assert (one.status, one.detector, one.cause_class) == ("confirmed", "adwin", "error")


def test_one_noisy_stretch_is_no_drift() -> None:
    told = [detect(bernoulli(s, (1_000, 0.05), (12, 1.0), (1_000, 0.05))) for s in range(10)]

    assert sum(len(one) for one in told) == 0


def test_a_concept_that_comes_back_is_recurring() -> None:
    kinds = Counter[tuple[str, ...]]()
    for seed in range(10):
        parts = ((1_000, 0.05), (1_000, 0.5), (1_000, 0.05))
        kinds[tuple(one.kind for one in detect(bernoulli(seed, *parts)))] += 1

    assert kinds["sudden", "recurring"] >= 8


def test_a_slow_climb_is_gradual_more_often_than_not() -> None:
    kinds = Counter[str]()
    for seed in range(30):
        dice = np.random.default_rng(seed)
        shares = np.concatenate([np.full(1_000, 0.05), np.linspace(0.05, 0.5, 1_500)])
        told = detect((dice.random(2_500) < shares).astype(np.float64))
        assert 1 <= len(told) <= 2
        kinds[told[0].kind] += 1

    assert kinds["gradual"] > kinds["sudden"]


def test_only_watched_metrics_and_levels_are_watched() -> None:
    jump = bernoulli(1, (600, 0.0), (300, 1.0))

    assert drifts(Detect(DriftParams()).process(columns(jump, metric="latency"))) == []
    services = DriftParams(levels=("service",))
    assert drifts(Detect(services).process(columns(jump, service=""))) == []
    assert drifts(Detect(services).process(columns(jump))) != []


def test_other_metrics_are_brought_to_the_range_that_is_defined_for_them() -> None:
    load = MetricDefined(
        name="load",
        metric="load",
        unit="%",
        low=0.0,
        high=100.0,
        description="",
        registered_at=START,
        event_id="load",
    )
    dice = np.random.default_rng(5)
    values = np.concatenate([dice.normal(30, 5, 800), dice.normal(45, 5, 400)])
    world = Catalogue({MetricDefined: {"load": load}})
    watching = Detect(DriftParams(metrics=("load",)))

    (one,) = drifts(watching.process(columns(values, metric="load", catalogue=world)))

    assert one.before == pytest.approx(30, abs=1)
    assert one.after == pytest.approx(45, abs=2)
    assert one.cause_class == "metric"


def test_a_series_that_was_silent_for_long_starts_afresh() -> None:
    params = DriftParams(stale_ms=60_000)
    steady, other = bernoulli(1, (800, 0.05)), bernoulli(2, (800, 0.6))
    apart = 800 + params.stale_ms // STEP_MS + 10

    detector = Detect(params)
    outputs = [*detector.process(columns(steady)), *detector.process(columns(other, apart))]

    assert outputs == []


def test_series_beyond_the_bound_are_refused_and_told_once() -> None:
    detector = Detect(DriftParams(max_series=1))
    values = bernoulli(1, (10, 0.5))

    outputs: list[Output] = []
    for service in ("small", "large", "other"):
        outputs += detector.process(columns(values, service=service))

    (action,) = outputs
    assert isinstance(action, ActionTaken)
    assert (action.kind, action.status) == ("series.refused", "refused")


def test_detectors_of_another_river_are_discarded_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Detect(DriftParams())
    first.process(columns(bernoulli(1, (500, 0.1))))
    saved = first.snapshot()
    assert unpack_state(saved, DriftState).series

    second = Detect(DriftParams())
    monkeypatch.setattr(drift, "RIVER", "99.0")
    second.restore(saved)
    outputs = second.process(columns(bernoulli(2, (100, 0.1)), 500))

    (action,) = outputs
    assert isinstance(action, ActionTaken)
    assert action.kind == "snapshot.discarded"
    assert "this is River 99.0" in action.reason
    assert unpack_state(second.snapshot(), DriftState).river == "99.0"
    assert pack_state(unpack_state(saved, DriftState)) == saved
