"""One series under a detector: its verdict, and the events that tell it."""

import math
from dataclasses import dataclass, fields, replace

from processors.rules.silencing import Subject, node_down, silence_of
from processors.rules.verdicts import DEGRADED, HEALTHY
from schemas.catalogue import Catalogue
from schemas.identity import stable_id
from schemas.observing import Finding, QualityEvaluated
from schemas.quality import SilenceDefined

TIER = "anomaly"
Key = tuple[str, ...]
"""App, stage, service, instance, node, metric, unit and window."""
METRIC = 5
KEYS = ("app", "stage", "service", "instance", "node", "metric", "unit", "window")
"""The same as columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesState:
    """A series as state: `memory` is the row of its detector, doubles, little-endian."""

    key: Key
    detector: str
    last_end: int
    older: int
    raised: bool
    quiet: int
    memory: bytes
    spell: str = ""
    since: int = 0
    score: float = 0.0
    observed: float = 0.0
    usual: float = 0.0
    silenced_by: str = ""
    told: bool = False


@dataclass(slots=True)
class Watched:
    """A series: the row of its memory, the newest window judged, older ones in a row since.

    `quiet` counts the windows in a row that were not flagged while its verdict is bad. The rest is
    about the verdict that is raised: the id of the event that said so, the begin of its window,
    what it said, what silences it, and whether it was told on.
    """

    key: Key
    detector: str
    row: int
    last_end: int = 0
    older: int = 0
    raised: bool = False
    quiet: int = 0
    spell: str = ""
    since: int = 0
    score: float = 0.0
    observed: float = 0.0
    usual: float = 0.0
    silenced_by: str = ""
    told: bool = False

    @classmethod
    def of(cls, state: SeriesState, row: int) -> "Watched":
        """Return a series that was saved."""
        return cls(**{name: getattr(state, name) for name in _KEPT}, row=row)

    def state(self, memory: bytes) -> SeriesState:
        """Return it as state."""
        return SeriesState(**{name: getattr(self, name) for name in _KEPT}, memory=memory)

    def follows(self, end: int, back: int) -> bool:
        """Take note of the end of a window; return whether it is to be judged."""
        self.older = self.older + 1 if end <= self.last_end else 0
        if 0 < self.older < back:
            return False
        self.older, self.last_end = 0, end
        return True

    def turn(self, *, flagged: bool, new: bool, clear: int) -> bool:
        """Take note of a judgement; return whether the verdict changes."""
        self.quiet = self.quiet + 1 if self.raised and not flagged else 0
        turns = self.quiet >= clear if self.raised else flagged and new
        if turns:
            self.raised, self.quiet = not self.raised, 0
        return turns

    def silence(self, catalogue: Catalogue, now_ms: int) -> str:
        """Return what silences a verdict on it now; empty for nothing."""
        app, stage, service, instance, node, _, _, _ = self.key
        subject = Subject(app, stage, service, instance, node, self.detector, TIER)
        silences = catalogue.of(SilenceDefined)
        return silence_of(subject, silences, now_ms) or node_down(subject, catalogue, now_ms)


_KEPT = tuple(one.name for one in fields(SeriesState) if one.name != "memory")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was judged of a window: values beside what is usual, how rare, at which accepted rate.

    `causes` are the ids of the observations.
    """

    start: int
    end: int
    score: float
    rate: float
    findings: tuple[Finding, ...]
    causes: tuple[str, ...]


def judged(one: Watched, seen: Judgement, silenced_by: str, now_ms: int) -> QualityEvaluated:
    """Return the verdict that a window changes, and let its series remember it."""
    limit = -math.log10(seen.rate)
    event_id = stable_id("anomaly", *one.key, one.detector, seen.start, seen.end)
    if one.raised:
        one.spell, one.since, one.told = event_id, seen.start, not silenced_by
        first = seen.findings[0]
        one.observed, one.usual, one.silenced_by = first.observed, first.expected, silenced_by
        one.score = (seen.score - limit) / limit
    chance = Finding(what="p-value", observed=10.0**-seen.score, expected=seen.rate)
    event = _event(one, event_id, (*seen.findings, chance), seen.end, now_ms)
    return replace(event, score=(seen.score - limit) / limit, causes=seen.causes)


def again(one: Watched, now_ms: int) -> QualityEvaluated:
    """Return the event that tells a raised verdict which is no longer silenced."""
    one.silenced_by, one.told = "", True
    what = f"still unusual: {one.key[METRIC]}"
    finding = Finding(what=what, observed=one.observed, expected=one.usual)
    event = _event(one, stable_id("anomaly", "again", one.spell), (finding,), one.last_end, now_ms)
    return replace(event, score=one.score, causes=(one.spell,))


def withdrawn(one: Watched, why: str, now_ms: int) -> QualityEvaluated:
    """Return the event that ends a bad verdict on a series that is not judged on."""
    event_id = stable_id("anomaly", "withdrawn", *one.key, one.detector, one.last_end)
    one.raised = False
    finding = Finding(what=why, observed=0.0, expected=0.0)
    return replace(_event(one, event_id, (finding,), one.last_end, now_ms), severity="info")


def _event(
    one: Watched, event_id: str, findings: tuple[Finding, ...], end: int, now_ms: int
) -> QualityEvaluated:
    app, stage, service, instance, node, metric, _, _ = one.key
    return QualityEvaluated(
        event_id=event_id,
        app=app,
        stage=stage,
        service=service,
        instance=instance,
        metric=metric,
        tier=TIER,
        rule=one.detector,
        verdict=DEGRADED if one.raised else HEALTHY,
        severity="warning",
        score=0.0,
        findings=findings,
        window_end=end,
        evaluated_at=now_ms,
        node=node,
        since=one.since,
        spell=one.spell,
        silenced_by=one.silenced_by if one.raised or not one.told else "",
    )
