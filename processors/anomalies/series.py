"""One series under a detector: its verdict, and the events that tell it."""

import math
from dataclasses import dataclass

from processors.rules.verdicts import DEGRADED, HEALTHY
from schemas.identity import stable_id
from schemas.observing import Finding, Observation, QualityEvaluated

TIER = "anomaly"
_Key = tuple[str, ...]
"""App, stage, service, instance, node, metric, unit and window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesState:
    """A series as state: `memory` is the row of its detector, doubles, little-endian."""

    key: _Key
    detector: str
    last_end: int
    older: int
    raised: bool
    quiet: int
    memory: bytes


@dataclass(slots=True)
class Watched:
    """A series: the row of its memory, the newest window judged, older ones in a row since.

    `quiet` counts the windows in a row that were not flagged while its verdict is bad.
    """

    key: _Key
    detector: str
    row: int
    last_end: int = 0
    older: int = 0
    raised: bool = False
    quiet: int = 0

    @classmethod
    def of(cls, state: SeriesState, row: int) -> "Watched":
        """Return a series that was saved."""
        return cls(
            state.key, state.detector, row, state.last_end, state.older, state.raised, state.quiet
        )

    def state(self, memory: bytes) -> SeriesState:
        """Return it as state."""
        return SeriesState(
            key=self.key,
            detector=self.detector,
            last_end=self.last_end,
            older=self.older,
            raised=self.raised,
            quiet=self.quiet,
            memory=memory,
        )

    def follows(self, seen: Observation, back: int) -> bool:
        """Take note of a window; return whether it is to be judged."""
        self.older = self.older + 1 if seen.window_end <= self.last_end else 0
        if 0 < self.older < back:
            return False
        self.older, self.last_end = 0, seen.window_end
        return True

    def turn(self, score: float, rate: float, *, new: bool, clear: int) -> bool:
        """Take note of a judgement; return whether the verdict changes."""
        flagged = score >= -math.log10(rate)
        self.quiet = 0 if flagged else self.quiet + 1
        turns = self.quiet >= clear if self.raised else flagged and new
        self.raised = self.raised != turns
        return turns


@dataclass(frozen=True, slots=True)
class Due:
    """A window that waits to be judged: statistics of it, their values, the rate of its series."""

    series: Watched
    seen: Observation
    statistics: tuple[str, ...]
    values: tuple[float, ...]
    rate: float


def key_of(seen: Observation) -> _Key:
    """Return the key of the series that a window is of."""
    return (
        seen.app,
        seen.stage,
        seen.service,
        seen.instance,
        seen.node,
        seen.metric,
        seen.unit,
        seen.window,
    )


def judged(due: Due, score: float, usual: float, now_ms: int) -> QualityEvaluated:
    """Return the verdict that a window changes; `usual` is what its series was before."""
    one, seen = due.series, due.seen
    limit = -math.log10(due.rate)
    return QualityEvaluated(
        event_id=stable_id("anomaly", *one.key, one.detector, seen.window_start, seen.window_end),
        app=seen.app,
        stage=seen.stage,
        service=seen.service,
        instance=seen.instance,
        metric=seen.metric,
        tier=TIER,
        rule=one.detector,
        verdict=DEGRADED if one.raised else HEALTHY,
        severity="warning",
        score=(score - limit) / limit,
        findings=(
            Finding(
                what=f"{due.statistics[0]} of {seen.metric}", observed=due.values[0], expected=usual
            ),
            Finding(what="p-value", observed=10.0**-score, expected=due.rate),
        ),
        window_end=seen.window_end,
        evaluated_at=now_ms,
        causes=(seen.event_id,),
    )


def withdrawn(one: Watched, why: str, now_ms: int) -> QualityEvaluated:
    """Return the event that ends a bad verdict on a series that is not judged on."""
    app, stage, service, instance, _, metric, _, _ = one.key
    return QualityEvaluated(
        event_id=stable_id("anomaly", "withdrawn", *one.key, one.detector, one.last_end),
        app=app,
        stage=stage,
        service=service,
        instance=instance,
        metric=metric,
        tier=TIER,
        rule=one.detector,
        verdict=HEALTHY,
        severity="info",
        score=0.0,
        findings=(Finding(what=why, observed=0.0, expected=0.0),),
        window_end=one.last_end,
        evaluated_at=now_ms,
    )
