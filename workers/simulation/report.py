"""Everything that a simulated run tells about itself. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from workers.scheduling.jobs import Batch, Decision, Ended, Job
from workers.simulation.backlog import Backlog
from workers.simulation.scenario import Scenario
from workers.simulation.tally import OTHER, Tally

_SAMPLES = 200
_MOST_WORDS = 50
_ROUNDING_MS = 1e-6
"""Sums of times are off by less; an answer at its deadline is in time."""
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?")


class Report:
    """Counts what the simulator tells it; memory is bounded however long that goes on."""

    def __init__(self, scenario: Scenario, order: str) -> None:
        self.total = Tally()
        self.services = {service.name: Tally() for service in scenario.services}
        self.ended_at_ms = 0.0
        self.busy_ms = 0.0
        self._scenario = scenario
        self._order = order
        self._wasted_ms = 0.0
        self._backlog = Backlog(scenario.duration_ms / _SAMPLES)
        self._waiting = dict.fromkeys(self.services, 0)
        self._unserved_since: dict[str, float] = {}
        self._begun: Counter[str] = Counter()
        self._waits: Counter[str] = Counter()

    def came(self, job: Job, now: float) -> None:
        """Take note of a frame."""
        self._backlog.until(now, self._waiting)
        for tally in (self.total, self.services[job.service]):
            tally.came(job.value)
        if not self._waiting[job.service]:
            self._unserved_since[job.service] = now
        self._waiting[job.service] += 1

    def went(self, ended: Iterable[Ended], now: float) -> None:
        """Take note of frames that ended without execution."""
        for one in ended:
            for tally in (self.total, self.services[one.job.service]):
                tally.ended(one)
            self._left(one.job.service, now)

    def decided(self, decision: Decision) -> None:
        """Count what was decided, by why."""
        if decision.batch is not None:
            _count(self._begun, decision.why)
        elif decision.wake_at is not None:
            _count(self._waits, decision.why)

    def begins(self, batch: Batch, now: float) -> None:
        """Take note of an execution that begins."""
        self._backlog.until(now, self._waiting)
        self._gap(batch.service, now)
        self._waiting[batch.service] -= len(batch.jobs)

    def executed(self, batch: Batch, began: float, now: float) -> None:
        """Take note of an execution that is over."""
        took = now - began
        self.busy_ms += took
        tallies = (self.total, self.services[batch.service])
        for tally in tallies:
            tally.batches += 1
        late = 0
        for job in batch.jobs:
            value = job.value if now <= job.deadline + _ROUNDING_MS else None
            late += value is None
            for tally in tallies:
                tally.executed(began - job.arrived, took, now - job.arrived, value)
        self._wasted_ms += took * late / len(batch.jobs)
        if self._waiting[batch.service]:
            self._unserved_since[batch.service] = now

    def close(self, now: float) -> None:
        """Take note that everything is over."""
        self._backlog.until(now, self._waiting)
        self.ended_at_ms = now

    def summary(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        ended_at = self.ended_at_ms
        return {
            "scenario": self._scenario.name,
            "order": self._order,
            "seed": self._scenario.seed,
            "ended_at_ms": round(ended_at, 3),
            "busy_share": self.busy_ms / ended_at if ended_at else 0.0,
            "wasted_share": self._wasted_ms / ended_at if ended_at else 0.0,
            "decisions": {
                "begun": dict(self._begun.most_common()),
                "waited": dict(self._waits.most_common()),
            },
            "total": self.total.summary(),
            "services": {name: tally.summary() for name, tally in self.services.items()},
            "backlog": {"every_ms": self._backlog.every_ms, "samples": self._backlog.samples()},
        }

    def _left(self, service: str, now: float) -> None:
        self._waiting[service] -= 1
        if not self._waiting[service]:
            self._gap(service, now)

    def _gap(self, service: str, now: float) -> None:
        since = self._unserved_since.pop(service, None)
        if since is not None:
            for tally in (self.total, self.services[service]):
                tally.gap(now - since)


def _count(words: Counter[str], why: str) -> None:
    """Count a reason; reasons that differ in numbers only are one."""
    why = _NUMBER.sub("n", why)
    words[why if why in words or len(words) < _MOST_WORDS else OTHER] += 1
