"""What a probe sampled is put right in SQL."""

from dataclasses import replace

import pytest

from schemas.observing import Observation
from tests.clickhouse.messages import store
from tests.examples import example
from workers.clickhouse import Database

SECOND = 1_000


def observed(metric: str, second: int, count: int, mean: float, **more: object) -> Observation:
    base = replace(
        example(Observation),
        event_id=f"{metric}-{second}",
        metric=metric,
        window_start=second * SECOND,
        window_end=(second + 1) * SECOND,
        count=count,
        mean=mean,
        revision=0,
        final=True,
        sources=(),
    )
    return replace(base, **more)  # type: ignore[arg-type]  # fields of an observation


def test_counts_and_sums_are_put_right_by_the_next_rate(database: Database) -> None:
    store(
        database,
        observed("latency", 1, 25, 4.0),
        observed("latency", 2, 50, 2.0),
        observed("latency", 9, 10, 2.0),
        observed("latency.sample_rate", 2, 1, 0.25),
        observed("latency.sample_rate", 3, 1, 0.5),
        observed("whole", 1, 7, 1.0),
        observed("latency", 2, 999, 9.0, event_id="early", final=False),
        observed("latency", 1, 3, 4.0, event_id="elsewhere", instance="other"),
    )
    found = database.query(
        "SELECT metric, reported, sample_rate, estimated_count, estimated_sum, relative_error "
        "FROM sampled_counts ORDER BY window_start"
    )
    assert [row[:5] for row in found.rows] == [
        ("latency", 25, 0.25, 100.0, 400.0),
        ("latency", 50, 0.25, 200.0, 400.0),
    ]
    assert found.rows[0][5] == pytest.approx((0.75 / 25) ** 0.5)
