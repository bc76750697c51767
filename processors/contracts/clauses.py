"""One clause of a contract over the observations of its span: what holds, who had which part.

A clause is judged at the coarsest level that reports its metric: the application as a whole
where that exists, else its stages, else its services, else their instances; never at two at
once. How the statistics of several windows add up is told in `processors.measures`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processors.measures import combined, holds, objection
from processors.vocabulary import RELATED, known, listing
from schemas.observing import Contribution, Observation
from schemas.registrations import Clause, ContractRegistered

MAX_WINDOW_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Judged:
    """What a clause came to over a span: the value, whether it holds, and of what."""

    observed: float
    holds: bool
    windows: tuple[Observation, ...]


def judge(clause: Clause, windows: Iterable[Observation]) -> Judged | None:
    """Return what a clause came to over windows of its span; None with too few events."""
    chosen = tuple(_coarsest([window for window in windows if _concerns(clause, window)]))
    if sum(window.count for window in chosen) < max(1, clause.min_count):
        return None
    observed = combined(chosen, clause.statistic)
    return Judged(observed, holds(observed, clause.operator, tolerated(clause)), chosen)


def tolerated(clause: Clause) -> float:
    """Return the threshold with the tolerance, which is a share of it, granted."""
    margin = abs(clause.threshold) * clause.tolerance
    return clause.threshold + (margin if clause.operator in ("<", "<=") else -margin)


def contributions(
    clause: Clause, observed: float, windows: Sequence[Observation]
) -> tuple[Contribution, ...]:
    """Return the services' shares of a violation, largest first; they add up to 1.

    A service's share is its own excess over the threshold, weighted by its events. When no
    service reports the metric, or none exceeds the threshold by itself, the clause's own level
    has all of it.
    """
    excess: dict[tuple[str, str], tuple[float, float]] = {}
    for place, part in _by_service(clause, windows).items():
        value = combined(part, clause.statistic)
        beyond = value - clause.threshold
        beyond = beyond if clause.operator in ("<", "<=") else -beyond
        if beyond > 0:
            excess[place] = (value, beyond * sum(window.count for window in part))
    total = sum(weighted for _, weighted in excess.values())
    if not total:
        whole = Contribution(
            stage=clause.stage, service=clause.service, observed=observed, share=1.0
        )
        return (whole,)
    parts = [
        Contribution(stage=stage, service=service, observed=value, share=weighted / total)
        for (stage, service), (value, weighted) in excess.items()
    ]
    return tuple(sorted(parts, key=lambda part: (-part.share, part.stage, part.service)))


def reasons_against(contract: ContractRegistered, defined: Sequence[str]) -> list[str]:
    """Return why a contract cannot be judged; empty when it can. `defined`: further metrics."""
    reasons = [_reason(clause, defined) for clause in contract.clauses]
    names = [clause.name for clause in contract.clauses]
    if len(set(names)) != len(names):
        reasons.append("two clauses have the same name")
    return [reason for reason in reasons if reason]


def metrics_of(contract: ContractRegistered) -> set[str]:
    """Return the metrics whose observations a contract needs."""
    named = {clause.metric for clause in contract.clauses}
    return named | {RELATED[metric] for metric in named if metric in RELATED}


def _reason(clause: Clause, defined: Sequence[str]) -> str:
    where = f"clause {clause.name}: "
    if not known(clause.metric, defined):
        return (
            f"{where}nobody can report metric {clause.metric!r}; known: {listing(defined)}; "
            "define it with MetricDefined to report it yourself"
        )
    if not 0 < clause.window_ms <= MAX_WINDOW_MS:
        return f"{where}window_ms is {clause.window_ms}; it must be within 1 and {MAX_WINDOW_MS}"
    if clause.tolerance < 0:
        return f"{where}tolerance is {clause.tolerance}; it must be at least 0"
    why = objection(clause.statistic, clause.operator)
    return f"{where}{why}" if why else ""


def _concerns(clause: Clause, window: Observation) -> bool:
    return (
        window.metric == clause.metric
        and clause.stage in ("", window.stage)
        and clause.service in ("", window.service)
    )


def _coarsest(windows: Sequence[Observation]) -> Iterable[Observation]:
    depths = [_depth(window) for window in windows]
    least = min(depths, default=0)
    return (window for window, depth in zip(windows, depths, strict=True) if depth == least)


def _depth(window: Observation) -> int:
    return sum(field != "" for field in (window.stage, window.service, window.instance))


def _by_service(
    clause: Clause, windows: Sequence[Observation]
) -> dict[tuple[str, str], list[Observation]]:
    metric = clause.metric
    if not any(window.metric == metric and window.service for window in windows):
        metric = RELATED.get(metric, metric)
    found: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for window in windows:
        if window.metric == metric and window.service:
            found[window.stage, window.service].append(window)
    return {place: list(_coarsest(part)) for place, part in found.items()}
