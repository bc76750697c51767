"""Executions take what the scenario says."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from workers.simulation.chance import Stream
from workers.simulation.service_times import Heat, ServiceTime

CHANCE = Stream(3, "work")
MADE: TypeAdapter[Any] = TypeAdapter(ServiceTime)


def drawn(**told: Any) -> list[float]:
    model = MADE.validate_python(told)
    return [model.item(CHANCE.at(place)) for place in range(4_000)]


@pytest.mark.parametrize(
    ("told", "mean"),
    [
        ({"kind": "constant", "ms": 8}, 8.0),
        ({"kind": "uniform", "low_ms": 4, "high_ms": 8}, 6.0),
        ({"kind": "normal", "mean_ms": 20, "deviation_ms": 2}, 20.0),
        ({"kind": "lognormal", "median_ms": 10, "sigma": 0.5}, 11.33),
        ({"kind": "exponential", "mean_ms": 15}, 15.0),
        ({"kind": "samples", "values_ms": [1, 2, 6]}, 3.0),
        ({"kind": "batch", "fixed_ms": 5, "per_item_ms": 2, "sigma": 0.1}, 2.01),
    ],
)
def test_the_mean_is_what_is_declared(told: dict[str, Any], mean: float) -> None:
    times = drawn(**told)
    assert sum(times) / len(times) == pytest.approx(mean, rel=0.04)
    assert MADE.validate_python(told).mean_ms == pytest.approx(mean, rel=0.001)
    assert min(times) > 0.0


def test_a_batch_alone_has_a_part_that_is_paid_once() -> None:
    batch = {"kind": "batch", "fixed_ms": 5, "per_item_ms": 2}
    assert MADE.validate_python(batch).fixed_ms == 5.0
    assert MADE.validate_python({"kind": "constant", "ms": 8}).fixed_ms == 0.0


def test_normal_times_are_never_less_than_the_least() -> None:
    assert min(drawn(kind="normal", mean_ms=2, deviation_ms=2, least_ms=0.5)) == 0.5


def test_numbers_of_a_stream_are_uniform_and_its_own() -> None:
    numbers = [CHANCE.at(place) for place in range(10_000)]
    tenths = [sum(low <= 10 * n < low + 1 for n in numbers) for low in range(10)]
    assert min(tenths) > 900
    assert max(tenths) < 1_100
    assert min(numbers) > 0.0
    assert max(numbers) < 1.0
    other = Stream(3, "arrivals")
    assert not set(numbers) & {other.at(place) for place in range(10_000)}


def heat(shape: str) -> Heat:
    points = [{"at_ms": 100, "factor": 1.0}, {"at_ms": 300, "factor": 3.0}]
    return Heat.model_validate({"shape": shape, "points": points})


def test_heat_rises_along_lines_or_in_steps() -> None:
    told = (0.0, 100.0, 200.0, 300.0, 999.0)
    assert [heat("linear").factor(at) for at in told] == [1.0, 1.0, 2.0, 3.0, 3.0]
    assert [heat("steps").factor(at) for at in told] == [1.0, 1.0, 1.0, 3.0, 3.0]


def test_the_coolest_moment_may_lie_between() -> None:
    points = [{"at_ms": at, "factor": factor} for at, factor in ((0, 3), (50, 1), (100, 3))]
    told = Heat.model_validate({"points": points})
    assert told.least(10, 90) == 1.0
    assert told.least(60, 90) == pytest.approx(1.4)
