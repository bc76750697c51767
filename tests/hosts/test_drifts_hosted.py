"""Drifts over the real path: results and metrics on the log, causes on weir.drifts."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from processors.drifting import drift
from processors.shifting import explain, shift
from schemas.base import Event
from schemas.inference import InferenceResult
from schemas.observing import DriftDetected, MetricReport
from schemas.partitioning import partition_of
from tests.contracts.scenarios.shift import MINE, START, result, summary
from tests.hosts.worlds import LocalWorld, World, kafka_world
from tests.unit.processors.test_drift_detectors import policy

PARTITIONS = 4


@pytest.fixture(params=["local", pytest.param("kafka", marks=pytest.mark.faults)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "local":
        yield LocalWorld(batch=200)
    else:
        with kafka_world(tmp_path) as made:
            yield made


def results(count: int, *, stuck_from: int) -> list[InferenceResult]:
    """Return results in the partition of their application; the sensor sticks from then on."""
    dice = random.Random(3)
    names = (f"r{n}" for n in itertools.count())
    home = partition_of(MINE, PARTITIONS)
    near = (name for name in names if partition_of(name, PARTITIONS) == home)
    stuck = summary(dice)
    return [
        replace(
            result(n, MINE, "small", stuck if n >= stuck_from else summary(dice), "a"),
            request_id=next(near),
        )
        for n in range(count)
    ]


def errors(count: int, *, worse_from: int) -> list[Event]:
    dice = random.Random(4)
    return [
        MetricReport(
            event_time=START + n * 10,
            app=MINE,
            stage="classify",
            service="small",
            metric="error",
            value=float(dice.random() < (0.6 if n >= worse_from else 0.05)),
        )
        for n in range(count)
    ]


def test_a_stuck_sensor_is_why_the_error_rose_and_no_reason_to_train(world: World) -> None:
    def told(status: str, metric: str) -> list[DriftDetected]:
        seen = [one for one in world.events("weir.drifts") if isinstance(one, DriftDetected)]
        return [one for one in seen if (one.status, one.metric) == (status, metric)]

    world.produce([policy(f"drift/{MINE}/error", "hddm-a")])
    world.produce(results(700, stuck_from=420))
    world.run(shift.spec(), lambda: bool(told("confirmed", "inputs")))
    world.produce(errors(700, worse_from=420))
    world.run(drift.spec(), lambda: bool(told("confirmed", "error")))
    world.run(explain.spec(), lambda: bool(told("explained", "error")))

    (inputs,), (error,) = told("confirmed", "inputs"), told("confirmed", "error")
    (explained,) = told("explained", "error")
    assert (inputs.cause, error.detector, error.cause) == ("sensor-stuck", "hddm-a", "")
    assert (explained.cause, explained.retrain) == ("sensor-stuck", False)
    assert explained.causes == (error.event_id, inputs.event_id)
    assert (explained.since, explained.sources) == (error.since, error.sources)
