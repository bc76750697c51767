"""What sampling costs: the errors of what is estimated from a share of the measurements.

A window holds so many latencies, lognormal as latencies are; a sampler of the probe chooses among
them, again and again with other seeds. Errors are root mean squares over the tries, as a share of
what the whole window gives. `count` and `sum` are put right by the rate alone (Horvitz and
Thompson); `sum_by_seen` is the mean times the exact count that the probe reports (a ratio
estimate); `count_expected` is sqrt((1 - p) / (p n)).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.probing.sampling import Sampler, Sampling

METRIC = "latency"
SIGMA = 0.5
Floats = npt.NDArray[np.float64]
_STATISTICS: dict[str, Callable[[Floats], float]] = {
    "mean": lambda kept: float(kept.mean()),
    "p50": lambda kept: float(np.quantile(kept, 0.5)),
    "p95": lambda kept: float(np.quantile(kept, 0.95)),
    "p99": lambda kept: float(np.quantile(kept, 0.99)),
}


def errors(rates: Sequence[float], window: int, tries: int, seed: int) -> list[dict[str, Any]]:
    """Return one row for each rate: the rate and the errors, in % of the true values."""
    chance = np.random.default_rng(seed)
    values = np.exp(chance.normal(3.0, SIGMA, (tries, window)))
    return [_row(rate, values, seed) for rate in rates]


def _row(rate: float, values: npt.NDArray[np.float64], seed: int) -> dict[str, Any]:
    tries, window = values.shape
    misses: dict[str, list[float]] = {}
    for number, each in enumerate(values):
        sampler = Sampler(Sampling(rate=rate, seed=seed * tries + number))
        kept = each[[sampler.admits(METRIC) for _ in range(window)]]
        if not kept.size:
            continue
        told = {"count": kept.size / rate / window, "sum": kept.sum() / rate / each.sum()}
        told["sum_by_seen"] = kept.mean() * window / each.sum()
        told |= {name: of(kept) / of(each) for name, of in _STATISTICS.items()}
        for name, share in told.items():
            misses.setdefault(name, []).append(share - 1)
    expected = ((1 - rate) / (rate * window)) ** 0.5
    found = {name: float(np.sqrt(np.mean(np.square(miss)))) for name, miss in misses.items()}
    percents = {name: round(100 * miss, 2) for name, miss in found.items()}
    return {"rate": rate, "window": window, "count_expected": round(100 * expected, 2)} | percents
