"""The demonstration's summary, from SQL alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import dropwhile, pairwise
from typing import Any

import numpy as np

from streams.demo.queries import ANSWERS, COUNTS, FIRST_DRIFT, Ask, Rows, Selection, selections


@dataclass(frozen=True, slots=True)
class Phases:
    """Generations that bound the phases; None where there was no corruption or no switch.

    `first_switch` is the first generation after the corruption with other members than those in
    force when it began, `last_switch` the last generation that changed the members.
    """

    corrupted_at: int | None
    first_switch: int | None
    last_switch: int | None


def phases(found: Sequence[Selection], corrupted_at: int | None) -> Phases:
    """Return the phases of a run from its selections, oldest first."""
    changes = [
        (after.at, after.generation)
        for before, after in pairwise(found)
        if before.members != after.members
    ]
    if corrupted_at is None:
        return Phases(None, None, None)
    later = [generation for at, generation in changes if at >= corrupted_at]
    return Phases(corrupted_at, later[0] if later else None, later[-1] if later else None)


def summarise(
    ask: Ask, app: str, seed: int, corrupted_at: int | None, seconds: float
) -> dict[str, Any]:
    """Return the summary that `weir demo --json` prints.

    Accuracies are shares of 1 among labelled answers: `before` the corruption, `corrupted` until
    the first other ensemble answers, `recovered` since all members of the last one serve; null
    where there is none.
    """
    answers = ask(ANSWERS, {"app": app})
    bounds = phases(selections(ask, app), corrupted_at)
    counts = ask(COUNTS, {"app": app})[0]
    times = [row["latency_ms"] for row in answers]
    return {
        "seed": seed,
        **counts,
        "accuracy": _accuracies(answers, bounds),
        "detection_delay_s": _delay(ask, app, corrupted_at),
        "latency_ms": {"p50": _percentile(times, 50), "p99": _percentile(times, 99)},
        "statuses": _statuses(answers),
        "seconds": round(seconds, 1),
    }


def _accuracies(answers: Rows, bounds: Phases) -> dict[str, float | None]:
    start, first, last = bounds.corrupted_at, bounds.first_switch, bounds.last_switch
    if start is None:
        return {"before": _accuracy(answers), "corrupted": None, "recovered": None}
    bad = [row for row in answers if row["at"] >= start]
    return {
        "before": _accuracy(row for row in answers if row["at"] < start),
        "corrupted": _accuracy(row for row in bad if first is None or row["generation"] < first),
        "recovered": None if last is None else _accuracy(served(bad, last)),
    }


def served(answers: Rows, generation: int) -> Rows:
    """Return the answers, oldest first, since all members of a generation, or a later one, serve.

    Its first answers, while workers start and models are loaded, are partial or fail.
    """
    own = [row for row in answers if row["generation"] >= generation]
    return list(dropwhile(lambda row: row["status"] != "complete", own))


def _accuracy(answers: Iterable[dict[str, Any]]) -> float | None:
    right = [bool(row["right"]) for row in answers if row["labelled"]]
    return round(sum(right) / len(right), 4) if right else None


def _delay(ask: Ask, app: str, corrupted_at: int | None) -> float | None:
    if corrupted_at is None:
        return None
    at = ask(FIRST_DRIFT, {"app": app, "since": corrupted_at})[0]["at"]
    return round((at - corrupted_at) / 1000, 2) if at else None


def _percentile(values: list[float], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 2) if values else None


def _statuses(answers: Rows) -> dict[str, int]:
    found = [row["status"] for row in answers]
    return {status: found.count(status) for status in sorted(set(found))}
