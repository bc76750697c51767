"""Why a contract cannot be judged: its clauses one by one, then what no value meets together.

A clause is wrong by itself where its words are unknown, its numbers make no sense, or no value
that its metric can have meets it. Two clauses contradict each other where no steady series meets
both: the same statistic must be above what it must be below, or a statistic that is never larger
than another must be above what that one must be below. Where they are judged at places that may
differ, they do not.
"""

import itertools
import math
from collections.abc import Iterator, Mapping

from processors.contracts.clauses import LOWER, metric_of, tolerated
from processors.measures import ADDED, objection
from processors.vocabulary import DERIVED, PARTIAL_SHARES
from schemas.registrations import Clause, ContractRegistered, MetricDefined

MAX_WINDOW_MS = 3_600_000
MAX_PERIOD_MS = 366 * 86_400_000
SEVERITIES = ("", "info", "warning", "critical")
Limits = Mapping[str, tuple[float, float]]
"""The least and the largest value of metrics that have such."""
_RISING = (("min", "p50", "p90", "p95", "p99", "max"), ("min", "mean", "max"))
"""Statistics in the orders in which no later one is smaller."""


def limits_of(defined: Mapping[str, MetricDefined]) -> dict[str, tuple[float, float]]:
    """Return what values defined metrics may have."""
    return {
        one.metric: (
            -math.inf if one.low is None else one.low,
            math.inf if one.high is None else one.high,
        )
        for one in defined.values()
    }


def reasons_against(contract: ContractRegistered, limits: Limits) -> list[str]:
    """Return why a contract cannot be judged; empty when it can."""
    reasons = list(_of_contract(contract))
    for clause in contract.clauses:
        reasons += [f"clause {clause.name}: {why}" for why in _of_clause(clause, limits)]
    if not reasons:
        reasons += _contradictions(contract)
    return reasons


def _of_contract(contract: ContractRegistered) -> Iterator[str]:
    if not contract.clauses:
        yield "it needs at least one clause"
    names = [clause.name for clause in contract.clauses]
    if "" in names:
        yield "a clause has no name"
    if len(set(names)) != len(names):
        yield "two clauses have the same name"
    begin, end = contract.valid_from, contract.valid_until
    if begin is not None and end is not None and begin >= end:
        yield "valid_until is not after valid_from, so it would never be in force"


def _of_clause(clause: Clause, limits: Limits) -> Iterator[str]:
    if not clause.metric:
        yield "it names no metric"
    if why := objection(clause.statistic, clause.operator):
        yield why
        return
    if not 0 < clause.window_ms <= MAX_WINDOW_MS:
        yield f"window_ms is {clause.window_ms}; it must be within 1 and {MAX_WINDOW_MS}"
    if not (math.isfinite(clause.tolerance) and clause.tolerance >= 0):
        yield f"tolerance is {clause.tolerance}; it must be a finite number of at least 0"
    if not math.isfinite(clause.threshold):
        yield f"threshold is {clause.threshold}; it must be a finite number"
    if not 0 <= clause.objective < 1:
        yield f"objective is {clause.objective}; it must be from 0 to below 1, where 0 means all"
    if clause.period_ms and not clause.window_ms <= clause.period_ms <= MAX_PERIOD_MS:
        yield f"period_ms is {clause.period_ms}; it must be within window_ms and {MAX_PERIOD_MS}"
    if clause.severity not in SEVERITIES:
        yield f"severity {clause.severity!r} is unknown; known: {', '.join(SEVERITIES[1:])}"
    yield from _never(clause, limits)


def _never(clause: Clause, limits: Limits) -> Iterator[str]:
    """Yield why no value that there can be meets a clause."""
    low, high = _range(clause, limits)
    bound, comparison = tolerated(clause), clause.operator
    if comparison in LOWER:
        met = low < bound or (comparison == "<=" and low == bound)
    else:
        met = high > bound or (comparison == ">=" and high == bound)
    if not met:
        within = f"from {low:g} to {high:g}"
        yield f"no value meets it: {clause.statistic} of {metric_of(clause)} is {within}"
    if clause.statistic == "count" and comparison in LOWER and bound < clause.min_count:
        yield f"it is judged from min_count {clause.min_count} events on, and needs fewer"


def _range(clause: Clause, limits: Limits) -> tuple[float, float]:
    if clause.statistic in ("count", "rate"):
        return 0.0, math.inf
    low, high = limits.get(metric_of(clause), _derived(metric_of(clause)))
    if clause.statistic in ADDED:
        return (0.0 if low >= 0 else -math.inf), (0.0 if high <= 0 else math.inf)
    return low, high


def _derived(metric: str) -> tuple[float, float]:
    """Return what values a metric of derive may have: shares, or times."""
    if metric.startswith(PARTIAL_SHARES):
        return 0.0, 1.0
    if metric not in DERIVED:
        return -math.inf, math.inf
    return 0.0, math.inf if DERIVED[metric].unit else 1.0


def _contradictions(contract: ContractRegistered) -> Iterator[str]:
    for one, other in itertools.permutations(contract.clauses, 2):
        if one.operator in LOWER or other.operator not in LOWER:
            continue
        if _place(one) == _place(other) and _never_larger(one.statistic, other.statistic):
            least, most = tolerated(one), tolerated(other)
            closed = one.operator == ">=" and other.operator == "<="
            if least > most or (least == most and not closed):
                yield (
                    f"clauses {one.name} and {other.name} contradict each other: no value has "
                    f"{one.statistic} {one.operator} {least:g} and "
                    f"{other.statistic} {other.operator} {most:g}"
                )


def _place(clause: Clause) -> tuple[str, ...]:
    span = str(clause.window_ms) if clause.statistic in ("count", "sum") else ""
    return metric_of(clause), clause.stage, clause.service, clause.instance, span


def _never_larger(one: str, other: str) -> bool:
    """Return whether a statistic is never larger than another of the same values."""
    return one == other or any(
        one in order and other in order and order.index(one) < order.index(other)
        for order in _RISING
    )
