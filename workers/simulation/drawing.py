"""Scenarios drawn by chance: services of every kind, from light load to fivefold overload. Pure.

What an order is tuned on it does well; these are what it was not tuned on. Equal seeds give equal
scenarios.
"""

from collections.abc import Sequence
from math import exp, log
from typing import Any, TypeVar

from workers.simulation.chance import Stream
from workers.simulation.scenario import Scenario

_DURATION_MS = 8_000.0
_VALUES = (1, 1, 2, 3, 5, 8)
_One = TypeVar("_One")


class _Draw:
    """Numbers one after the other, of one seed."""

    def __init__(self, seed: int) -> None:
        self._chance = Stream(seed, "drawing")
        self._place = 0

    def share(self) -> float:
        """Return a number in (0, 1)."""
        self._place += 1
        return self._chance.at(self._place)

    def between(self, low: float, high: float) -> float:
        """Return a number in a range, its logarithm uniform."""
        return round(exp(log(low) + self.share() * log(high / low)), 3)

    def one(self, of: Sequence[_One]) -> _One:
        """Return one of them, each as likely."""
        return of[int(self.share() * len(of))]

    def happens(self, chance: float) -> bool:
        """Tell whether something happens that is so likely."""
        return self.share() < chance


def drawn(seed: int) -> Scenario:
    """Return the scenario of a seed: two to twelve services on one device, for eight seconds.

    Together they ask for 0.6 to 5 times the device, each for a share that is its own.
    """
    draw = _Draw(seed)
    count = int(draw.between(2, 13))
    load = draw.between(0.6, 5.0)
    weights = [draw.between(0.25, 4.0) for _ in range(count)]
    by_worth = draw.happens(0.5)
    services = [
        _service(draw, f"s{place}", load * weight / sum(weights), by_worth=by_worth)
        for place, weight in enumerate(weights)
    ]
    told = f"{count} services ask for {load:.2f} of the device."
    return Scenario.model_validate(
        {
            "name": f"drawn-{seed}",
            "description": told,
            "seed": seed,
            "duration_ms": _DURATION_MS,
            "services": services,
        }
    )


def _service(draw: _Draw, name: str, load: float, *, by_worth: bool) -> dict[str, Any]:
    """Return a service that asks for a share of the device; its priority may follow its value."""
    budget = draw.between(10.0, 500.0)
    mean = round(budget * draw.between(0.02, 0.6), 3)
    value = draw.one(_VALUES)
    found: dict[str, Any] = {
        "name": name,
        "budget_ms": budget,
        "value": value,
        "priority": value if by_worth else int(10 * draw.share()),
        "arrivals": _arrivals(draw, mean / load),
        "service_time": _service_time(draw, mean),
    }
    if draw.happens(0.25):
        most = draw.one((2, 4, 8))
        fixed = round(mean * draw.between(0.3, 0.8), 3)
        found["batch"] = {"max": most}
        found["service_time"] = {
            "kind": "batch",
            "fixed_ms": fixed,
            "per_item_ms": max(0.01, round(mean - fixed, 3)),
        }
    if draw.happens(0.3):
        drop = draw.one(("oldest", "newest", "lowest-priority", "replace-by-key"))
        found["queue"] = {"tasks": draw.one((1, 2, 4, 16)), "drop": drop}
    return found


def _arrivals(draw: _Draw, gap: float) -> dict[str, Any]:
    """Return arrivals whose mean gap (ms) is given."""
    kind = draw.one(("periodic", "jittered", "poisson", "bursts", "flash-crowd"))
    offset = round(gap * draw.share(), 3)
    if kind == "periodic":
        return {"kind": kind, "every_ms": gap, "offset_ms": offset}
    if kind == "jittered":
        jitter = gap * draw.between(0.05, 0.5)
        return {"kind": kind, "every_ms": gap, "jitter_ms": jitter, "offset_ms": offset}
    if kind == "poisson":
        return {"kind": kind, "rate_per_s": 1_000 / gap}
    if kind == "bursts":
        size = draw.one((2, 3, 5, 8))
        return {"kind": kind, "every_ms": gap * size, "size": size, "offset_ms": offset}
    lasts, times = _DURATION_MS / 8, draw.between(2.0, 6.0)
    rate = 1_000 / gap / (1 + (times - 1) / 8)
    return {
        "kind": kind,
        "rate_per_s": rate,
        "peak_per_s": times * rate,
        "from_ms": round(_DURATION_MS * 0.7 * draw.share(), 1),
        "for_ms": lasts,
        "ramp_ms": lasts / 10,
    }


def _service_time(draw: _Draw, mean: float) -> dict[str, Any]:
    kind = draw.one(("constant", "uniform", "lognormal", "exponential"))
    if kind == "constant":
        return {"kind": kind, "ms": mean}
    if kind == "uniform":
        stray = mean * draw.between(0.1, 0.7)
        return {"kind": kind, "low_ms": mean - stray, "high_ms": mean + stray}
    if kind == "lognormal":
        sigma = draw.between(0.05, 0.6)
        return {"kind": kind, "median_ms": mean / exp(sigma**2 / 2), "sigma": sigma}
    return {"kind": kind, "mean_ms": mean}
