"""The arithmetic of the benchmarks: percentiles, lag, and the search for a capacity. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

REACHED, FEWEST = 0.95, 4
RAMP, FLOOR = 1.6, 0.5
"""Factor from one rate to the next while they are held, and when the first is not."""


def percentiles(values: Sequence[float], digits: int = 1) -> dict[str, float | None]:
    """Return p50 and p99, interpolated between neighbours; None where there are no values."""
    if not values:
        return {"p50": None, "p99": None}
    found = np.percentile(np.asarray(values, dtype=np.float64), (50, 99))
    p50, p99 = (round(float(value), digits) for value in found)
    return {"p50": p50, "p99": p99}


@dataclass(frozen=True, slots=True)
class Sample:
    """At a moment (s), how many events had been sent, and how many of them were applied."""

    at: float
    sent: int
    applied: int

    @property
    def lag(self) -> int:
        """Events that were sent and not yet applied."""
        return self.sent - self.applied


@dataclass(frozen=True, slots=True)
class Held:
    """Whether a rate (events a second) was held, and why not; lags in events."""

    rate: float
    held: bool
    reason: str
    early: float
    late: float


def judge(samples: Sequence[Sample], wanted: float, slack_s: float) -> Held:
    """Return whether a stack held a rate while these samples were taken.

    It did when the producer reached 95 % of the rate that was wanted, and the lag in the last
    sixth of the time is not above that around its first third by more than `slack_s` seconds of
    that rate. All is measured from a sixth of the time on, not from the start: producer, batches
    and commits get going first. Lags are medians, because commits and insertions make them a saw.
    """
    if len(samples) < FEWEST:
        return Held(0.0, False, "too few samples", 0.0, 0.0)
    begin, span = samples[0].at, samples[-1].at - samples[0].at
    steady = _between(samples, begin + span / 6, samples[-1].at)
    rate = (steady[-1].sent - steady[0].sent) / (steady[-1].at - steady[0].at)
    early = median(s.lag for s in _between(samples, begin + span / 4, begin + span * 5 / 12))
    late = median(s.lag for s in _between(samples, begin + span * 5 / 6, begin + span))
    if rate < REACHED * wanted:
        return Held(rate, False, f"the producer reached {rate:,.0f}/s", early, late)
    if late > early + slack_s * wanted:
        return Held(rate, False, f"lag grew from {early:,.0f} to {late:,.0f}", early, late)
    return Held(rate, True, "", early, late)


def _between(samples: Sequence[Sample], first: float, last: float) -> list[Sample]:
    """Return the samples within two moments; the nearest one when there is none."""
    middle = (first + last) / 2
    inside = [s for s in samples if first <= s.at <= last]
    return inside or [min(samples, key=lambda s: abs(s.at - middle))]


def capacity(tries: Callable[[float], bool], start: float, steps: int, most: float) -> float:
    """Return the highest rate found that is held; 0 when none is.

    Rates rise by the factor 1.6 from `start` while they are held (they fall by half while the
    first ones are not), up to `most`; then `steps` bisections, by the geometric mean, narrow the
    gap: three leave an uncertainty of 6 %.
    """
    good, bad = 0.0, math.inf
    rate = start
    while rate <= most and math.isinf(bad):
        good, bad = (rate, bad) if tries(rate) else (good, rate)
        rate *= RAMP
    while good == 0.0 and bad > max(1.0, start / 64):
        rate = bad * FLOOR
        good, bad = (rate, bad) if tries(rate) else (good, rate)
    if good == 0.0 or math.isinf(bad):
        return good
    for _ in range(steps):
        rate = math.sqrt(good * bad)
        good, bad = (rate, bad) if tries(rate) else (good, rate)
    return good


def balance(sent: int, applied: int) -> tuple[int, int]:
    """Return how many events were lost and how many counted twice, from two totals."""
    return max(0, sent - applied), max(0, applied - sent)


def keeps_up(latencies: Sequence[float | None], most_failed: float = 0.01) -> str:
    """Return why requests, in their order, were not kept up with; empty when they were.

    None stands for a request without a complete answer, of which a share of `most_failed` is
    suffered. The median latency (ms) of the last third may be twice that of the first, and 20 ms.
    """
    if not latencies:
        return "no requests"
    failed = sum(one is None for one in latencies)
    if failed > most_failed * len(latencies):
        return f"{failed} of {len(latencies)} requests without a complete answer"
    third = max(1, len(latencies) // 3)
    first, last = (
        median([one for one in part if one is not None] or [0.0])
        for part in (latencies[:third], latencies[-third:])
    )
    return f"latency grew from {first:.0f} to {last:.0f} ms" if last > 2 * first + 20 else ""
