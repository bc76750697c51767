"""Selection by declared metrics: an operator makes one value of the members', a scale scores it.

The method of "consumer-specific objectives" (UCC'24, ROHE): a contract names metrics, each with an
operator over the members' values (max, min, sum, avg, prod, rprod = 1 - prod(1 - x)), a weight, the
range of values that matter, whether more or less is better, and a scale, linear or logarithmic.
The score is the weighted sum of s = (v - min) / (max - min), on the logarithmic scale of their
logarithms, clipped to 0 to 1 on both (there, linear ones are not), and 1 - s where less is better.

Parameters of the policy, one for each metric: `metric.NAME` = "OPERATOR WEIGHT MIN MAX max|min
linear|log [BASE]". NAME is accuracy, miss, confidence, cost, energy, latency, or one of the first
two with a class: miss.LABEL. Without parameters: accuracy by rprod, cost by sum, latency by max.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb, inf, log

import numpy as np

from processors.errors import InvalidParameters
from processors.selecting.ensembles import Candidate, Found, Objective, Problem
from processors.selecting.searching import EXACT_ROWS, evaluated, sizes, subsets, tabled
from processors.selecting.voting import Floats, Ints

PREFIX = "metric."
OPERATORS: Mapping[str, Callable[[Floats], Floats]] = {
    "max": lambda v: np.nanmax(v, axis=1),
    "min": lambda v: np.nanmin(v, axis=1),
    "sum": lambda v: np.nansum(v, axis=1),
    "avg": lambda v: np.nanmean(v, axis=1),
    "mean": lambda v: np.nanmean(v, axis=1),
    "prod": lambda v: np.nanprod(v, axis=1),
    "rprod": lambda v: 1.0 - np.nanprod(1.0 - v, axis=1),
}
"""From the members' values (rows of ensembles, NaN for nobody) to that of the ensemble."""
_FIELDS = {"confidence": "confidence", "cost": "cost", "energy": "energy_j"}


@dataclass(frozen=True, slots=True)
class Metric:
    """How one metric of the members becomes a part of the score."""

    name: str
    operator: str
    weight: float
    low: float
    high: float
    more: bool
    scale: str = "linear"
    base: float = 2.0

    def scaled(self, values: Floats) -> Floats:
        """Return values on the scale of the score, clipped to 0 to 1."""
        if self.scale == "log":
            tiny = np.maximum(values, np.finfo(np.float64).tiny)
            low, high = (log(edge, self.base) for edge in (self.low, self.high))
            share = (np.log(tiny) / log(self.base) - low) / (high - low)
        else:
            share = (values - self.low) / (self.high - self.low)
        share = np.clip(share, 0.0, 1.0)
        found: Floats = share if self.more else 1.0 - share
        return found


DEFAULTS = (
    Metric("accuracy", "rprod", 1.0, 0.6, 0.9999, more=True, scale="log"),
    Metric("cost", "sum", 1.0, 0.1, 100.0, more=False, scale="log"),
    Metric("latency", "max", 1.0, 1.0, 1000.0, more=False, scale="log"),
)


def metrics_of(told: Mapping[str, str]) -> tuple[Metric, ...]:
    """Return the metrics that parameters name, the defaults when they name none.

    Raises InvalidParameters, with the parameter that makes no sense.
    """
    named = [(k.removeprefix(PREFIX), v) for k, v in told.items() if k.startswith(PREFIX)]
    return tuple(_metric(name, text) for name, text in named) or DEFAULTS


def _metric(name: str, text: str) -> Metric:
    words = text.split()
    where = f"{PREFIX}{name} = {text!r}"
    if not 6 <= len(words) <= 7 or words[0] not in OPERATORS:
        known = ", ".join(OPERATORS)
        raise InvalidParameters(
            f"{where}: OPERATOR WEIGHT MIN MAX max|min linear|log [BASE], operator one of {known}"
        )
    try:
        weight, low, high = (float(word) for word in words[1:4])
        base = float(words[6]) if len(words) > 6 else 2.0
    except ValueError:
        raise InvalidParameters(f"{where}: weight, range and base must be numbers") from None
    logarithmic = words[5] == "log"
    if words[4] not in ("max", "min") or words[5] not in ("linear", "log"):
        raise InvalidParameters(f"{where}: max or min, then linear or log")
    sound = -inf < low < high < inf and 0 <= weight < inf and base > 1
    if not sound or (logarithmic and low <= 0):
        raise InvalidParameters(f"{where}: MIN must be below MAX, and above 0 on a log scale")
    return Metric(name, words[0], weight, low, high, words[4] == "max", words[5], base)


def values_of(metric: str, candidates: tuple[Candidate, ...], objective: Objective) -> Floats:
    """Return a metric of each candidate; raises InvalidParameters for one that there is not."""
    kind, _, label = metric.partition(".")
    if metric == "latency":
        return np.array([c.latency_high_ms for c in candidates])
    if metric in _FIELDS:
        return np.array([float(getattr(c, _FIELDS[metric])) for c in candidates])
    if kind not in ("accuracy", "miss"):
        raise InvalidParameters(
            f"no metric {metric!r}; known: accuracy, miss, confidence, cost, energy, latency"
        )
    at = objective.labels.index(label) if label in objective.labels else -1
    right = np.array([c.rates[at] if at >= 0 and c.rates else c.accuracy for c in candidates])
    return right if kind == "accuracy" else 1.0 - right


def scores(
    rows: Ints, candidates: tuple[Candidate, ...], objective: Objective, metrics: tuple[Metric, ...]
) -> Floats:
    """Return the score of ensembles, rows of numbers of candidates; one too many is nobody."""
    total = np.zeros(len(rows))
    for metric in metrics:
        values = np.append(values_of(metric.name, candidates, objective), np.nan)
        total += metric.weight * metric.scaled(OPERATORS[metric.operator](values[rows]))
    return total


def select(problem: Problem, keep: int) -> Found:
    """Return the ensembles with the highest score; raises InvalidParameters.

    All are scored, or, of more than `EXACT_ROWS`, those of the best candidates alone.
    """
    metrics = metrics_of(problem.told)
    table = tabled(problem.candidates, problem.objective)
    if not table.nobody:
        return Found((), "aggregate", 0.0)
    fewest, most = sizes(table)
    count = table.nobody
    if sum(comb(count, k) for k in range(1, most + 1)) > EXACT_ROWS:
        single = scores(np.arange(count)[:, None], table.candidates, table.objective, metrics)
        able = np.sort(np.argsort(-single, kind="stable")[:20])
        table = tabled([table.candidates[n] for n in able], table.objective)
    rows = subsets(table.nobody, fewest, most)
    value = scores(rows, table.candidates, problem.objective, metrics)
    order = np.argsort(-np.round(value, 12), kind="stable")[:keep]
    ranked = [
        evaluated([table.candidates[n] for n in rows[at] if n < table.nobody], problem.objective)
        for at in order
    ]
    return Found(tuple(ranked), "aggregate", 0.0)
