"""The degradation score, worked out by hand, and what it takes on less."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.scheduling.scheduling_world import job, scheduler, terms
from workers.scheduling.pressure import METRIC, Pressure, PressureParams, Readings, pressure
from workers.scheduling.scheduler import Scheduler, SchedulerParams

SHARE = st.floats(0, 1)


def test_each_reading_counts_along_its_line() -> None:
    told = Readings(cpu=0.95, memory=0.91, temperature_c=80.0)
    found = pressure(PressureParams(), told, 0.75, 0.14)
    assert found == pytest.approx((0.25, 0.5, 0.5, 0.5, 0.2))
    strain, load = 1 - 0.75 * 0.5, 1 - 0.75 * 0.75 * 0.9
    assert found.score == pytest.approx(1 - (1 - strain) * (1 - load))
    assert found.spared == pytest.approx(0.9 * strain * (1 + load) / 2)
    assert found.metrics()[METRIC] == found.score
    assert found.metrics()["worker.degradation.memory"] == pytest.approx(0.5)


def test_what_is_not_told_counts_nothing() -> None:
    calm = pressure(PressureParams(), Readings(), 0.0, 0.0)
    assert (calm.score, calm.spared) == (0.0, 0.0)


@given(SHARE, SHARE, SHARE, SHARE, SHARE, st.integers(0, 4), SHARE)
def test_the_score_stays_within_its_bounds_and_grows_with_each_part(
    heat: float, memory: float, cpu: float, queue: float, misses: float, place: int, more: float
) -> None:
    parts = [heat, memory, cpu, queue, misses]
    found = Pressure(*parts)
    parts[place] = max(parts[place], more)
    worse = Pressure(*parts)
    assert 0.0 <= found.score <= worse.score + 1e-12 <= 1.0 + 1e-9
    assert 0.0 <= found.spared <= worse.spared + 1e-12 <= 0.9 + 1e-9
    assert (found.spared == 0.0) == (found.strain == 0.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cpu": 95.0}, r"cpu is 95\.0; it must be a share from 0 to 1"),
        ({"memory": math.nan}, "memory is nan"),
        ({"temperature_c": math.inf}, "temperature_c is inf"),
    ],
)
def test_readings_that_are_none_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Readings(**fields)


def test_bounds_that_are_no_stretch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"heat counts from 95\.0 to 95\.0"):
        PressureParams(heat=(95.0, 95.0))


def offered(made: Scheduler, service: str, count: int, now: float, **fields: object) -> list[str]:
    """Offer jobs within a second, and return the statuses of those that end by it."""
    ended = []
    for number in range(count):
        at = now + 1000.0 * number / count
        found = made.offer(job(number, service, arrived=at, deadline=at + 1e4, **fields), at)
        ended += [entry.cause.status for entry in found]
    return ended


def warm_worker(**params: object) -> Scheduler:
    """A worker whose services asked for 600 and 600 ms in the second before its readings."""
    made = scheduler(
        terms("dear", budget_ms=1e4),
        terms("cheap", budget_ms=1e4),
        params=SchedulerParams(**params),  # type: ignore[arg-type]  # named by each test
    )
    made.pressure(Readings(), 0.0)
    assert offered(made, "dear", 60, 0.0, priority=5) == []
    assert offered(made, "cheap", 60, 0.0) == []
    return made


def test_a_hot_worker_takes_on_less_of_what_is_worth_least() -> None:
    made = warm_worker()
    found = made.pressure(Readings(temperature_c=90.0), 1000.0)
    # heat counts 0.75: 0.3375 of the time is spared; dear keeps 600 of the other 662.5 ms
    assert (found.heat, found.load) == (0.75, 0.0)
    assert offered(made, "dear", 60, 1000.0, priority=5) == []
    refused = offered(made, "cheap", 60, 1000.0)
    assert refused == ["rejected"] * 53
    end = made.offer(job(99, "cheap", arrived=2000.0, deadline=1e5), 2000.0)[0]
    assert end.reason == (
        "the machine is short of what it needs (score 0.75, heat 0.75, memory 0.00): 34% of its "
        "time stays free, and cheap is worth least"
    )
    # when it has cooled nobody is refused any more
    made.pressure(Readings(temperature_c=60.0), 2000.0)
    assert offered(made, "cheap", 60, 2000.0) == []


def test_a_worker_that_is_merely_busy_refuses_nobody_for_it() -> None:
    made = warm_worker(queue_tasks=130)
    found = made.pressure(Readings(cpu=1.0), 1000.0)
    assert found.queue == pytest.approx((120 / 130 - 0.5) / 0.5)
    assert found.score > 0.6
    assert offered(made, "cheap", 5, 1000.0) == []


def test_what_does_not_fill_the_time_that_is_left_is_taken_on() -> None:
    made = scheduler(terms("a", budget_ms=1e4))
    made.pressure(Readings(), 0.0)
    offered(made, "a", 9, 0.0)
    made.pressure(Readings(temperature_c=99.0, memory=1.0), 1000.0)
    # of the next second 550 ms are not spared, and 90 ms are asked for
    assert offered(made, "a", 9, 1000.0) == []


def test_misses_count_and_refusals_for_heat_do_not() -> None:
    made = warm_worker()
    made.pressure(Readings(temperature_c=95.0), 1000.0)
    offered(made, "cheap", 60, 1000.0)
    assert made.pressure(Readings(), 2000.0).misses == 0.0
    for number in range(10):
        made.offer(job(number, "cheap", arrived=2000.0, deadline=2001.0), 2000.0)
    assert made.pressure(Readings(), 3000.0).misses == 1.0
