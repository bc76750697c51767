"""Frames arrive as the scenario says, and again so with the same seed."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.unit.workers.simulation.scenarios_made import made, service
from workers.simulation.arrivals import FlashCrowd
from workers.simulation.frames import Frame, arriving

KINDS: dict[str, dict[str, Any]] = {
    "periodic": {"every_ms": 10, "offset_ms": 3},
    "jittered": {"every_ms": 10, "jitter_ms": 5},
    "poisson": {"rate_per_s": 100},
    "bursts": {"every_ms": 40, "size": 4, "spacing_ms": 2},
    "flash-crowd": {
        "rate_per_s": 50, "peak_per_s": 500, "from_ms": 2_000, "for_ms": 1_000, "ramp_ms": 500,
    },
    "trace": {"at_ms": [0, 0, 7.5, 5_000]},
}  # fmt: skip
END = 6_000.0


def frames(kind: str, seed: int = 0, **more: Any) -> list[Frame]:
    told = service(arrivals={"kind": kind} | KINDS[kind])
    return list(arriving(made(told, duration_ms=END, seed=seed, **more)))


def instants(kind: str, seed: int = 0, **more: Any) -> list[float]:
    return [frame.arrived for frame in frames(kind, seed, **more)]


@pytest.mark.parametrize("kind", KINDS)
def test_instants_ascend_within_the_duration(kind: str) -> None:
    times = instants(kind)
    assert all(a <= b for a, b in pairwise(times))
    assert times[0] >= 0.0
    assert times[-1] < END


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_frames(kind: str) -> None:
    assert frames(kind, 5) == frames(kind, 5)


@pytest.mark.parametrize("kind", ["jittered", "poisson", "flash-crowd"])
def test_another_seed_gives_others(kind: str) -> None:
    assert instants(kind, 5) != instants(kind, 6)


def test_two_services_of_one_kind_arrive_independently() -> None:
    told = {"kind": "poisson", "rate_per_s": 100}
    both = made(service("a", arrivals=told), service("b", arrivals=told), duration_ms=END)
    times: dict[str, list[float]] = {"a": [], "b": []}
    for frame in arriving(both):
        times[frame.service.name].append(frame.arrived)
    assert not set(times["a"]) & set(times["b"])


def test_periods_and_bursts_are_exact() -> None:
    assert instants("periodic")[:3] == [3.0, 13.0, 23.0]
    assert instants("bursts")[:6] == [0.0, 2.0, 4.0, 6.0, 40.0, 42.0]
    assert instants("trace") == [0.0, 0.0, 7.5, 5_000.0]


def test_jitter_stays_within_its_bound() -> None:
    away = [at - 10 * place for place, at in enumerate(instants("jittered"))]
    assert max(map(abs, away)) <= 5.0
    assert max(away) > 4.0
    assert min(away) < -4.0


def test_random_arrivals_have_their_rate() -> None:
    assert len(instants("poisson")) == pytest.approx(600, abs=75)  # three deviations
    flash = instants("flash-crowd")
    peak = [at for at in flash if 2_000 <= at < 3_000]
    quiet = [at for at in flash if at < 1_500 or at >= 3_500]
    assert len(peak) == pytest.approx(500, abs=67)
    assert len(quiet) == pytest.approx(200, abs=42)


@pytest.mark.parametrize("seed", range(8))
def test_no_jitter_leads_before_the_beginning(seed: int) -> None:
    assert instants("jittered", seed)[0] >= 0.0


def test_a_flash_crowd_comes_and_goes_along_its_ramps() -> None:
    flash = FlashCrowd.model_validate({"kind": "flash-crowd"} | KINDS["flash-crowd"])
    told = (0, 1_500, 1_750, 2_000, 3_000, 3_250, 3_500)
    assert [flash.rate(at) for at in told] == [50, 50, 275, 500, 500, 275, 50]


def test_nothing_comes_in_a_pause() -> None:
    times = instants("poisson", pauses={"every_ms": 100, "for_ms": 40})
    assert times
    assert max(at % 100 for at in times) < 60


def test_frames_of_one_instant_keep_the_order_of_the_services() -> None:
    both = made(service("b"), service("a"), duration_ms=25)
    assert [frame.service.name for frame in arriving(both)] == ["b", "a"] * 3


def test_frames_come_one_by_one_however_many_there_are() -> None:
    endless: Iterator[Frame] = arriving(made(service(), duration_ms=1e8))
    assert next(endless).deadline == 20.0
