"""Figures of reports: exact while they are few, close and bounded when they are many."""

import sys
from itertools import pairwise
from math import ceil
from statistics import median

import pytest

from tests.unit.workers.simulation.scenarios_made import made, service
from workers.accounting.backlog import MOST, Backlog
from workers.accounting.quantiles import EXACT, Quantiles
from workers.scheduling.jobs import Batch, Decision, Job
from workers.simulation.chance import Stream
from workers.simulation.report import Report

CHANCE = Stream(1, "times")


def filled(count: int) -> tuple[Quantiles, list[float]]:
    values = [1_000 * CHANCE.at(place) ** 3 for place in range(count)]
    found = Quantiles()
    for value in values:
        found.add(value)
    return found, sorted(values)


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 1_000])
def test_few_times_give_the_nearest_rank(count: int) -> None:
    found, values = filled(count)
    for share in (0.5, 0.95, 0.99, 1.0):
        assert found.at(share) == values[ceil(share * count) - 1]


def test_reading_in_between_changes_nothing() -> None:
    found = Quantiles()
    for value in (5.0, 1.0):
        found.add(value)
    assert found.at(1.0) == 5.0
    found.add(9.0)
    found.add(0.0)
    assert [found.at(share) for share in (0.25, 0.5, 0.75, 1.0)] == [0.0, 1.0, 5.0, 9.0]


def test_many_times_are_close_and_take_no_more_room() -> None:
    found, values = filled(3 * EXACT)
    for share in (0.1, 0.5, 0.95, 0.99):
        assert found.at(share) == pytest.approx(values[ceil(share * len(values)) - 1], rel=0.003)
    assert found.count == 3 * EXACT
    assert sys.getsizeof(found._exact) < 1_000
    assert len(found._counts) < 5_000


def test_many_times_of_nothing_are_nothing() -> None:
    found = Quantiles()
    for _ in range(EXACT + 2):
        found.add(0.0)
    assert found.at(0.5) == 0.0


def test_without_times_there_are_no_quantiles() -> None:
    assert Quantiles().summary() == {"p50": None, "p95": None, "p99": None}


def job(deadline: float) -> Job:
    return Job(id="j", service="one", arrived=0.0, deadline=deadline)


def test_time_is_wasted_on_the_late_part_of_a_batch() -> None:
    report = Report(made(service()), "fifo")
    batch = Batch("one", (job(5.0), job(20.0)), 10.0)
    for each in batch.jobs:
        report.came(each, 0.0)
    report.begins(batch, 0.0)
    report.executed(batch, 0.0, 10.0)
    report.close(20.0)
    told = report.summary()
    assert (told["busy_share"], told["wasted_share"]) == (0.5, 0.25)
    assert (told["total"]["in_time"], told["total"]["late"], told["total"]["mean_batch"]) == (
        1,
        1,
        2,
    )


def test_reasons_that_differ_in_numbers_are_one_and_few_are_kept() -> None:
    report = Report(made(service()), "fifo")
    for at in range(3):
        report.decided(Decision((), None, at + 1.0, f"waits until {at}.5 for s1"))
    assert report.summary()["decisions"]["waited"] == {"waits until n for s1": 3}
    for number in range(1_000):
        report.decided(Decision((), None, 1.0, f"waits {'x' * number}"))
    assert len(report.summary()["decisions"]["waited"]) <= 51


def test_the_backlog_is_what_waited_until_then() -> None:
    backlog = Backlog(10.0)
    backlog.until(5.0, {"a": 1, "b": 0})
    backlog.until(25.0, {"a": 3, "b": 1})
    assert backlog.samples() == [
        {"at_ms": 0.0, "total": 1, "services": {"a": 1}},
        {"at_ms": 10.0, "total": 4, "services": {"a": 3, "b": 1}},
        {"at_ms": 20.0, "total": 4, "services": {"a": 3, "b": 1}},
    ]


def test_the_backlog_of_a_long_run_keeps_few_samples_at_equal_distances() -> None:
    backlog = Backlog(1.0)
    for now in range(0, 100_000, 7):
        backlog.until(now, {"a": now})
    times = [sample["at_ms"] for sample in backlog.samples()]
    assert MOST / 3 < len(times) <= MOST
    steps = {b - a for a, b in pairwise(times)}
    assert steps == {backlog.every_ms}
    assert median(times) == pytest.approx(50_000, rel=0.02)
