"""What a worker did with its work, live or simulated; memory stays bounded. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from workers.accounting.backlog import Backlog
from workers.accounting.tally import OTHER, Spent, Tally
from workers.scheduling.jobs import Batch, Decision, Ended, Job

MOST_SERVICES = 500
"""Services beyond count together, so that a worker that goes on for years stays small."""
OTHERS = "(other)"
_MOST_WORDS = 50
_ROUNDING_MS = 1e-6
"""Sums of times are off by less; an answer at its deadline is in time."""
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?")
_NONE: Mapping[str, str] = {}


class Account:
    """Counts what it is told, as it happens; times in ms on the axis of the jobs.

    `services` are told of from the beginning, others from their first job. `began` is when the
    account begins, `every_ms` how far apart samples of the backlog are at first.
    """

    def __init__(
        self, services: Iterable[str] = (), *, began: float = 0.0, every_ms: float = 1000.0
    ) -> None:
        self.total = Tally()
        self.services = {name: Tally() for name in services}
        self.began = began
        self.until = began
        self.busy_ms = 0.0
        self._wasted_ms = 0.0
        self._backlog = Backlog(every_ms)
        self._waiting: Counter[str] = Counter()
        self._unserved_since: dict[str, float] = {}
        self._begun: Counter[str] = Counter()
        self._waits: Counter[str] = Counter()

    @property
    def waiting(self) -> Mapping[str, int]:
        """Return how many jobs wait, by service."""
        return self._waiting

    def came(self, job: Job, now: float) -> None:
        """Take note of a job."""
        self._pass(now)
        for tally in self._tallies(job.service):
            tally.came(job.value)
        if not self._waiting[job.service]:
            self._unserved_since[job.service] = now
        self._waiting[job.service] += 1

    def unusable(self, service: str, reason: str) -> None:
        """Take note of a job that never waited, because its input cannot be used."""
        for tally in self._tallies(service):
            tally.came(0.0)
            tally.broke(reason)

    def went(self, ended: Iterable[Ended], now: float) -> None:
        """Take note of jobs that ended without execution."""
        for one in ended:
            self._pass(now)
            for tally in self._tallies(one.job.service):
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
        self._pass(now)
        self._gap(batch.service, now)
        self._take(batch.service, len(batch.jobs))

    def executed(
        self, batch: Batch, began: float, now: float, failed: Mapping[str, str] = _NONE
    ) -> None:
        """Take note of an execution that is over; `failed` says why, for jobs without an answer."""
        took = now - began
        self.busy_ms += took
        self.until = max(self.until, now)
        tallies = self._tallies(batch.service)
        for tally in tallies:
            tally.batches += 1
        useless = 0
        for job in batch.jobs:
            broken = failed.get(job.id)
            value = job.value if now <= job.deadline + _ROUNDING_MS else None
            useless += broken is not None or value is None
            spent = Spent(began - job.arrived, took, now - job.arrived)
            for tally in tallies:
                if broken is None:
                    tally.executed(spent, value)
                else:
                    tally.broke(broken)
        self._wasted_ms += took * useless / len(batch.jobs)
        if batch.service in self._waiting:
            self._unserved_since[batch.service] = now

    def close(self, now: float) -> None:
        """Take note that everything is over."""
        self._pass(now)

    def summary(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it; instants are ms after the beginning."""
        lasted = self.until - self.began
        return {
            "lasted_ms": round(lasted, 3),
            "busy_share": self.busy_ms / lasted if lasted else 0.0,
            "wasted_share": self._wasted_ms / lasted if lasted else 0.0,
            "decisions": {
                "begun": dict(self._begun.most_common()),
                "waited": dict(self._waits.most_common()),
            },
            "total": self.total.summary(),
            "services": {name: tally.summary() for name, tally in self.services.items()},
            "backlog": {"every_ms": self._backlog.every_ms, "samples": self._backlog.samples()},
        }

    def _tallies(self, service: str) -> tuple[Tally, ...]:
        """Return all tallies in which a job of this service counts."""
        own = self.services.get(service)
        if own is None:
            if len(self.services) >= MOST_SERVICES:
                service = OTHERS
            own = self.services.setdefault(service, Tally())
        return (self.total, own)

    def _pass(self, now: float) -> None:
        self._backlog.until(now - self.began, self._waiting)
        self.until = max(self.until, now)

    def _left(self, service: str, now: float) -> None:
        self._take(service, 1)
        if service not in self._waiting:
            self._gap(service, now)

    def _take(self, service: str, count: int) -> None:
        """Let so many jobs wait no more; who has none left is forgotten."""
        self._waiting[service] -= count
        if self._waiting[service] <= 0:
            del self._waiting[service]

    def _gap(self, service: str, now: float) -> None:
        since = self._unserved_since.pop(service, None)
        if since is not None:
            for tally in self._tallies(service):
                tally.gap(now - since)


def _count(words: Counter[str], why: str) -> None:
    """Count a reason; reasons that differ in numbers only are one."""
    why = _NUMBER.sub("n", why)
    words[why if why in words or len(words) < _MOST_WORDS else OTHER] += 1
