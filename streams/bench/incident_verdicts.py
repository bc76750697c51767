"""What the other tiers say while an incident unfolds: clauses, rules, outliers, drifts.

Each is raised after two or more windows that break it, and withdrawn after as many that do not, as
the processors do. Some alarms are false.
"""

import math
import statistics
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from schemas.base import Event
from schemas.observing import ContractViolated, DriftDetected, QualityEvaluated
from streams.bench.incident_measures import Measured
from streams.bench.incident_world import APP, SERVICES, START, STEP_MS

_LEARNED = 40
_SPELL = 2


@dataclass(slots=True)
class Standing:
    """How a judged value stands: its usual level, windows against it in a row, whether raised."""

    usual: list[float] = field(default_factory=list)
    level: float = math.nan
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=4))
    against: int = 0
    raised: bool = False

    def turn(self, value: float, factor: float, difference: float) -> bool:
        """Take a value; return whether the verdict turns. The first forty are learned from."""
        self.recent.append(value)
        if len(self.usual) < _LEARNED:
            self.usual.append(value)
            return False
        if math.isnan(self.level):
            self.level = statistics.median(self.usual)
        now = sum(self.recent) / len(self.recent)
        limit = self.level * factor + difference
        broken = now > limit if factor > 1 or difference > 0 else now < limit
        self.against = self.against + 1 if broken != self.raised else 0
        if self.against < _SPELL:
            return False
        self.raised, self.against = not self.raised, 0
        return True


class Judges:
    """All judges of one incident.

    `raised` keeps the windows of verdicts that were raised, each with the service that it is about,
    empty for the application as a whole.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._standings: dict[str, Standing] = {}
        self._drifts: dict[str, tuple[int, DriftDetected]] = {}
        self._false = int(rng.integers(45, 95)) if rng.random() < 0.4 else -1
        self._accused = str(rng.choice(list(SERVICES)))
        self.raised: list[tuple[int, str]] = []

    def say(self, found: Measured, window: int, causes: dict[str, str]) -> Iterator[Event]:
        """Yield what is said of a window; `causes` tells what drifts of a service come of."""
        now = START + (window + 1) * STEP_MS + 400
        told = [
            *self._clauses(found, window, now),
            *self._rules(found, window, now),
            *self._told_drifts(found, window, now, causes),
        ]
        self.raised += [(window, getattr(e, "service", "")) for e in told if _is_raised(e)]
        yield from told
        if window in (self._false, self._false + 8):
            verdict = "degraded" if window == self._false else "healthy"
            yield _quality("anomaly", "weir", self._accused, "agreement", verdict, window, now)

    def _turned(self, key: str, value: float, factor: float, difference: float) -> bool | None:
        """Return the new state of a verdict when it turns, else None."""
        standing = self._standings.setdefault(key, Standing())
        return standing.raised if standing.turn(value, factor, difference) else None

    def _clauses(self, found: Measured, window: int, now: int) -> Iterator[Event]:
        raised = self._turned("in-time", found.response_p95, 1.2, 0.0)
        if raised is not None:
            yield _violation("in-time", "response_latency", raised, window, now)
        right = found.values[("", "", "", "", "accuracy")]
        raised = self._turned("right", right, 1.0, -0.06)
        if raised is not None:
            yield _violation("right", "accuracy", raised, window, now)

    def _rules(self, found: Measured, window: int, now: int) -> Iterator[Event]:
        for (_, service, instance, _, metric), value in found.values.items():
            if metric == "failure":
                raised = self._turned(f"failure {instance}", value, 1.0, 0.05)
            elif metric == "availability":
                raised = self._turned(f"there {service}", value, 1.0, -0.3)
            elif metric == "latency":
                raised = self._turned(f"latency {instance}", value, 1.6, 0.0)
            elif metric == "confidence" and instance:
                raised = self._turned(f"sure {instance}", value, 1.0, -0.05)
            else:
                continue
            if raised is not None:
                tier, rule = ("anomaly", "weir") if metric == "latency" else ("rules", metric)
                verdict = "degraded" if raised else "healthy"
                yield _quality(tier, rule, service, metric, verdict, window, now, instance)

    def _told_drifts(
        self, found: Measured, window: int, now: int, causes: dict[str, str]
    ) -> Iterator[Event]:
        """Tell drifts of error, some windows after a service has become worse for good."""
        for name in SERVICES:
            right = found.right[name]
            standing = self._standings.setdefault(f"drift {name}", Standing())
            if standing.turn(right, 1.0, -0.08) and standing.raised:
                since = now - int(self._rng.integers(0, 8)) * STEP_MS
                told = window + int(self._rng.integers(2, 8))
                self._drifts[name] = told, _drift(name, since, told, causes.get(name, ""))
            if name in self._drifts and self._drifts[name][0] <= window:
                yield self._drifts.pop(name)[1]


def _is_raised(event: Event) -> bool:
    if isinstance(event, ContractViolated):
        return event.status == "violated"
    return not isinstance(event, QualityEvaluated) or event.verdict == "degraded"


def _violation(clause: str, metric: str, raised: bool, window: int, now: int) -> ContractViolated:
    return ContractViolated(
        event_id=f"{clause}-{window}",
        contract="desk",
        contract_version=1,
        clause=clause,
        app=APP,
        consumer="desk",
        metric=metric,
        status="violated" if raised else "cleared",
        observed=0.0,
        threshold=0.0,
        operator=">=",
        since=now - _SPELL * STEP_MS,
        window_start=now - STEP_MS,
        window_end=now,
        evaluated_at=now,
        severity="critical",
    )


def _quality(
    tier: str,
    rule: str,
    service: str,
    metric: str,
    verdict: str,
    window: int,
    now: int,
    instance: str = "",
) -> QualityEvaluated:
    return QualityEvaluated(
        event_id=f"{tier}-{service}-{instance}-{metric}-{window}",
        app=APP,
        stage=SERVICES[service].stage,
        service=service,
        instance=instance,
        metric=metric,
        tier=tier,
        rule=rule,
        verdict=verdict,
        severity="warning",
        score=1.0,
        window_end=now - 400,
        evaluated_at=now,
    )


def _drift(service: str, since: int, told: int, cause: str) -> DriftDetected:
    return DriftDetected(
        event_id=f"drift-{service}-{told}",
        app=APP,
        stage=SERVICES[service].stage,
        service=service,
        instance="",
        node="",
        metric="error",
        detector="adwin",
        status="confirmed",
        kind="sudden",
        cause_class="error",
        before=0.1,
        after=0.3,
        width=200,
        degree=0.2,
        since=since,
        detected_at=START + (told + 1) * STEP_MS,
        cause=cause,
    )
