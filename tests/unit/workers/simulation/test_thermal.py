"""A device that heats up by its own work."""

from typing import Any

import pytest

from workers.simulation.errors import ScenarioRefused
from workers.simulation.reading import scenario_of
from workers.simulation.report import Report
from workers.simulation.simulator import simulate
from workers.simulation.thermal import Body, Thermal


def content(**thermal: float) -> dict[str, Any]:
    dear = {"kind": "periodic", "every_ms": 20}
    cheap = {"kind": "poisson", "rate_per_s": 60}
    return {
        "name": "hot",
        "duration_ms": 10_000,
        "thermal": thermal,
        "services": [
            {
                "name": name,
                "budget_ms": budget,
                "priority": value,
                "value": value,
                "arrivals": arrivals,
                "service_time": {"kind": "constant", "ms": ms},
            }
            for name, budget, value, arrivals, ms in (
                ("dear", 40, 9, dear, 6),
                ("cheap", 100, 1, cheap, 12),
            )
        ],
    }


def run(**thermal: float) -> Report:
    return simulate(scenario_of(content(**thermal), "hot.toml"))


def test_it_heats_up_by_work_and_cools_at_rest() -> None:
    body = Body(Thermal(ambient_c=40.0, rise_c=60.0, tau_ms=1000.0))
    body.after(693.147, busy=True)
    assert body.at_c == pytest.approx(70.0, abs=0.01)
    body.after(2 * 693.147, busy=False)
    assert body.at_c == pytest.approx(55.0, abs=0.01)


def test_it_slows_down_along_a_line() -> None:
    thermal = Thermal(throttles_c=80.0, slowest_c=100.0, slowest=3.0)
    assert [thermal.factor(at) for at in (50.0, 80.0, 90.0, 100.0, 120.0)] == [1, 1, 2, 3, 3]


def test_a_worker_that_is_told_keeps_cool_and_answers_more() -> None:
    told, untold = run(told_ms=500.0), run(told_ms=0.0)
    assert told.total.value_share > untold.total.value_share + 0.01
    assert told.summary()["total"]["reasons"]["rejected"]["machine-short"] > 100
    assert "machine-short" not in untold.summary()["total"]["reasons"]["rejected"]
    assert told.summary()["busy_share"] < untold.summary()["busy_share"]


@pytest.mark.parametrize(
    ("thermal", "message"),
    [
        ({"slowest_c": 70.0}, r"hot\.toml: thermal: slowest_c is more than throttles_c"),
        ({"slowest": 0.5}, r"hot\.toml: thermal: slowest is at least 1"),
        ({"tau_ms": 0.0}, r"hot\.toml: thermal\.tau_ms"),
    ],
)
def test_what_cannot_be_is_refused(thermal: dict[str, float], message: str) -> None:
    with pytest.raises(ScenarioRefused, match=message):
        run(**thermal)
