"""`weir bench observe` on the embedded broker: everyone counts every event once."""

from pathlib import Path

import pytest

from streams.bench.observing import SHARES, Plan, measure
from streams.bench.observing_words import lines, wrong
from workers.settings import Settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def test_every_system_counts_what_it_read(tmp_path: Path) -> None:
    plan = Plan("embedded", events=200_000, rounds=1, parts=("peers",), profile=True)
    found = measure(Settings(), tmp_path, plan, lambda _: None)
    assert found["absent"] == {}
    assert list(wrong(found)) == []
    assert len(list(lines(found))) == len(SHARES)
    assert found["weir"]["windows"] == 2_000
    for name in SHARES:
        assert found[name]["events_per_s"] > 0
        assert found[name]["versions"]
    assert set(found["ratios"]) == {"raw", "bytewax", "quix", "faust"}
    total = 1e6 / found["weir"]["events_per_cpu_s"]
    assert 0.3 * total < sum(found["profile_us"].values()) < 3 * total


def test_series_memory_and_emission_are_measured_alone(tmp_path: Path) -> None:
    plan = Plan(
        "embedded",
        events=100_000,
        rounds=1,
        many=2_000,
        open_series=20_000,
        parts=("series", "memory"),
    )
    found = measure(Settings(), tmp_path, plan, lambda _: None)
    assert list(wrong(found)) == []
    assert set(found["series"]) == {"10", "1000", "2000"}
    assert found["emission_us"] is not None
    assert found["memory"]["series"] == 20_000
    assert found["memory"]["peak"] > found["memory"]["before"] > 0
    assert found["memory_mb_million_series"] is None
    assert found["raw"] is None
    assert found["ratios"] == {}
