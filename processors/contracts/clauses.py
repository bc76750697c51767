"""One clause of a contract over the observations of its span: what it comes to, whether it holds.

A clause is judged at the coarsest level that reports its metric: the application as a whole
where that exists, else its stages, else its services, else their instances; never at two at
once. How the statistics of several windows add up is told in `processors.measures`. A value that
is no finite number is no judgement.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from processors.measures import combined, holds
from processors.vocabulary import RELATED
from schemas.observing import Observation
from schemas.registrations import Clause, ContractRegistered

Value = tuple[float, tuple[Observation, ...]]
"""A value, and the windows that it is of."""
LOWER = ("<", "<=")
"""Operators of clauses that a value may not exceed."""
PERIOD_MS = 28 * 86_400_000
"""The period of an objective that names none."""
WARNING = "warning"
"""The severity of a clause that names none."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a clause came to over a span: the value, whether it holds, and of what."""

    observed: float
    holds: bool
    windows: tuple[Observation, ...]


def value_of(clause: Clause, windows: Iterable[Observation]) -> Value | None:
    """Return the value that a clause is judged by over windows of its span, and which it is of.

    None with too few events, and where the value is no finite number.
    """
    chosen = _coarsest([window for window in windows if _concerns(clause, window)])
    if sum(window.count for window in chosen) < max(1, clause.min_count):
        return None
    observed = combined(chosen, clause.statistic)
    return (observed, chosen) if math.isfinite(observed) else None


def judged_as(clause: Clause, value: Value | None) -> Judged | None:
    """Return whether a clause holds with a value."""
    if value is None:
        return None
    observed, windows = value
    return Judged(observed, holds(observed, clause.operator, tolerated(clause)), windows)


def tolerated(clause: Clause) -> float:
    """Return the threshold with the tolerance, which is a share of it, granted."""
    margin = abs(clause.threshold) * clause.tolerance
    return clause.threshold + (margin if clause.operator in LOWER else -margin)


def beyond(clause: Clause, value: float) -> float:
    """Return how far a value is beyond the threshold, in its unit; negative on the good side."""
    return value - clause.threshold if clause.operator in LOWER else clause.threshold - value


def metric_of(clause: Clause) -> str:
    """Return the metric that is judged: that of the class, where the clause names one."""
    return f"{clause.metric}.class.{clause.label}" if clause.label else clause.metric


def metrics_of(clause: Clause) -> frozenset[str]:
    """Return the metrics whose observations a clause needs, those of who contributes included."""
    metric = metric_of(clause)
    return frozenset((metric, RELATED.get(metric, metric)))


def needed(contract: ContractRegistered) -> set[str]:
    """Return the metrics whose observations a contract needs."""
    return {metric for clause in contract.clauses for metric in metrics_of(clause)}


def period_of(clause: Clause) -> int:
    """Return the period over which a clause is accounted for, ms."""
    return clause.period_ms or PERIOD_MS


def same_promise(one: Clause, other: Clause) -> bool:
    """Return whether two clauses are judged and accounted for alike."""
    return _bare(one) == _bare(other)


def _bare(clause: Clause) -> Clause:
    return replace(clause, name="", priority=0, severity="")


def _concerns(clause: Clause, window: Observation) -> bool:
    return (
        window.metric == metric_of(clause)
        and clause.stage in ("", window.stage)
        and clause.service in ("", window.service)
        and clause.instance in ("", window.instance)
    )


def _coarsest(windows: Sequence[Observation]) -> tuple[Observation, ...]:
    depths = [bool(one.stage) + bool(one.service) + bool(one.instance) for one in windows]
    least = min(depths, default=0)
    return tuple(one for one, depth in zip(windows, depths, strict=True) if depth == least)
